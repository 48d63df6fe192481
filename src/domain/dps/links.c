/*
 * Linked hubs.
 */
#include "domain/dps/links.h"

#include <inttypes.h>
#include <string.h>

#include "base/own.h"
#include "codec/hub_conf.h"
#include "store/resource.h"

#define FIRST_DPS "" /* the service's name in the store */

static const char *
allocation_of(const struct config *cfg)
{
	static const char *const names[] = {[CONFIG_ALLOCATION_HASHED] = "hashed",
	    [CONFIG_ALLOCATION_STATIC] = "static",
	    [CONFIG_ALLOCATION_LATENCY] = "geoLatency"};
	return names[cfg->dps.allocation];
}

void
links_default(const struct config *cfg, struct links *ret)
{
	*ret = (struct links){.allocation = allocation_of(cfg)};
	for (size_t i = 0; i < cfg->hub.name.n && ret->n < LINKS_MAX; i++) {
		const char *hub = cfg->hub.name.v[i];
		ret->v[ret->n++] = (struct link){.hub = hub,
		    .location = "local",
		    .apply = !hub_conf_is_excluded(cfg, hub),
		    .weight = hub_conf_weight(cfg, hub)};
	}
}

const struct link *
links_find(const struct links *l, const char *hub)
{
	for (size_t i = 0; i < l->n; i++)
		if (hub && strcmp(l->v[i].hub, hub) == 0)
			return &l->v[i];
	return NULL;
}

/* ---- as they are stored ------------------------------------------------------------ */

struct loading {
	struct domain *d;
	struct links *links;
};

static int
visit(void *ctx, const struct store_link *row, struct err *e)
{
	struct loading *l = ctx;
	const char *hub = hub_conf_find(l->d->cfg, span_str(row->hub));
	(void)e;
	if (!hub || links_find(l->links, hub) || l->links->n == LINKS_MAX)
		return 0;
	l->links->v[l->links->n++] = (struct link){.hub = hub,
	    .location = arena_str(l->d->arena, span_str(row->location)),
	    .apply = row->apply,
	    .weight = row->weight};
	return 0;
}

int
links_load(struct domain *d, struct links *ret, struct err *e)
{
	struct store_resource r;
	struct loading l = {d, ret};
	links_default(d->cfg, ret);
	if (store_resource_get(d->store, "dps", FIRST_DPS, d->arena, &r, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	if (r.allocation[0])
		ret->allocation = r.allocation;
	if (!r.linked)
		return 0;
	ret->n = 0;
	return store_link_each(d->store, FIRST_DPS, visit, &l, e);
}

/* ---- a new set --------------------------------------------------------------------- */

/* Whether the key opens the hub: a link to one that it does not is refused, as Azure's
 * would never come about. The policies are all hubs' (docs/decisions/0019). */
static int
check_key(struct domain *d, const struct ipc_link *m, struct err *e)
{
	struct store_policy p;
	const char *name = arena_str(d->arena, m->policy);
	int rc = store_policy_get(d->store, "hub", name, d->arena, &p, e);
	if (rc && e->code != ERR_NOT_FOUND)
		return -1;
	struct span v[] = {
	    rc ? SPAN_NONE : p.primary_key, rc ? SPAN_NONE : p.secondary_key};
	for (size_t i = 0; i < 2; i++)
		if (m->key.len && m->key.len == v[i].len &&
		    own_equal(m->key.p, v[i].p, m->key.len))
			return 0;
	return err_set(e, ERR_PARSE,
	    "iotHubs: connectionString: its policy or key is none of hub %.*s",
	    SPAN_FMT(m->hub));
}

static int
check(struct domain *d, const struct links *was, const struct ipc_link *m,
    struct links *l, struct err *e)
{
	const char *hub = hub_conf_find(d->cfg, m->hub);
	if (!hub)
		return err_set(e, ERR_PARSE,
		    "iotHubs: '%.*s' is no hub of this server (hub.name)",
		    SPAN_FMT(m->hub));
	if (links_find(l, hub))
		return err_set(e, ERR_PARSE, "iotHubs: %s is there twice", hub);
	if (m->weight < 1 || m->weight > HUB_CONF_WEIGHT_MAX)
		return err_set(e, ERR_PARSE, "iotHubs: %s: allocationWeight: 1 to %d",
		    hub, HUB_CONF_WEIGHT_MAX);
	if (!m->key.len && !links_find(was, hub))
		return err_set(e, ERR_PARSE,
		    "iotHubs: %s is not linked yet: its connectionString is missing",
		    hub);
	if (m->key.len && check_key(d, m, e))
		return -1;
	l->v[l->n++] = (struct link){.hub = hub,
	    .location = arena_str(d->arena, m->location),
	    .apply = m->apply != 0,
	    .weight = m->weight};
	return 0;
}

int
links_parse(struct domain *d, struct span list, struct links *ret, struct err *e)
{
	struct links was, l = {.n = 0};
	struct cursor c = cursor_of(list);
	if (links_load(d, &was, e))
		return -1;
	while (c.left) {
		struct ipc_link m;
		struct span body = cursor_take(&c, cursor_u32(&c));
		if (c.bad || l.n == LINKS_MAX)
			return err_set(e, ERR_PARSE, "iotHubs: at most %d", LINKS_MAX);
		if (ipc_msg_unpack(IPC_LINK, body, &m, e) || check(d, &was, &m, &l, e))
			return -1;
	}
	*ret = l;
	return 0;
}

int
links_put(struct domain *d, const struct links *l, struct err *e)
{
	if (store_link_clear(d->store, FIRST_DPS, e))
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		const struct store_link row = {.dps = FIRST_DPS,
		    .hub = l->v[i].hub,
		    .location = l->v[i].location,
		    .apply = l->v[i].apply,
		    .weight = l->v[i].weight};
		if (store_link_add(d->store, &row, e))
			return -1;
	}
	return 0;
}
