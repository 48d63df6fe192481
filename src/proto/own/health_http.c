/*
 * GET /muster/health: every item with its state, and the worst of them.
 */
#include <string.h>

#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

struct tally {
	bool warn, bad;
};

static void
put_item(struct http_call *c, const struct ipc_health *m)
{
	struct tally *t = c->state;
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "name", m->name);
	json_put_text(o, "state", m->state);
	json_put_text(o, "text", m->text);
	js_set_int(o, "atMs", m->at_ms);
	t->warn |= span_eq_str(m->state, "warn");
	t->bad |= span_eq_str(m->state, "bad");
	buf_str(&c->out, c->out.len ? "," : "{\"items\":[");
	js_dump(o, JS_AS_BUILT, &c->out);
}

static void
on_item(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct tally *t = c->state;
	const struct ipc_done *d = msg;
	if (type == IPC_HEALTH) {
		put_item(c, msg);
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	buf_printf(&c->out, "%s],\"state\":\"%s\"}", c->out.len ? "" : "{\"items\":[",
	    t->bad    ? "bad"
	    : t->warn ? "warn"
		      : "ok");
	http_call_json_out(c, 200);
}

void
health_http_get(struct http_call *c)
{
	const struct ipc_health_get m = {.peer = c->peer, .cred = c->cred};
	c->state = arena_alloc(c->arena, sizeof(struct tally));
	http_call_ask(c, IPC_HEALTH_GET, &m, on_item);
}
