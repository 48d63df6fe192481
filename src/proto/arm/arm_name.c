/*
 * Names of resources.
 */
#include "proto/arm/arm_name.h"

#include "codec/addr.h"
#include "codec/config.h"
#include "crypto/digest.h"

static bool
is_address(const char *host)
{
	uint8_t ip[ADDR_LEN];
	struct err none;
	return addr_parse(span_str(host), ip, &none) == 0;
}

static struct span
label_of(const char *host)
{
	return span_head(span_str(host), span_find(span_str(host), '.'));
}

static const char *
dashed(const char *host, struct arena *a)
{
	char *s = arena_str(a, span_str(host));
	for (char *p = s; *p; p++)
		*p = *p == '.' || *p == ':' ? '-' : *p;
	return s;
}

/* Whether no other host of the list has the same first label. */
static bool
is_alone(const struct conf_list *hosts, size_t i)
{
	for (size_t k = 0; k < hosts->n; k++)
		if (k != i && span_ieq(label_of(hosts->v[k]), label_of(hosts->v[i])))
			return false;
	return true;
}

static const char *
name_of(const struct conf_list *hosts, size_t i, struct arena *a)
{
	if (is_address(hosts->v[i]) || !is_alone(hosts, i))
		return dashed(hosts->v[i], a);
	return arena_str(a, label_of(hosts->v[i]));
}

const char *
arm_name_of_hub(const struct config *cfg, size_t i, struct arena *a)
{
	return name_of(&cfg->hub.name, i, a);
}

const char *
arm_name_of_dps(const struct config *cfg, struct arena *a)
{
	const struct conf_list first = {.v = cfg->server.name.v, .n = 1};
	return name_of(&first, 0, a);
}

static bool
is_named(struct span name, const struct conf_list *hosts, size_t i, struct arena *a)
{
	return span_ieq_str(name, name_of(hosts, i, a)) ||
	       span_ieq_str(name, hosts->v[i]) ||
	       (i == 0 && span_ieq_str(name, "muster"));
}

bool
arm_name_find_hub(
    const struct config *cfg, struct span name, struct arena *a, size_t *ret)
{
	for (size_t i = 0; i < cfg->hub.name.n; i++) {
		if (!is_named(name, &cfg->hub.name, i, a))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

bool
arm_name_is_dps(const struct config *cfg, struct span name, struct arena *a)
{
	const struct conf_list first = {.v = cfg->server.name.v, .n = 1};
	return is_named(name, &first, 0, a);
}

/* Made of what tells this server from others; shaped as RFC 9562 5.8 has it. */
const char *
arm_name_subscription(const struct config *cfg, struct arena *a)
{
	uint8_t h[DIGEST_SHA256];
	const struct span parts[] = {SPAN_LIT("muster subscription "),
	    span_str(cfg->dps.id_scope), span_str(cfg->server.name.v[0])};
	digest_sha256v(parts, 3, h);
	return arena_printf(a,
	    "%02x%02x%02x%02x-%02x%02x-8%x%02x-a%x%02x-%02x%02x%02x%02x%02x%02x", h[0],
	    h[1], h[2], h[3], h[4], h[5], h[6] & 15, h[7], h[8] & 15, h[9], h[10], h[11],
	    h[12], h[13], h[14], h[15]);
}
