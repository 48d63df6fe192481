/*
 * Which hub serves whom.
 */
#include "domain/hub/hubs.h"

#include <strings.h>

#include "codec/hub_conf.h"

#define NAMES_MAX 16384

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

static void
add_names(const struct config *cfg, const char *hub, struct buf *out)
{
	buf_printf(out, "%s", hub);
	for (size_t i = 0; i < cfg->hub.alias.n; i++) {
		struct span value = span_str(cfg->hub.alias.v[i]);
		struct span alias = span_split(&value, '=');
		if (span_ieq_str(value, hub))
			buf_printf(out, " %.*s", SPAN_FMT(alias));
	}
	buf_str(out, " ");
}

int
hubs_each(struct domain *d, const char *hub, const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e)
{
	const struct conf_list *all = &d->cfg->hub.name;
	bool first = strcasecmp(hub, all->v[0]) == 0;
	auto_buf names = BUF_INIT(NAMES_MAX);
	if (all->n == 1)
		return store_device_each(d->store, after, limit, visit, ctx, e);
	for (size_t i = 0; i < all->n; i++)
		if (first != (strcasecmp(all->v[i], hub) == 0))
			add_names(d->cfg, all->v[i], &names);
	if (buf_check(&names, "names of hubs", e))
		return -1;
	return store_device_each_of(
	    d->store, buf_text(&names), first, after, limit, visit, ctx, e);
}
