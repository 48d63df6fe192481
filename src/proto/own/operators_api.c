/*
 * Operators over muster's own API: who they are, their roles and secrets. A list is
 * newline-delimited JSON; one without its "end" line was cut.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define DEPTH    3
#define LIFE_MAX (INT64_C(3650) * 86400 * 1000)

static struct js *
row_json(const struct ipc_operator *m)
{
	struct js *o = js_object();
	json_put_text(o, "name", m->name);
	json_put_text(o, "appId", m->app_id);
	json_put_text(o, "role", m->role);
	if (m->secret.len)
		json_put_text(o, "secret", m->secret);
	js_set_int(o, "addedMs", m->added_ms);
	js_set_int(o, "secretMs", m->secret_ms);
	js_set_int(o, "secretEndsMs", m->secret_end_ms);
	js_set_int(o, "signedInMs", m->signin_ms);
	js_set_int(o, "certificates", m->certificates);
	return o;
}

static void
on_one(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_OPERATOR) {
		auto_(js_free) struct js *o = row_json(msg);
		c->out.secret = true;
		buf_reset(&c->out);
		js_dump(o, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else if (c->out.len)
		http_call_json_out(c, 200);
	else
		http_call_no_content(c);
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	auto_(js_free) struct js *o = type == IPC_OPERATOR ? row_json(msg) : js_object();
	if (type != IPC_OPERATOR && d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	if (type != IPC_OPERATOR)
		js_set_bool(o, "end", true);
	http_call_line(c, o);
	if (type != IPC_OPERATOR)
		http_call_lines_out(c, "operators");
}

void
operators_api_list(struct http_call *c)
{
	const struct ipc_operator_query m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_OPERATOR_QUERY, &m, on_list);
}

/* A name that no operator can have is one that none has. */
static bool
fail_name(struct http_call *c)
{
	const struct wire_error w = wire_error_of(404000);
	if (c->param[0].len && c->param[0].len <= 64 && !span_has(c->param[0], 0))
		return false;
	http_call_fail(c, &w, "");
	return true;
}

void
operators_api_get(struct http_call *c)
{
	const struct ipc_operator_query m = {
	    .peer = c->peer, .cred = c->cred, .name = c->param[0]};
	if (!fail_name(c))
		http_call_ask(c, IPC_OPERATOR_QUERY, &m, on_one);
}

void
operators_api_put(struct http_call *c)
{
	struct err e = {0};
	bool create = false, secret = false;
	struct ipc_operator_put m = {
	    .peer = c->peer, .cred = c->cred, .name = c->param[0]};
	if (fail_name(c))
		return;
	auto_(js_free) struct js *o = http_call_object(c, DEPTH, &e);
	if (!o || js_opt_str(o, "role", &m.role, &e) ||
	    js_opt_bool(o, "create", &create, &e) ||
	    js_opt_bool(o, "newSecret", &secret, &e) ||
	    js_opt_int(o, "secretLifeMs", 60000, LIFE_MAX, &m.life_ms, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.role = span_head(m.role, 16);
	m.fresh = create;
	m.secret = secret;
	http_call_ask(c, IPC_OPERATOR_PUT, &m, on_one);
}

void
operators_api_delete(struct http_call *c)
{
	const struct ipc_operator_delete m = {
	    .peer = c->peer, .cred = c->cred, .name = c->param[0]};
	if (!fail_name(c))
		http_call_ask(c, IPC_OPERATOR_DELETE, &m, on_one);
}
