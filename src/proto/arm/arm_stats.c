/*
 * What the resource manager tells of a hub beside its resource (protocol/service.md 3.1):
 * how many devices there are, which SKUs it could have, how its endpoints are.
 */
#include "codec/config.h"
#include "codec/js.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"

enum { SUBSCRIPTION, GROUP, HUB }; /* the path's parameters */

/* NULL: there is none, and the call is answered. */
static const char *
host_of(struct http_call *c)
{
	size_t i;
	if (arm_name_find_hub(c->env->config, c->param[HUB], c->arena, &i))
		return c->env->config->hub.name.v[i];
	arm_json_not_found(c, "hub", c->param[HUB]);
	return NULL;
}

static void
on_devices(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_statistics *m = msg;
	const struct ipc_done *d = msg;
	if (type == IPC_STATISTICS) {
		auto_(js_free) struct js *o = js_object();
		js_set_int(o, "totalDeviceCount", m->total);
		js_set_int(o, "enabledDeviceCount", m->enabled);
		js_set_int(o, "disabledDeviceCount", m->total - m->enabled);
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		http_call_json_out(c, 200);
	}
}

void
arm_stats_devices(struct http_call *c)
{
	const char *host = host_of(c);
	if (!host)
		return;
	const struct ipc_hub_stats m = {
	    .peer = c->peer, .cred = c->cred, .host = span_str(host)};
	http_call_ask(c, IPC_HUB_STATS, &m, on_devices);
}

/* The others say something of the hub, but ask nothing of the core but who may see it. */
static void
after_hub(struct http_call *c,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	const char *host = host_of(c);
	if (!host)
		return;
	const struct ipc_hub_get m = {
	    .peer = c->peer, .cred = c->cred, .host = span_str(host)};
	http_call_ask(c, IPC_HUB_GET, &m, fn);
}

/* The one that every hub here has. */
static struct js *
sku_json(void)
{
	struct js *o = js_object(), *sku = js_object(), *capacity = js_object();
	js_set_text(sku, "name", "S1");
	js_set_text(sku, "tier", "Standard");
	js_set_int(sku, "capacity", 1);
	js_set_int(capacity, "minimum", 1);
	js_set_int(capacity, "maximum", 1);
	js_set_int(capacity, "default", 1);
	js_set_text(capacity, "scaleType", "None");
	js_set_text(o, "resourceType", "Microsoft.Devices/IotHubs");
	js_set(o, "sku", sku);
	js_set(o, "capacity", capacity);
	return o;
}

static void
on_skus(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type != IPC_DONE)
		return;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	auto_(js_free) struct js *v = sku_json();
	arm_json_list_begin(c);
	arm_json_list_add(c, v);
	arm_json_list_end(c);
}

void
arm_stats_skus(struct http_call *c)
{
	after_hub(c, on_skus);
}

/* Of endpoints that somebody added: there are none (arm_route.h). */
static void
on_health(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type != IPC_DONE)
		return;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	arm_json_list_begin(c);
	arm_json_list_end(c);
}

void
arm_stats_endpoints(struct http_call *c)
{
	after_hub(c, on_health);
}
