/*
 * The provisioning service in the resource manager's manner (protocol/service.md 3.3).
 * There is one. Linked hubs, allocation policy, policies and tags can be changed here,
 * and nothing else is taken. Its certificates are in arm_cert.c.
 */
#include "codec/config.h"
#include "codec/js.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_link.h"
#include "proto/arm/arm_name.h"
#include "proto/arm/arm_same.h"
#include "proto/env.h"
#include "proto/json.h"

enum { BODY_DEPTH = 32 };

enum { SUBSCRIPTION, GROUP, NAME, KEY }; /* the path's parameters */

/* ---- the resource ------------------------------------------------------------------ */

static struct js *
properties_json(const struct config *cfg, const struct ipc_dps *m, struct arena *a)
{
	struct js *o = js_object();
	js_set_text(o, "state", "Active");
	js_set_text(o, "provisioningState", "Succeeded");
	js_set(o, "iotHubs", arm_link_json(m->links, a));
	js_set_text(o, "allocationPolicy", arm_link_allocation_shown(m->allocation));
	js_set_text(o, "serviceOperationsHostName", cfg->server.name.v[0]);
	js_set_text(o, "deviceProvisioningHostName", cfg->server.name.v[0]);
	js_set_text(o, "idScope", cfg->dps.id_scope);
	js_set(o, "ipFilterRules", js_array());
	js_set_text(o, "publicNetworkAccess", "Enabled");
	return o;
}

static struct js *
dps_json(const struct http_call *c, const struct ipc_dps *m)
{
	const struct config *cfg = c->env->config;
	const struct arm_place p = {.subscription = c->param[SUBSCRIPTION],
	    .group = c->param[GROUP],
	    .provider_type = "provisioningServices",
	    .name = arm_name_of_dps(cfg, c->arena)};
	struct js *o = arm_json_resource(&p, m->etag, m->tags, c->arena);
	struct js *sku = js_object();
	js_set_text(sku, "name", "S1");
	js_set_text(sku, "tier", "Standard");
	js_set_int(sku, "capacity", 1);
	js_set(o, "sku", sku);
	js_set(o, "properties", properties_json(cfg, m, c->arena));
	return o;
}

/* ---- reading ----------------------------------------------------------------------- */

/* False: it is another one's, and the call is answered. */
static bool
find_dps(struct http_call *c)
{
	if (arm_name_is_dps(c->env->config, c->param[NAME], c->arena))
		return true;
	arm_json_not_found(c, "provisioning service", c->param[NAME]);
	return false;
}

static void
on_dps(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_DPS) {
		auto_(js_free) struct js *v = dps_json(c, msg);
		buf_reset(&c->out);
		js_dump(v, JS_AS_BUILT, &c->out);
	} else if (d->code == ERR_OK) {
		http_call_json_out(c, 200);
	} else {
		http_call_fail_done(c, d);
	}
}

void
arm_dps_get(struct http_call *c)
{
	const struct ipc_dps_get m = {.peer = c->peer, .cred = c->cred};
	if (find_dps(c))
		http_call_ask(c, IPC_DPS_GET, &m, on_dps);
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_DPS) {
		auto_(js_free) struct js *v = dps_json(c, msg);
		arm_json_list_add(c, v);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		arm_json_list_end(c);
	}
}

void
arm_dps_list(struct http_call *c)
{
	const struct ipc_dps_get m = {.peer = c->peer, .cred = c->cred};
	arm_json_list_begin(c);
	http_call_ask(c, IPC_DPS_GET, &m, on_list);
}

void
arm_dps_listkeys(struct http_call *c)
{
	if (find_dps(c))
		arm_json_keys(c, "dps");
}

void
arm_dps_key(struct http_call *c)
{
	if (find_dps(c))
		arm_json_key(c, "dps", c->param[KEY]);
}

/* ---- writing ----------------------------------------------------------------------- */

struct dps_call {
	const char *why; /* a PUT cannot be done; NULL: it can */
	struct ipc_dps_put put;
};

/* The service as it is has come, to who may see it: what the body asks for beyond what
 * can be set is compared. */
static void
on_compare(struct http_call *c, enum ipc_type type, const void *msg)
{
	static const char *const ours[] = {"tags", "etag", "id", "name", "type",
	    "resourcegroup", "subscriptionid", "systemData",
	    "properties.authorizationPolicies", "properties.provisioningState",
	    "properties.state", "properties.iotHubs", "properties.allocationPolicy",
	    NULL};
	struct err e = {0};
	const struct ipc_done *d = msg;
	struct dps_call *call = c->state;
	if (type == IPC_DPS) {
		auto_(js_free) struct js *is = dps_json(c, msg);
		auto_(js_free) struct js *body = http_call_object(c, BODY_DEPTH, &e);
		if (!body || arm_same_check(is, body, ours, &e))
			call->why = arena_str(c->arena, span_str(e.text));
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else if (call->why) {
		const struct wire_error w = wire_error_of(400004);
		http_call_fail(c, &w, call->why);
	} else {
		http_call_ask(c, IPC_DPS_PUT, &call->put, on_dps);
	}
}

static int
parse_allocation(const struct js *properties, struct ipc_dps_put *m, struct err *e)
{
	struct span text = SPAN_NONE;
	if (js_opt_str(properties, "allocationPolicy", &text, e))
		return -1;
	if (!text.len)
		return 0;
	const char *name = arm_link_allocation(text);
	if (!name)
		return err_set(
		    e, ERR_PARSE, "allocationPolicy: Hashed, GeoLatency or Static");
	m->allocation = span_str(name);
	return 0;
}

static int
parse_links(struct http_call *c, const struct js *properties, struct ipc_dps_put *m,
    struct err *e)
{
	const struct js *list = NULL;
	auto_buf out = BUF_INIT(CAP_LINKS);
	out.secret = true;
	if (js_opt(properties, "iotHubs", JS_ARRAY, &list, e) ||
	    (list && arm_link_pack(list, &out, e)))
		return -1;
	m->set_links = list != NULL;
	m->links = arena_span(c->arena, buf_span(&out));
	return 0;
}

static int
parse_put(struct http_call *c, struct ipc_dps_put *m, struct err *e)
{
	const struct js *p = NULL;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, e);
	if (!o || js_opt(o, "properties", JS_OBJECT, &p, e) ||
	    arm_json_take_tags(c, o, &m->tags, &m->set_tags, e) ||
	    parse_allocation(p, m, e) || parse_links(c, p, m, e))
		return -1;
	return arm_json_take_policies(c, p, &m->policies, &m->set_policies, e);
}

void
arm_dps_put(struct http_call *c)
{
	struct err e = {0};
	struct dps_call *call = arena_alloc(c->arena, sizeof(*call));
	const struct ipc_dps_get m = {.peer = c->peer, .cred = c->cred};
	*call = (struct dps_call){.put = {.peer = c->peer, .cred = c->cred}};
	c->state = call;
	if (!find_dps(c))
		return;
	if (parse_put(c, &call->put, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	arm_json_if_match(c, &call->put.if_match);
	http_call_ask(c, IPC_DPS_GET, &m, on_compare);
}

/* Only tags can be patched. */
void
arm_dps_patch(struct http_call *c)
{
	struct err e = {0};
	struct ipc_dps_put m = {.peer = c->peer, .cred = c->cred};
	if (!find_dps(c))
		return;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || arm_json_take_tags(c, o, &m.tags, &m.set_tags, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	arm_json_if_match(c, &m.if_match);
	http_call_ask(c, IPC_DPS_PUT, &m, on_dps);
}
