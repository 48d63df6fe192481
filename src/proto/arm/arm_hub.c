/*
 * Hubs in the resource manager's manner (protocol/service.md 3.1, 3.2): each name of
 * hub.name is one. What a hub is stands in the configuration; the SAS switches, policies,
 * routes and tags can be changed here, and nothing else is taken.
 */
#include "codec/config.h"
#include "codec/js.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/arm/arm_route.h"
#include "proto/arm/arm_same.h"
#include "proto/env.h"
#include "proto/json.h"

enum { BODY_DEPTH = 32 };

#define DAY_MS INT64_C(86400000)

enum { SUBSCRIPTION, GROUP, NAME, KEY }; /* the path's parameters */

/* ---- the resource ------------------------------------------------------------------ */

static struct js *
c2d_json(const struct config *cfg)
{
	struct js *o = js_object(), *feedback = js_object();
	js_set_int(o, "maxDeliveryCount", cfg->hub.c2d_deliveries);
	arm_json_duration(o, "defaultTtlAsIso8601", cfg->hub.c2d_ttl_ms);
	arm_json_duration(feedback, "lockDurationAsIso8601", cfg->hub.feedback_lock_ms);
	arm_json_duration(feedback, "ttlAsIso8601", cfg->hub.feedback_ttl_ms);
	js_set_int(feedback, "maxDeliveryCount", cfg->hub.feedback_deliveries);
	js_set(o, "feedback", feedback);
	return o;
}

/* protocol/service.md 4.1: the reader of events takes host, path and partitions from
 * here. Absent where AMQP is not served, as while a hub of Azure's is activating. */
static struct js *
events_json(const struct http_call *c, const struct ipc_hub *m, size_t i)
{
	const struct config *cfg = c->env->config;
	struct js *o = js_object(), *events = js_object(), *ids = js_array();
	js_append(ids, js_text("0"));
	js_set_int(events, "retentionTimeInDays",
	    (cfg->hub.retention_age_ms + DAY_MS - 1) / DAY_MS);
	js_set_int(events, "partitionCount", 1);
	js_set(events, "partitionIds", ids);
	js_set_text(events, "path", arm_name_of_hub(cfg, i, c->arena));
	js_set_text(
	    events, "endpoint", arena_printf(c->arena, "sb://%.*s/", SPAN_FMT(m->host)));
	js_set(o, "events", events);
	return o;
}

static struct js *
locations_json(void)
{
	struct js *list = js_array(), *here = js_object();
	js_set_text(here, "location", "local");
	js_set_text(here, "role", "primary");
	js_append(list, here);
	return list;
}

static struct js *
properties_json(const struct config *cfg, const struct ipc_hub *m)
{
	struct js *o = js_object();
	js_set_text(o, "state", "Active");
	js_set_text(o, "provisioningState", "Succeeded");
	json_put_text(o, "hostName", m->host);
	js_set(o, "locations", locations_json());
	js_set_bool(o, "disableLocalAuth", m->disable_local_auth);
	js_set_bool(o, "disableDeviceSAS", m->disable_device_sas);
	js_set_bool(o, "disableModuleSAS", m->disable_module_sas);
	js_set(o, "routing", arm_route_json(m->routes, m->fallback));
	js_set(o, "cloudToDevice", c2d_json(cfg));
	js_set_bool(o, "enableFileUploadNotifications", cfg->hub.upload_notices);
	js_set(o, "ipFilterRules", js_array());
	js_set_text(o, "publicNetworkAccess", "Enabled");
	js_set_text(o, "minTlsVersion", "1.2");
	js_set_text(o, "features", "None");
	return o;
}

static struct js *
sku_json(void)
{
	struct js *o = js_object();
	js_set_text(o, "name", "S1");
	js_set_text(o, "tier", "Standard");
	js_set_int(o, "capacity", 1);
	return o;
}

static struct js *
hub_json(const struct http_call *c, const struct ipc_hub *m, size_t i)
{
	const struct config *cfg = c->env->config;
	const struct arm_place p = {.subscription = c->param[SUBSCRIPTION],
	    .group = c->param[GROUP],
	    .provider_type = "IotHubs",
	    .name = arm_name_of_hub(cfg, i, c->arena)};
	struct js *o = arm_json_resource(&p, m->etag, m->tags, c->arena);
	struct js *identity = js_object();
	js_set_text(identity, "type", "None");
	js_set(o, "sku", sku_json());
	js_set(o, "identity", identity);
	struct js *properties = properties_json(cfg, m);
	if (c->env->amqp)
		js_set(properties, "eventHubEndpoints", events_json(c, m, i));
	js_set(o, "properties", properties);
	return o;
}

/* ---- reading ----------------------------------------------------------------------- */

struct hub_call {
	size_t index;    /* of the hub in hub.name */
	const char *why; /* a PUT cannot be done; NULL: it can */
	struct ipc_hub_put put;
};

/* The hub that the path names; NULL: there is none, and the call is answered. */
static struct hub_call *
find_hub(struct http_call *c)
{
	struct hub_call *h = arena_alloc(c->arena, sizeof(*h));
	*h = (struct hub_call){0};
	c->state = h;
	if (arm_name_find_hub(c->env->config, c->param[NAME], c->arena, &h->index))
		return h;
	arm_json_not_found(c, "hub", c->param[NAME]);
	return NULL;
}

static struct span
host_of(const struct http_call *c, const struct hub_call *h)
{
	return span_str(c->env->config->hub.name.v[h->index]);
}

static void
on_hub(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct hub_call *h = c->state;
	if (type == IPC_HUB) {
		auto_(js_free) struct js *v = hub_json(c, msg, h->index);
		buf_reset(&c->out);
		js_dump(v, JS_AS_BUILT, &c->out);
	} else if (d->code == ERR_OK) {
		http_call_json_out(c, 200);
	} else {
		http_call_fail_done(c, d);
	}
}

void
arm_hub_get(struct http_call *c)
{
	const struct hub_call *h = find_hub(c);
	if (!h)
		return;
	const struct ipc_hub_get m = {
	    .peer = c->peer, .cred = c->cred, .host = host_of(c, h)};
	http_call_ask(c, IPC_HUB_GET, &m, on_hub);
}

/* Rows come in the order of hub.name. */
static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	struct hub_call *h = c->state;
	if (type == IPC_HUB) {
		auto_(js_free) struct js *v = hub_json(c, msg, h->index++);
		arm_json_list_add(c, v);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		arm_json_list_end(c);
	}
}

void
arm_hub_list(struct http_call *c)
{
	const struct ipc_hub_get m = {.peer = c->peer, .cred = c->cred};
	c->state = arena_alloc(c->arena, sizeof(struct hub_call));
	*(struct hub_call *)c->state = (struct hub_call){0};
	arm_json_list_begin(c);
	http_call_ask(c, IPC_HUB_GET, &m, on_list);
}

void
arm_hub_listkeys(struct http_call *c)
{
	if (find_hub(c))
		arm_json_keys(c, "hub");
}

void
arm_hub_key(struct http_call *c)
{
	if (find_hub(c))
		arm_json_key(c, "hub", c->param[KEY]);
}

/* ---- writing ----------------------------------------------------------------------- */

/* 0 off, 1 on, 2 leave: a PUT merges (T13). */
static int
parse_switch(const struct js *properties, const char *name, uint8_t *ret, struct err *e)
{
	const struct js *v = NULL;
	*ret = 2;
	if (js_opt(properties, name, JS_BOOL, &v, e))
		return -1;
	if (v)
		*ret = js_as_bool(v);
	return 0;
}

static int
parse_put(struct http_call *c, const struct js *o, struct ipc_hub_put *m, struct err *e)
{
	const struct js *p = NULL;
	if (js_opt(o, "properties", JS_OBJECT, &p, e) ||
	    parse_switch(p, "disableLocalAuth", &m->disable_local_auth, e) ||
	    parse_switch(p, "disableDeviceSAS", &m->disable_device_sas, e) ||
	    parse_switch(p, "disableModuleSAS", &m->disable_module_sas, e) ||
	    arm_route_take(c, p, m, e) ||
	    arm_json_take_tags(c, o, &m->tags, &m->set_tags, e))
		return -1;
	return arm_json_take_policies(c, p, &m->policies, &m->set_policies, e);
}

/* The hub as it is has come: what the body asks for beyond what can be set is compared.
 */
static void
on_compare(struct http_call *c, enum ipc_type type, const void *msg)
{
	static const char *const ours[] = {"tags", "etag", "id", "name", "type",
	    "resourcegroup", "subscriptionid", "systemData",
	    "properties.authorizationPolicies", "properties.disableLocalAuth",
	    "properties.disableDeviceSAS", "properties.disableModuleSAS",
	    "properties.routing", "properties.provisioningState", "properties.state",
	    NULL};
	struct err e = {0};
	const struct ipc_done *d = msg;
	struct hub_call *h = c->state;
	if (type == IPC_HUB) {
		auto_(js_free) struct js *is = hub_json(c, msg, h->index);
		auto_(js_free) struct js *body = http_call_object(c, BODY_DEPTH, &e);
		if (!body || arm_same_check(is, body, ours, &e))
			h->why = arena_str(c->arena, span_str(e.text));
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else if (h->why) {
		const struct wire_error w = wire_error_of(400004);
		http_call_fail(c, &w, h->why);
	} else {
		http_call_ask(c, IPC_HUB_PUT, &h->put, on_hub);
	}
}

void
arm_hub_put(struct http_call *c)
{
	struct err e = {0};
	struct hub_call *h = find_hub(c);
	if (!h)
		return;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	h->put =
	    (struct ipc_hub_put){.peer = c->peer, .cred = c->cred, .host = host_of(c, h)};
	if (!o || parse_put(c, o, &h->put, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	arm_json_if_match(c, &h->put.if_match);
	const struct ipc_hub_get m = {
	    .peer = c->peer, .cred = c->cred, .host = host_of(c, h)};
	http_call_ask(c, IPC_HUB_GET, &m, on_compare);
}

/* Only tags can be patched. */
void
arm_hub_patch(struct http_call *c)
{
	struct err e = {0};
	struct hub_call *h = find_hub(c);
	if (!h)
		return;
	struct ipc_hub_put m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = host_of(c, h),
	    .disable_local_auth = 2,
	    .disable_device_sas = 2,
	    .disable_module_sas = 2,
	    .fallback = 2};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || arm_json_take_tags(c, o, &m.tags, &m.set_tags, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	arm_json_if_match(c, &m.if_match);
	http_call_ask(c, IPC_HUB_PUT, &m, on_hub);
}
