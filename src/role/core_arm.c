/*
 * Messages of the control plane: hubs with their switches, the provisioning service,
 * policies and keys.
 */
#include <string.h>

#include "base/log.h"
#include "codec/hub_conf.h"
#include "domain/dps/links.h"
#include "domain/hub/device.h"
#include "domain/access/policy.h"
#include "role/core.h"
#include "store/resource.h"

/* ---- resources ------------------------------------------------------------------------
 */

/* One that nobody has given tags has no row. */
static int
get_resource(struct core *c, const char *kind, const char *name,
    struct store_resource *ret, struct err *e)
{
	struct arena *ar = turn_arena(c->turn);
	if (store_resource_get(c->store, kind, name, ar, ret, e) == 0)
		return 0;
	if (e->code != ERR_NOT_FOUND)
		return -1;
	*ret = (struct store_resource){.kind = kind,
	    .name = name,
	    .tags = SPAN_LIT("{}"),
	    .etag = 1,
	    .allocation = "",
	    .routes = SPAN_LIT("[]"),
	    .fallback = true};
	return 0;
}

static int
put_resource(
    struct core *c, struct store_resource *r, const struct span *tags, struct err *e)
{
	r->etag++;
	if (tags)
		r->tags = *tags;
	return store_resource_put(c->store, r, e);
}

/* ---- hubs
 * ------------------------------------------------------------------------------ */

/* The etag is of both: the switches, which all hubs share, and its own tags. */
static int
answer_hub(struct core *c, const struct ask *a, const char *host, struct err *e)
{
	struct store_hub h;
	struct store_resource r;
	if (store_hub_get(c->store, &h, e) || get_resource(c, "hub", host, &r, e))
		return -1;
	const struct ipc_hub m = {.host = span_str(host),
	    .etag = h.etag + r.etag - 1,
	    .tags = r.tags,
	    .routes = r.routes,
	    .fallback = r.fallback,
	    .disable_local_auth = h.disable_local_auth,
	    .disable_device_sas = h.disable_device_sas,
	    .disable_module_sas = h.disable_module_sas};
	return core_answer(c, a, IPC_HUB, &m, e);
}

static int
on_hub_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_get *m = msg;
	const struct conf_list *all = &c->cfg.hub.name;
	for (size_t i = 0; i < all->n; i++)
		if ((!m->host.len || span_eq_str(m->host, all->v[i])) &&
		    answer_hub(c, a, all->v[i], e))
			return -1;
	return core_done(c, a, "", 0, e);
}

static void
set_switch(bool *field, uint8_t asked)
{
	if (asked <= 1)
		*field = asked == 1;
}

/* ---- routing -----------------------------------------------------------------------
 */

static bool
set_routing(struct store_resource *r, const struct ipc_hub_put *m)
{
	if (m->set_routes) {
		r->routes = m->routes;
		r->routed = m->routed != 0;
	}
	set_switch(&r->fallback, m->fallback);
	return m->set_routes || m->fallback <= 1;
}

static int
load_routing(struct core *c, uint64_t *ret_silent, struct err *e)
{
	const struct conf_list *all = &c->cfg.hub.name;
	uint64_t silent = 0;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	for (size_t i = 0; i < all->n; i++) {
		struct store_resource r;
		if (store_resource_get(c->store, "hub", all->v[i], a, &r, e)) {
			if (e->code != ERR_NOT_FOUND)
				return -1;
			continue;
		}
		if (!r.routed && !r.fallback)
			silent |= UINT64_C(1) << i;
	}
	*ret_silent = silent;
	return 0;
}

int
core_load_routing(struct core *c, struct err *e)
{
	return load_routing(c, &c->silent_hubs, e);
}

/* What could not be read stays as it was: the core says so and goes on. */
static void
after_routing(void *arg, const void *item)
{
	struct core *c = arg;
	struct err e;
	(void)item;
	if (core_load_routing(c, &e))
		log_event(LOG_ERROR, "core.routing", LOG_ERR(&e));
}

bool
core_is_silent(const struct core *c, const char *hub)
{
	for (size_t i = 0; c->silent_hubs && i < c->cfg.hub.name.n; i++)
		if (strcmp(c->cfg.hub.name.v[i], hub) == 0)
			return c->silent_hubs >> i & 1;
	return false;
}

/* ---- hubs, changed -----------------------------------------------------------------
 */

/* Policies come first: they alone can be refused, and then nothing has changed. */
static int
change_hub(struct core *c, const struct ipc_hub_put *m, const char *host, struct err *e)
{
	struct store_hub h;
	struct store_resource r;
	if (store_hub_get(c->store, &h, e) || get_resource(c, "hub", host, &r, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, h.etag + r.etag - 1))
		return err_set(e, ERR_CONFLICT, "hub: etag does not match");
	if (m->set_policies && policy_replace(&c->d, "hub", m->policies, e))
		return -1;
	set_switch(&h.disable_local_auth, m->disable_local_auth);
	set_switch(&h.disable_device_sas, m->disable_device_sas);
	set_switch(&h.disable_module_sas, m->disable_module_sas);
	h.etag++;
	if (store_hub_put(c->store, &h, e))
		return -1;
	bool routes = set_routing(&r, m);
	if (!m->set_tags && !routes)
		return 0;
	if (routes)
		turn_after(c->turn, after_routing, "", 1);
	return put_resource(c, &r, m->set_tags ? &m->tags : NULL, e);
}

/* Whether it can end sessions. */
static bool
tightens(const struct ipc_hub_put *m)
{
	return m->set_policies || m->disable_local_auth == 1 ||
	       m->disable_device_sas == 1 || m->disable_module_sas == 1;
}

static int
on_hub_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_put *m = msg;
	const char *host = hub_conf_find(&c->cfg, m->host);
	if (!host)
		return err_set(e, ERR_NOT_FOUND, "there is no such hub");
	if (change_hub(c, m, host, e))
		return -1;
	if (tightens(m))
		core_recheck_all(c);
	return answer_hub(c, a, host, e) ? -1 : core_done(c, a, "", 0, e);
}

/* ---- the provisioning service ---------------------------------------------------------
 */

static int
pack_links(const struct links *l, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < l->n; i++) {
		const struct ipc_link m = {.hub = span_str(l->v[i].hub),
		    .location = span_str(l->v[i].location),
		    .apply = l->v[i].apply,
		    .weight = l->v[i].weight};
		auto_buf body = BUF_INIT(4096);
		if (ipc_msg_pack(IPC_LINK, &m, &body, e))
			return -1;
		buf_u32(out, (uint32_t)body.len);
		buf_put_span(out, buf_span(&body));
	}
	return buf_check(out, "linked hubs", e);
}

static int
answer_dps(struct core *c, const struct ask *a, struct err *e)
{
	struct store_resource r;
	struct links l;
	auto_buf links = BUF_INIT(CAP_LINKS);
	if (get_resource(c, "dps", "", &r, e) || links_load(&c->d, &l, e) ||
	    pack_links(&l, &links, e))
		return -1;
	const struct ipc_dps m = {.etag = r.etag,
	    .tags = r.tags,
	    .allocation = span_str(l.allocation),
	    .links = buf_span(&links)};
	if (core_answer(c, a, IPC_DPS, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_dps_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	(void)msg;
	return answer_dps(c, a, e);
}

static int
on_dps_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_dps_put *m = msg;
	struct store_resource r;
	struct links l;
	if (get_resource(c, "dps", "", &r, e))
		return -1;
	if (m->if_match.len && !device_etag_matches(m->if_match, r.etag))
		return err_set(
		    e, ERR_CONFLICT, "provisioning service: etag does not match");
	/* what can be refused comes first, and then nothing has changed */
	if ((m->set_links && links_parse(&c->d, m->links, &l, e)) ||
	    (m->set_policies && policy_replace(&c->d, "dps", m->policies, e)) ||
	    (m->set_links && links_put(&c->d, &l, e)))
		return -1;
	if (m->allocation.len)
		r.allocation = arena_str(turn_arena(c->turn), m->allocation);
	r.linked = r.linked || m->set_links;
	if (put_resource(c, &r, m->set_tags ? &m->tags : NULL, e))
		return -1;
	return answer_dps(c, a, e);
}

/* ---- policies -------------------------------------------------------------------------
 */

struct listing {
	struct core *c;
	const struct ask *a;
};

static int
answer_policy(void *ctx, const struct store_policy *p, struct err *e)
{
	const struct listing *l = ctx;
	auto_buf rights = BUF_INIT(256);
	policy_rights_text(p->rights, &rights);
	const struct ipc_policy m = {.name = span_str(p->name),
	    .primary_key = p->primary_key,
	    .secondary_key = p->secondary_key,
	    .rights = buf_span(&rights)};
	return core_answer(l->c, l->a, IPC_POLICY, &m, e);
}

static int
on_policy_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_policy_query *m = msg;
	struct arena *ar = turn_arena(c->turn);
	const char *plane = arena_str(ar, m->plane);
	struct listing l = {c, a};
	struct store_policy p;
	if (m->name.len == 0 && store_policy_each(c->store, plane, answer_policy, &l, e))
		return -1;
	if (m->name.len &&
	    (store_policy_get(c->store, plane, arena_str(ar, m->name), ar, &p, e) ||
		answer_policy(&l, &p, e)))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_arm_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_HUB_GET] = on_hub_get,
	    [IPC_HUB_PUT] = on_hub_put,
	    [IPC_DPS_GET] = on_dps_get,
	    [IPC_DPS_PUT] = on_dps_put,
	    [IPC_POLICY_QUERY] = on_policy_query,
	};
	return handlers[type];
}
