/*
 * Message routing, and what the routes would do with a message.
 */
#include "proto/arm/arm_route.h"

#include "codec/config.h"
#include "codec/js.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"
#include "proto/json.h"

enum { ROUTES_MAX = 100, NAME_MAX_LEN = 64 }; /* Azure's (protocol/service.md 6.2) */

#define EVENTS   "events"
#define SOURCE   "DeviceMessages"
#define FALLBACK "$fallback"

static const char *const kinds[] = {"serviceBusQueues", "serviceBusTopics", "eventHubs",
    "storageContainers", "cosmosDBSqlContainers", "cosmosDBSqlCollections"};
#define KINDS       (sizeof(kinds) / sizeof(kinds[0]))
#define KINDS_SHOWN 4 /* the others are in previews */

/* ---- out --------------------------------------------------------------------------- */

static struct js *
fallback_json(bool enabled)
{
	struct js *o = js_object(), *names = js_array();
	js_append(names, js_text(EVENTS));
	js_set_text(o, "name", FALLBACK);
	js_set_text(o, "source", SOURCE);
	js_set_text(o, "condition", "true");
	js_set(o, "endpointNames", names);
	js_set_bool(o, "isEnabled", enabled);
	return o;
}

struct js *
arm_route_json(struct span routes, bool fallback)
{
	struct js *o = js_object(), *endpoints = js_object();
	for (size_t i = 0; i < KINDS_SHOWN; i++)
		js_set(endpoints, kinds[i], js_array());
	js_set(o, "endpoints", endpoints);
	js_set(o, "routes", json_doc(routes));
	js_set(o, "fallbackRoute", fallback_json(fallback));
	return o;
}

/* ---- in ---------------------------------------------------------------------------- */

static int
check_no_endpoints(const struct js *routing, struct err *e)
{
	const struct js *endpoints = NULL;
	if (js_opt(routing, "endpoints", JS_OBJECT, &endpoints, e))
		return -1;
	for (size_t i = 0; i < KINDS; i++) {
		const struct js *list = NULL;
		if (js_opt(endpoints, kinds[i], JS_ARRAY, &list, e))
			return -1;
		if (js_len(list))
			return err_set(e, ERR_UNSUPPORTED,
			    "properties.routing.endpoints.%s: messages go to the "
			    "built-in endpoint '" EVENTS "' alone, from where they are "
			    "read",
			    kinds[i]);
	}
	const struct js *more = js_get(routing, "enrichments");
	return js_len(more) == 0 ? 0
				 : err_set(e, ERR_UNSUPPORTED,
				       "properties.routing.enrichments: there are none");
}

/* Source and endpoint are the ones there are. */
static int
check_way(const struct js *route, struct err *e)
{
	const struct js *names = NULL;
	struct span source = SPAN_NONE;
	if (js_need_str(route, "source", &source, e) ||
	    js_opt(route, "endpointNames", JS_ARRAY, &names, e))
		return -1;
	if (!span_ieq(source, SPAN_LIT(SOURCE)))
		return err_set(e, ERR_UNSUPPORTED,
		    "source '%.*s': there are messages of devices (" SOURCE ") alone",
		    SPAN_FMT(span_head(source, 40)));
	if (js_len(names) == 1 && js_is(js_at(names, 0), JS_STRING) &&
	    span_eq_str(js_as_str(js_at(names, 0)), EVENTS))
		return 0;
	return err_set(
	    e, ERR_UNSUPPORTED, "endpointNames: the one endpoint is '" EVENTS "'");
}

static int
take_condition(const struct js *route, bool *ret, struct err *e)
{
	struct span text = SPAN_LIT("true");
	if (js_opt_str(route, "condition", &text, e))
		return -1;
	text = span_trim(text);
	*ret = span_ieq(text, SPAN_LIT("true"));
	if (*ret || span_ieq(text, SPAN_LIT("false")))
		return 0;
	return err_set(e, ERR_UNSUPPORTED, "condition: true or false");
}

static bool
is_route_name(struct span s)
{
	if (!s.len || s.len > NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (!span_has(SPAN_LIT("abcdefghijklmnopqrstuvwxyz0123456789-._"),
			(uint8_t)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + 32 : s.p[i])))
			return false;
	return true;
}

static bool
is_there(const struct js *routes, struct span name)
{
	struct span have;
	struct err none;
	for (size_t i = 0; i < js_len(routes); i++)
		if (js_need_str(js_at(routes, i), "name", &have, &none) == 0 &&
		    span_ieq(have, name))
			return true;
	return false;
}

/* One route, as it is kept; *all: it takes every message. */
static int
take_route(const struct js *route, struct js *out, bool *all, struct err *e)
{
	struct span name = SPAN_NONE;
	bool enabled = true, condition;
	if (!js_is(route, JS_OBJECT))
		return err_set(e, ERR_PARSE, "an object is wanted");
	if (js_need_str(route, "name", &name, e) || check_way(route, e) ||
	    take_condition(route, &condition, e) ||
	    js_opt_bool(route, "isEnabled", &enabled, e))
		return -1;
	if (!is_route_name(name))
		return err_set(e, ERR_PARSE, "name: letters, digits and -._, at most 64");
	if (is_there(out, name))
		return err_set(e, ERR_PARSE, "'%.*s' is there twice", SPAN_FMT(name));
	struct js *o = js_object(), *names = js_array();
	js_append(names, js_text(EVENTS));
	json_put_text(o, "name", name);
	js_set_text(o, "source", SOURCE);
	js_set_text(o, "condition", condition ? "true" : "false");
	js_set(o, "endpointNames", names);
	js_set_bool(o, "isEnabled", enabled);
	js_append(out, o);
	*all = *all || (enabled && condition);
	return 0;
}

static int
take_routes(const struct http_call *c, const struct js *routing, struct ipc_hub_put *m,
    struct err *e)
{
	const struct js *list = NULL;
	auto_(js_free) struct js *out = js_array();
	auto_buf text = BUF_INIT(CAP_ROUTES);
	bool all = false;
	if (js_opt(routing, "routes", JS_ARRAY, &list, e))
		return -1;
	if (!list)
		return 0;
	if (js_len(list) > ROUTES_MAX)
		return err_set(
		    e, ERR_PARSE, "properties.routing.routes: at most %d", ROUTES_MAX);
	for (size_t i = 0; i < js_len(list); i++)
		if (take_route(js_at(list, i), out, &all, e))
			return err_wrap(e, "properties.routing.routes[%zu]", i);
	js_dump(out, JS_AS_BUILT, &text);
	m->set_routes = 1;
	m->routed = all;
	m->routes = arena_span(c->arena, buf_span(&text));
	return buf_check(&text, "routes", e);
}

static int
take_fallback(const struct js *routing, struct ipc_hub_put *m, struct err *e)
{
	const struct js *route = NULL;
	bool enabled = true, condition = true;
	if (js_opt(routing, "fallbackRoute", JS_OBJECT, &route, e))
		return -1;
	if (!route)
		return 0;
	if ((js_get(route, "source") && check_way(route, e)) ||
	    take_condition(route, &condition, e) ||
	    js_opt_bool(route, "isEnabled", &enabled, e))
		return err_wrap(e, "properties.routing.fallbackRoute");
	if (!condition)
		return err_set(e, ERR_PARSE,
		    "properties.routing.fallbackRoute.condition: true alone");
	m->fallback = enabled;
	return 0;
}

int
arm_route_take(const struct http_call *c, const struct js *properties,
    struct ipc_hub_put *m, struct err *e)
{
	const struct js *routing = NULL;
	m->fallback = 2;
	if (js_opt(properties, "routing", JS_OBJECT, &routing, e))
		return -1;
	if (!routing)
		return 0;
	if (check_no_endpoints(routing, e) || take_routes(c, routing, m, e))
		return -1;
	return take_fallback(routing, m, e);
}

/* ---- tests ------------------------------------------------------------------------- */

enum { SUBSCRIPTION, GROUP, HUB }; /* the path's parameters */
enum { BODY_DEPTH = 16 };

/* In c->state: whether the route takes the message, or the message is a device's. */
struct route_test {
	bool takes;
};

/* Who may see the hub may ask what its routes do; fn gets the hub. */
static void
ask_hub(struct http_call *c,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	size_t i;
	const struct config *cfg = c->env->config;
	if (!arm_name_find_hub(cfg, c->param[HUB], c->arena, &i)) {
		arm_json_not_found(c, "hub", c->param[HUB]);
		return;
	}
	const struct ipc_hub_get m = {
	    .peer = c->peer, .cred = c->cred, .host = span_str(cfg->hub.name.v[i])};
	http_call_ask(c, IPC_HUB_GET, &m, fn);
}

static void
on_one(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct route_test *t = c->state;
	const struct ipc_done *d = msg;
	if (type != IPC_DONE)
		return;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	struct js *o = js_object(), *details = js_object();
	js_set(details, "compilationErrors", js_array());
	js_set_text(o, "result", t->takes ? "true" : "false");
	js_set(o, "details", details);
	http_call_json(c, 200, o);
}

static int
parse_one(struct http_call *c, bool *ret, struct err *e)
{
	const struct js *route = NULL;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, e);
	if (!o || js_opt(o, "route", JS_OBJECT, &route, e))
		return -1;
	if (!route)
		return err_set(e, ERR_PARSE, "route is missing");
	return check_way(route, e) || take_condition(route, ret, e) ? -1 : 0;
}

/* Whatever the message: no condition looks into it. */
void
arm_route_test_new(struct http_call *c)
{
	struct err e = {0};
	struct route_test *t = arena_alloc(c->arena, sizeof(*t));
	*t = (struct route_test){0};
	c->state = t;
	if (parse_one(c, &t->takes, &e))
		http_call_fail_err(c, &e);
	else
		ask_hub(c, on_one);
}

static void
add_taking(struct js *list, struct js *route)
{
	struct js *o = js_object();
	js_set(o, "properties", route);
	js_append(list, o);
}

static bool
takes(const struct js *route)
{
	bool enabled = false, condition = false;
	struct err none;
	return js_opt_bool(route, "isEnabled", &enabled, &none) == 0 &&
	       take_condition(route, &condition, &none) == 0 && enabled && condition;
}

/* Of the hub's routes those that take it, else the fallback route. */
static struct js *
taking_json(const struct ipc_hub *m)
{
	struct js *list = js_array();
	auto_(js_free) struct js *routes = json_doc(m->routes);
	for (size_t i = 0; i < js_len(routes); i++)
		if (takes(js_at(routes, i)))
			add_taking(list, js_copy(js_at(routes, i)));
	if (!js_len(list) && m->fallback)
		add_taking(list, fallback_json(true));
	return list;
}

static void
on_all(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct route_test *t = c->state;
	const struct ipc_done *d = msg;
	if (type == IPC_HUB) {
		auto_(js_free) struct js *o = js_object();
		js_set(o, "routes", t->takes ? taking_json(msg) : js_array());
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		http_call_json_out(c, 200);
	}
}

void
arm_route_test_all(struct http_call *c)
{
	struct err e = {0};
	struct span source = SPAN_NONE;
	struct route_test *t = arena_alloc(c->arena, sizeof(*t));
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	*t = (struct route_test){0};
	c->state = t;
	if (!o || js_opt_str(o, "routingSource", &source, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	t->takes = !source.len || span_ieq(source, SPAN_LIT(SOURCE));
	ask_hub(c, on_all);
}
