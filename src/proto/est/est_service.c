/*
 * An operator's hand in enrolment: one-time tokens, requests that wait, devices that may
 * renew late. Lists are newline-delimited JSON; one without its "end" line was cut.
 */
#include "base/own.h"
#include "codec/js.h"
#include "io/http.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define DEPTH    3
#define TIME_MAX INT64_C(253402300799999)
#define LIFE_MAX (INT64_C(365) * 86400 * 1000)

/* ---- rows ---------------------------------------------------------------------------
 */

static struct js *
token_json(const struct ipc_token *m)
{
	struct js *o = js_object();
	json_put_text(o, "deviceId", m->device_id);
	if (m->secret.len)
		json_put_text(o, "secret", m->secret);
	js_set_int(o, "createdMs", m->created_ms);
	js_set_int(o, "expiresMs", m->expires_ms);
	js_set_int(o, "usedMs", m->used_ms);
	json_put_text(o, "createdBy", m->created_by);
	return o;
}

static struct js *
request_json(const struct ipc_enrol_request *m)
{
	struct js *o = js_object();
	json_put_text(o, "id", m->id);
	json_put_text(o, "deviceId", m->device_id);
	json_put_text(o, "state", m->state);
	json_put_text(o, "keySha256", m->key_sha256);
	json_put_text(o, "credential", m->credential);
	json_put_text(o, "address", m->address);
	js_set_int(o, "createdMs", m->created_ms);
	js_set_int(o, "decidedMs", m->decided_ms);
	json_put_text(o, "decidedBy", m->decided_by);
	return o;
}

static struct js *
allow_json(const struct ipc_allow *m)
{
	struct js *o = js_object();
	json_put_text(o, "deviceId", m->device_id);
	js_set_int(o, "untilMs", m->until_ms);
	js_set_int(o, "quarantinedMs", m->quarantined_ms);
	json_put_text(o, "addedBy", m->added_by);
	return o;
}

static struct js *
row_json(enum ipc_type type, const void *msg)
{
	switch (type) {
	case IPC_TOKEN:
		return token_json(msg);
	case IPC_ENROL_REQUEST:
		return request_json(msg);
	default:
		return allow_json(msg);
	}
}

/* ---- one row as the answer ----------------------------------------------------------
 */

static void
on_one(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type != IPC_DONE) {
		auto_(js_free) struct js *o = row_json(type, msg);
		c->out.secret = true; /* a token's */
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else if (c->out.len)
		http_call_json_out(c, 200);
	else
		http_call_no_content(c);
}

/* ---- lists --------------------------------------------------------------------------
 */

/* "truncated": there is more than is shown at once. */
static void
end_list(struct http_call *c, const struct ipc_done *d)
{
	auto_(js_free) struct js *o = js_object();
	js_set_bool(o, "end", true);
	js_set_text(o, "next", "");
	if (d->number)
		js_set_bool(o, "truncated", true);
	http_call_line(c, o);
	http_call_lines_out(c, "list");
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type != IPC_DONE) {
		auto_(js_free) struct js *o = row_json(type, msg);
		http_call_line(c, o);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		end_list(c, d);
}

/* ---- routes -------------------------------------------------------------------------
 */

/* A body is a choice: none is an empty object. */
static struct js *
read_object(struct http_call *c, struct err *e)
{
	return c->body.len ? http_call_object(c, DEPTH, e) : js_object();
}

void
est_service_token_put(struct http_call *c)
{
	struct err e = {0};
	bool create = false;
	struct ipc_token_put m = {
	    .peer = c->peer, .cred = c->cred, .device_id = c->param[0]};
	auto_(js_free) struct js *o = read_object(c, &e);
	if (!o || js_opt_int(o, "lifeMs", 1000, LIFE_MAX, &m.life_ms, &e) ||
	    js_opt_bool(o, "create", &create, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.create = create;
	http_call_ask(c, IPC_TOKEN_PUT, &m, on_one);
}

void
est_service_token_delete(struct http_call *c)
{
	const struct ipc_token_delete m = {
	    .peer = c->peer, .cred = c->cred, .device_id = c->param[0]};
	http_call_ask(c, IPC_TOKEN_DELETE, &m, on_one);
}

void
est_service_tokens(struct http_call *c)
{
	struct err e = {0};
	struct ipc_token_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_text(c, "deviceId", CAP_ID, &m.device_id, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_TOKEN_QUERY, &m, on_list);
}

void
est_service_requests(struct http_call *c)
{
	struct err e = {0};
	struct ipc_enrol_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_text(c, "state", 16, &m.state, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ENROL_QUERY, &m, on_list);
}

void
est_service_decide(struct http_call *c)
{
	struct err e = {0};
	bool approve = false;
	struct ipc_enrol_decide m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	auto_(js_free) struct js *o = http_call_object(c, DEPTH, &e);
	if (!o || js_need_bool(o, "approve", &approve, &e) ||
	    js_opt_str(o, "comment", &m.comment, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.approve = approve;
	m.comment = span_head(m.comment, 120);
	http_call_ask(c, IPC_ENROL_DECIDE, &m, on_one);
}

void
est_service_allow_put(struct http_call *c)
{
	struct err e = {0};
	bool release = false;
	struct ipc_allow_put m = {
	    .peer = c->peer, .cred = c->cred, .device_id = c->param[0]};
	auto_(js_free) struct js *o = http_call_object(c, DEPTH, &e);
	if (!o || js_opt_int(o, "untilMs", 0, TIME_MAX, &m.until_ms, &e) ||
	    js_opt_bool(o, "release", &release, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.release = release;
	http_call_ask(c, IPC_ALLOW_PUT, &m, on_one);
}

void
est_service_allowed(struct http_call *c)
{
	const struct ipc_allow_query m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_ALLOW_QUERY, &m, on_list);
}
