/*
 * Consumer groups of a hub's events in the resource manager's manner
 * (protocol/service.md 3.1).
 */
#include "codec/config.h"
#include "codec/js.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"
#include "proto/json.h"

enum { SUBSCRIPTION, GROUP, HUB, NAME }; /* the path's parameters */
enum { NAME_LEN_MAX = 64 };

static const char *
host_of(struct http_call *c)
{
	size_t i;
	if (arm_name_find_hub(c->env->config, c->param[HUB], c->arena, &i))
		return c->env->config->hub.name.v[i];
	arm_json_not_found(c, "hub", c->param[HUB]);
	return NULL;
}

static struct js *
consumer_json(const struct http_call *c, const struct ipc_consumer *m)
{
	struct js *o = js_object(), *p = js_object();
	js_set_text(o, "id",
	    arena_printf(c->arena,
		"/subscriptions/%.*s/resourceGroups/%.*s/providers/Microsoft.Devices/"
		"IotHubs/%.*s/eventHubEndpoints/events/ConsumerGroups/%.*s",
		SPAN_FMT(c->param[SUBSCRIPTION]), SPAN_FMT(c->param[GROUP]),
		SPAN_FMT(c->param[HUB]), SPAN_FMT(m->name)));
	json_put_text(o, "name", m->name);
	js_set_text(
	    o, "type", "Microsoft.Devices/IotHubs/EventHubEndpoints/ConsumerGroups");
	json_put_etag(o, "etag", 1);
	json_put_text(p, "name", m->name);
	json_put_time_or_never(p, "created", m->made_ms);
	js_set(o, "properties", p);
	return o;
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_CONSUMER) {
		auto_(js_free) struct js *v = consumer_json(c, msg);
		arm_json_list_add(c, v);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		arm_json_list_end(c);
	}
}

static void
on_one(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_CONSUMER) {
		auto_(js_free) struct js *v = consumer_json(c, msg);
		buf_reset(&c->out);
		js_dump(v, JS_AS_BUILT, &c->out);
	} else if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
	} else {
		http_call_json_out(c, 200);
	}
}

/* The management SDKs take 200 alone here. */
static void
on_deleted(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	(void)type;
	if (d->code == ERR_OK)
		http_call_reply(c, 200, NULL, SPAN_NONE);
	else
		http_call_fail_done(c, d);
}

void
arm_consumer_list(struct http_call *c)
{
	const char *host = host_of(c);
	if (!host)
		return;
	const struct ipc_consumer_query m = {
	    .peer = c->peer, .cred = c->cred, .host = span_str(host)};
	arm_json_list_begin(c);
	http_call_ask(c, IPC_CONSUMER_QUERY, &m, on_row);
}

/* consumer_query, _put and _delete have one list of fields. */
static void
ask_one(struct http_call *c, enum ipc_type type,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	const char *host = host_of(c);
	if (!host)
		return;
	const struct ipc_consumer_query m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = span_str(host),
	    .name = c->param[NAME]};
	if (!m.name.len || m.name.len > NAME_LEN_MAX || span_has(m.name, 0))
		arm_json_not_found(c, "consumer group", m.name);
	else
		http_call_ask(c, type, &m, fn);
}

void
arm_consumer_get(struct http_call *c)
{
	ask_one(c, IPC_CONSUMER_QUERY, on_one);
}

void
arm_consumer_put(struct http_call *c)
{
	ask_one(c, IPC_CONSUMER_PUT, on_one);
}

void
arm_consumer_delete(struct http_call *c)
{
	ask_one(c, IPC_CONSUMER_DELETE, on_deleted);
}
