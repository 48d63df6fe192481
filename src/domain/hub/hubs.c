/*
 * Which hub serves whom.
 */
#include "domain/hub/hubs.h"

#include <strings.h>

#include "codec/hub_conf.h"
#include "store/query.h"

#define DEVICE_MAX (4 * 1024 * 1024)

const char *
hubs_asked(const struct config *cfg, struct span host)
{
	const char *hub = hub_conf_find(cfg, host);
	return hub ? hub : cfg->hub.name.v[0];
}

const char *
hubs_of(const struct config *cfg, const struct store_device *dev)
{
	return dev->hub[0] ? hub_conf_find(cfg, span_str(dev->hub)) : NULL;
}

bool
hubs_serves(const struct config *cfg, const char *hub, const struct store_device *dev)
{
	const char *on = hubs_of(cfg, dev);
	return !on || strcasecmp(on, hub) == 0;
}

bool
hubs_lists(const struct config *cfg, const char *hub, const struct store_device *dev)
{
	const char *on = hubs_of(cfg, dev);
	return strcasecmp(on ? on : cfg->hub.name.v[0], hub) == 0;
}

int
hubs_has(struct domain *d, const char *hub, const struct store_device *dev, bool *ret,
    struct err *e)
{
	struct store_device device = *dev;
	struct span id = span_str(dev->id);
	size_t slash = span_find(id, '/');
	if (d->cfg->hub.name.n == 1) {
		*ret = true;
		return 0;
	}
	auto_(arena_free) struct arena *a = arena_new(DEVICE_MAX);
	if (slash < id.len &&
	    store_device_get(d->store, arena_str(a, span_head(id, slash)), a, &device, e))
		return -1;
	*ret = hubs_lists(d->cfg, hub, &device);
	return 0;
}

int
hubs_check(struct domain *d, struct span host, struct span name, struct err *e)
{
	struct store_device dev;
	const char *id = arena_str(d->arena, span_head(name, span_find(name, '/')));
	if (d->cfg->hub.name.n == 1)
		return 0;
	if (store_device_get(d->store, id, d->arena, &dev, e))
		return -1;
	const char *hub = hubs_asked(d->cfg, host);
	if (hubs_serves(d->cfg, hub, &dev))
		return 0;
	return err_set(
	    e, ERR_NOT_FOUND, "device %s is not on %s but on %s", id, hub, dev.hub);
}

struct counting {
	const struct config *cfg;
	const char *hub;
	struct hubs_counts n;
};

static int
add_kind(void *ctx, const struct store_device *kind, int64_t n, struct err *e)
{
	struct counting *c = ctx;
	(void)e;
	if (!hubs_lists(c->cfg, c->hub, kind))
		return 0;
	c->n.total += n;
	c->n.enabled += kind->enabled ? n : 0;
	c->n.connected += kind->connected ? n : 0;
	return 0;
}

int
hubs_count(struct domain *d, const char *hub, struct hubs_counts *ret, struct err *e)
{
	struct counting c = {d->cfg, hub, {0}};
	if (store_device_kinds(d->store, add_kind, &c, e))
		return -1;
	*ret = c.n;
	return 0;
}
