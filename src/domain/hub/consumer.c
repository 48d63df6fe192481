/*
 * Consumer groups.
 */
#include "domain/hub/consumer.h"

#include "codec/hub_conf.h"

#define NAME_LEN_MAX 50

static const char *
hub_of(const struct domain *d, struct span host, struct err *e)
{
	const char *hub = hub_conf_find(d->cfg, host);
	if (!hub)
		err_set(e, ERR_NOT_FOUND, "there is no hub %.*s",
		    SPAN_FMT(span_head(host, CAP_HOST)));
	return hub;
}

static bool
is_default(struct span name)
{
	return span_ieq(name, SPAN_LIT(CONSUMER_DEFAULT));
}

static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i], lower = c | 0x20;
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
		    !span_has(SPAN_LIT("-._"), c))
			return false;
	}
	return s.len && s.len <= NAME_LEN_MAX;
}

int
consumer_get(struct domain *d, struct span host, struct span name,
    struct store_consumer *ret, struct err *e)
{
	const char *hub = hub_of(d, host, e);
	if (!hub)
		return -1;
	if (!is_default(name))
		return store_consumer_get(
		    d->store, hub, arena_str(d->arena, name), d->arena, ret, e);
	*ret = (struct store_consumer){.hub = hub, .name = CONSUMER_DEFAULT};
	return 0;
}

int
consumer_each(struct domain *d, struct span host,
    int (*visit)(void *ctx, const struct store_consumer *c, struct err *e), void *ctx,
    struct err *e)
{
	const char *hub = hub_of(d, host, e);
	const struct store_consumer first = {.hub = hub, .name = CONSUMER_DEFAULT};
	if (!hub || visit(ctx, &first, e))
		return -1;
	return store_consumer_each(d->store, hub, visit, ctx, e);
}

static int
count(void *ctx, const struct store_consumer *c, struct err *e)
{
	int *n = ctx;
	(void)c, (void)e;
	++*n;
	return 0;
}

int
consumer_put(struct domain *d, struct span host, struct span name,
    struct store_consumer *ret, struct err *e)
{
	int n = 0;
	if (!is_default(name) && !is_name(name))
		return err_set(e, ERR_PARSE,
		    "a consumer group's name has letters, digits and -._, at most %d",
		    NAME_LEN_MAX);
	if (consumer_get(d, host, name, ret, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND || consumer_each(d, host, count, &n, e))
		return -1;
	if (n >= CONSUMER_MAX)
		return err_set(e, ERR_LIMIT, "there are %d consumer groups already", n);
	const struct store_consumer c = {.hub = hub_of(d, host, e),
	    .name = arena_str(d->arena, name),
	    .made_ms = domain_now(d)};
	if (store_consumer_add(d->store, &c, e))
		return -1;
	*ret = c;
	return 0;
}

int
consumer_delete(struct domain *d, struct span host, struct span name, struct err *e)
{
	const char *hub = hub_of(d, host, e);
	if (!hub)
		return -1;
	if (is_default(name))
		return err_set(e, ERR_PARSE, CONSUMER_DEFAULT " cannot be deleted");
	return store_consumer_del(d->store, hub, arena_str(d->arena, name), e);
}
