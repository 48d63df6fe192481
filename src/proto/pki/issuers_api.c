/*
 * The CAs over the service API: GET /muster/issuers, one JSON object a line, and PUT
 * /muster/issuers/{name}.
 */
#include "base/base64.h"
#include "base/hex.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "io/http.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define BODY_DEPTH 4

static void
put_cert(struct js *o, struct span der)
{
	struct err e;
	struct cert_info info;
	char sha256[65];
	auto_(cert_free) struct cert *c = cert_parse(der, &e);
	auto_buf text = BUF_INIT(2 * CAP_CERT);
	if (!c)
		return; /* it is there, only nothing can be said of it */
	cert_info(c, &info);
	hex_write(span_of(c->sha256, DIGEST_SHA256), sha256);
	base64_put(&text, der);
	js_set_text(o, "sha256", sha256);
	js_set_text(o, "subject", info.subject);
	js_set_int(o, "notBeforeMs", c->not_before_ms);
	js_set_int(o, "notAfterMs", c->not_after_ms);
	js_set_text(o, "certificate", buf_text(&text));
}

static void
put_row(struct http_call *c, const struct ipc_issuer *m)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "name", m->name);
	json_put_text(o, "purpose", m->purpose);
	json_put_text(o, "state", m->state);
	json_put_text(o, "custody", m->custody);
	put_cert(o, m->cert);
	js_set_int(o, "stateMs", m->state_ms);
	js_set_int(o, "unexpired", m->unexpired);
	js_set_int(o, "revoked", m->revoked);
	js_set_int(o, "inUse", m->in_use);
	js_set_int(o, "lastSeenMs", m->last_seen_ms);
	js_set_int(o, "crlNumber", m->crl_number);
	js_set_int(o, "crlNextMs", m->crl_next_ms);
	http_call_line(c, o);
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_ISSUER) {
		put_row(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	buf_str(&c->out, "{\"end\":true,\"next\":\"\"}\n");
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		http_call_lines_out(c, "CAs");
}

void
issuers_api_list(struct http_call *c)
{
	struct err e = {0};
	struct ipc_issuer_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_text(c, "name", 64, &m.name, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ISSUER_QUERY, &m, on_list);
}

static void
on_put(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_ISSUER) {
		put_row(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		http_call_json_out(c, 200);
}

static int
parse_put(
    struct http_call *c, const struct js *o, struct ipc_issuer_put *m, struct err *e)
{
	bool force = false;
	m->name = c->param[0];
	if (m->name.len > 64)
		return err_set(e, ERR_NOT_FOUND, "no such CA");
	if (js_opt_str(o, "state", &m->state, e) ||
	    js_opt_str(o, "reason", &m->reason, e) || js_opt_bool(o, "force", &force, e))
		return -1;
	if (!m->state.len || m->state.len > 16 || m->reason.len > 32)
		return err_set(e, ERR_PARSE, "state is wanted; reason may be given");
	m->force = force;
	return 0;
}

void
issuers_api_put(struct http_call *c)
{
	struct err e = {0};
	struct ipc_issuer_put m = {.peer = c->peer, .cred = c->cred};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_put(c, o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ISSUER_PUT, &m, on_put);
}
