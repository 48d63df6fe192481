/*
 * Lists of the configuration that tell of hubs: words "what=value".
 */
#include "codec/hub_conf.h"

#include "base/num.h"
#include "codec/id.h"

#define LATENCY_MAX 60000

struct pair {
	struct span name, value; /* value.p NULL: no '=' */
};

static struct pair
pair_of(const char *word)
{
	struct pair p = {.value = span_str(word)};
	p.name = span_split(&p.value, '=');
	return p;
}

static const char *
find_name(const struct config *c, struct span name)
{
	for (size_t i = 0; i < c->hub.name.n; i++)
		if (span_ieq_str(name, c->hub.name.v[i]))
			return c->hub.name.v[i];
	return NULL;
}

static const char *
find_any(const struct config *c, struct span name)
{
	const char *hub = find_name(c, name);
	for (size_t i = 0; !hub && i < c->hub.alias.n; i++) {
		struct pair p = pair_of(c->hub.alias.v[i]);
		if (span_ieq(p.name, name))
			hub = find_name(c, p.value);
	}
	return hub;
}

/* "[::1]:443", "h.example:443": without brackets and port. */
static struct span
bare_host(struct span host)
{
	struct span h = span_head(host, span_rfind(host, ':'));
	if (h.len > 2 && h.p[0] == '[' && h.p[h.len - 1] == ']')
		h = span_head(span_skip(h, 1), h.len - 2);
	return h;
}

const char *
hub_conf_find(const struct config *c, struct span host)
{
	const char *hub = find_any(c, host);
	return hub ? hub : find_any(c, bare_host(host));
}

struct span
hub_conf_alias(const char *word)
{
	return pair_of(word).name;
}

int64_t
hub_conf_weight(const struct config *c, const char *hub)
{
	int64_t weight = 1;
	for (size_t i = 0; i < c->dps.hub_weights.n; i++) {
		struct pair p = pair_of(c->dps.hub_weights.v[i]);
		if (span_ieq_str(p.name, hub))
			(void)num_ok(p.value, 1, HUB_CONF_WEIGHT_MAX, &weight);
	}
	return weight;
}

bool
hub_conf_is_excluded(const struct config *c, const char *hub)
{
	for (size_t i = 0; i < c->dps.hubs_excluded.n; i++)
		if (span_ieq_str(span_str(hub), c->dps.hubs_excluded.v[i]))
			return true;
	return false;
}

struct span
hub_conf_region(const struct config *c, const uint8_t ip[ADDR_LEN])
{
	struct span best = SPAN_NONE;
	unsigned best_bits = 0;
	for (size_t i = 0; i < c->dps.regions.n; i++) {
		struct pair p = pair_of(c->dps.regions.v[i]);
		struct addr_prefix prefix;
		struct err e;
		if (addr_parse_prefix(p.value, &prefix, &e) || !addr_within(ip, &prefix))
			continue;
		if (best.p && prefix.bits <= best_bits)
			continue;
		best = p.name;
		best_bits = prefix.bits;
	}
	return best;
}

int64_t
hub_conf_latency(const struct config *c, struct span region, const char *hub)
{
	int64_t ms = INT64_MAX;
	for (size_t i = 0; i < c->dps.latencies.n; i++) {
		struct pair p = pair_of(c->dps.latencies.v[i]);
		struct span of = span_split(&p.name, ':');
		if (span_ieq(of, region) && span_ieq_str(p.name, hub))
			(void)num_ok(p.value, 0, LATENCY_MAX, &ms);
	}
	return ms;
}

/* ---- what the words may say --------------------------------------------------------
 */

static int
check_hub(const struct config *c, const char *key, struct span name, struct err *e)
{
	if (find_name(c, name))
		return 0;
	return err_set(e, ERR_PARSE, "%s: '%.*s' is no hub of hub.name", key,
	    SPAN_FMT(span_head(name, 100)));
}

static int
check_alias(const struct config *c, const char *word, struct err *e)
{
	struct pair p = pair_of(word);
	if (!id_is_host(p.name))
		return err_set(e, ERR_PARSE,
		    "hub.alias: '%s': want ALIAS=HUB, both host names", word);
	if (find_name(c, p.name))
		return err_set(
		    e, ERR_PARSE, "hub.alias: '%s': it is a hub by itself", word);
	return check_hub(c, "hub.alias", p.value, e);
}

static int
check_weight(const struct config *c, const char *word, struct err *e)
{
	struct pair p = pair_of(word);
	int64_t ignored;
	if (!p.value.p || !num_ok(p.value, 1, HUB_CONF_WEIGHT_MAX, &ignored))
		return err_set(e, ERR_PARSE,
		    "dps.hub_weights: '%s': want HUB=WEIGHT, 1 to %d", word,
		    HUB_CONF_WEIGHT_MAX);
	return check_hub(c, "dps.hub_weights", p.name, e);
}

static int
check_excluded(const struct config *c, const char *word, struct err *e)
{
	return check_hub(c, "dps.hubs_excluded", span_str(word), e);
}

static int
check_region(const struct config *c, const char *word, struct err *e)
{
	struct pair p = pair_of(word);
	struct addr_prefix ignored;
	(void)c;
	if (!p.name.len || !p.value.p || span_has(p.name, ':'))
		return err_set(
		    e, ERR_PARSE, "dps.regions: '%s': want REGION=PREFIX", word);
	if (addr_parse_prefix(p.value, &ignored, e))
		return err_wrap(e, "dps.regions");
	return 0;
}

static bool
is_region(const struct config *c, struct span name)
{
	for (size_t i = 0; i < c->dps.regions.n; i++)
		if (span_ieq(pair_of(c->dps.regions.v[i]).name, name))
			return true;
	return false;
}

static int
check_latency(const struct config *c, const char *word, struct err *e)
{
	struct pair p = pair_of(word);
	int64_t ignored;
	if (!p.value.p || !num_ok(p.value, 0, LATENCY_MAX, &ignored))
		return err_set(e, ERR_PARSE,
		    "dps.latencies: '%s': want REGION:HUB=MILLISECONDS, at most %d", word,
		    LATENCY_MAX);
	struct span region = span_split(&p.name, ':');
	if (!is_region(c, region))
		return err_set(e, ERR_PARSE,
		    "dps.latencies: '%s': no such region in dps.regions", word);
	return check_hub(c, "dps.latencies", p.name, e);
}

static int
check_words(const struct config *c, const struct conf_list *words,
    int (*check)(const struct config *c, const char *word, struct err *e), struct err *e)
{
	for (size_t i = 0; i < words->n; i++)
		if (check(c, words->v[i], e))
			return -1;
	return 0;
}

int
hub_conf_check(const struct config *c, struct err *e)
{
	if (check_words(c, &c->hub.alias, check_alias, e) ||
	    check_words(c, &c->dps.hub_weights, check_weight, e) ||
	    check_words(c, &c->dps.hubs_excluded, check_excluded, e) ||
	    check_words(c, &c->dps.regions, check_region, e))
		return -1;
	return check_words(c, &c->dps.latencies, check_latency, e);
}
