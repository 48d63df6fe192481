/*
 * Cloud-to-device messages over the service API: sending, the feedback, purging a queue
 * (protocol/service.md 2.2, 2.8). What the documented clients send over AMQP comes here
 * as headers, spelled as the device's side of HTTPS has them (protocol/device.md 4.2).
 */
#include <stdio.h>
#include <string.h>

#include "codec/iso8601.h"
#include "codec/js.h"
#include "io/http.h"
#include "proto/http_call.h"
#include "proto/hub/c2d_message.h"
#include "proto/hub/outcome_json.h"
#include "proto/json.h"

enum { LOCK_MAX = 40, NUMBER_NO_DEVICE = 404001 };

/* ---- sending ----------------------------------------------------------------------- */

/* One of the texts that have a field of their own. */
static int
parse_text(const struct http_call *c, const char *name, struct span *ret, struct err *e)
{
	const char *value = http_call_header(c, name);
	if (value && strlen(value) > CAP_ID)
		return err_set(e, ERR_PARSE, "%s: over %d characters", name, CAP_ID);
	*ret = span_str(value);
	return 0;
}

struct headers {
	struct js *sys_props, *app_props;
	bool bad;
};

/* The rest, as properties of the message. An application's keep their spelling. */
static void
on_header(void *ctx, const char *name, const char *value)
{
	static const struct {
		const char *header, *name;
	} rows[] = {
	    {"iothub-contenttype", "content-type"},
	    {"iothub-contentencoding", "content-encoding"},
	    {"iothub-expiry", "absolute-expiry-time"},
	};
	struct headers *h = ctx;
	struct err e;
	struct js *v = js_str(span_str(value), &e);
	static const char prefix[] = "iothub-app-";
	if (!v) {
		h->bad = true; /* not UTF-8: no topic can carry it */
		return;
	}
	if (span_istarts(span_str(name), SPAN_LIT("iothub-app-")) &&
	    name[sizeof(prefix) - 1]) {
		js_set(h->app_props, name + sizeof(prefix) - 1, v);
		return;
	}
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (!span_ieq_str(span_str(name), rows[i].header) || !*value)
			continue;
		js_set(h->sys_props, rows[i].name, v);
		return;
	}
	js_free(v);
}

/* Nothing at all where there is none, so that the whole size is the body's. */
static int
parse_props(const struct http_call *c, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	struct headers h = {.sys_props = js_object(), .app_props = js_object()};
	js_set(o, "application", h.app_props);
	js_set(o, "system", h.sys_props);
	http_each_header(c->req, on_header, &h);
	if (h.bad)
		return err_set(e, ERR_PARSE, "a property is not UTF-8");
	if (js_len(h.app_props) || js_len(h.sys_props))
		js_dump(o, JS_SORTED, out);
	return buf_check(out, "properties", e);
}

static int
parse_expiry(const struct http_call *c, int64_t *ret_ms, struct err *e)
{
	const char *text = http_call_header(c, "iothub-expiry");
	if (!text || !*text)
		return 0;
	if (iso8601_parse(span_str(text), ret_ms, e))
		return err_wrap(e, "iothub-expiry");
	*ret_ms = *ret_ms > 0 ? *ret_ms : 1; /* long ago, and not "not given" */
	return 0;
}

static void
on_sent(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	(void)type;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}

static void
fail_no_device(struct http_call *c)
{
	const struct wire_error w = wire_error_of(NUMBER_NO_DEVICE);
	http_call_fail(c, &w, "");
}

static void
send_to(struct http_call *c, struct span id)
{
	struct err e = {0};
	auto_buf props = BUF_INIT(CAP_C2D);
	struct ipc_c2d_send m = {
	    .peer = c->peer, .cred = c->cred, .device_id = id, .body = c->body};
	if (!c2d_message_is_id(id)) {
		fail_no_device(c);
		return;
	}
	if (parse_text(c, "iothub-messageid", &m.message_id, &e) ||
	    parse_text(c, "iothub-correlationid", &m.correlation_id, &e) ||
	    parse_text(c, "iothub-userid", &m.user_id, &e) ||
	    c2d_message_ack(span_str(http_call_header(c, "iothub-ack")), &m.ack, &e) ||
	    parse_expiry(c, &m.expires_ms, &e) || parse_props(c, &props, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.props = buf_span(&props);
	http_call_ask(c, IPC_C2D_SEND, &m, on_sent);
}

void
c2d_api_send(struct http_call *c)
{
	struct err e = {0};
	struct span id, to = span_str(http_call_header(c, "iothub-to"));
	if (c2d_message_to(to, c->arena, &id, &e))
		http_call_fail_err(c, &e);
	else
		send_to(c, id);
}

/* The same with the device in the path, as the Rust SDK and hand-written clients have it.
 */
void
c2d_api_send_to(struct http_call *c)
{
	send_to(c, c->param[0]);
}

/* ---- purging ----------------------------------------------------------------------- */

static void
on_purged(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	(void)type;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	struct js *o = js_object();
	json_put_text(o, "deviceId", c->param[0]);
	js_set(o, "moduleId", js_null());
	js_set_int(o, "totalMessagesPurged", d->number);
	http_call_json(c, 200, o);
}

void
c2d_api_purge(struct http_call *c)
{
	const struct ipc_c2d_purge m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (c2d_message_is_id(m.id))
		http_call_ask(c, IPC_C2D_PURGE, &m, on_purged);
	else
		fail_no_device(c);
}

/* ---- feedback ---------------------------------------------------------------------- */

static void
on_feedback(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	char tag[LOCK_MAX + 3];
	if (type == IPC_FEEDBACK) {
		auto_(js_free) struct js *o = outcome_json_feedback(msg);
		buf_str(&c->out, c->out.len ? "," : "[");
		js_dump(o, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	if (!d->next.len) {
		http_call_no_content(c);
		return;
	}
	snprintf(tag, sizeof(tag), "\"%.*s\"", SPAN_FMT(span_head(d->next, LOCK_MAX)));
	http_call_set(c, "ETag", tag);
	buf_str(&c->out, "]");
	http_call_reply(c, 200, OUTCOME_JSON_FEEDBACK, buf_span(&c->out));
}

void
c2d_api_feedback(struct http_call *c)
{
	const struct ipc_feedback_receive m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_FEEDBACK_RECEIVE, &m, on_feedback);
}

static void
settle_feedback(struct http_call *c, enum ipc_settle how)
{
	const struct ipc_feedback_settle m = {.peer = c->peer,
	    .cred = c->cred,
	    .lock = span_head(c->param[0], LOCK_MAX), /* ours are shorter */
	    .how = how};
	if (span_has(m.lock, 0)) {
		const struct wire_error w = wire_error_of(412002);
		http_call_fail(c, &w, "");
		return;
	}
	http_call_ask(c, IPC_FEEDBACK_SETTLE, &m, on_sent);
}

void
c2d_api_feedback_complete(struct http_call *c)
{
	settle_feedback(c, IPC_SETTLE_COMPLETE);
}

void
c2d_api_feedback_abandon(struct http_call *c)
{
	settle_feedback(c, IPC_SETTLE_ABANDON);
}
