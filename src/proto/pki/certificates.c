/*
 * GET /muster/certificates: the inventory as newline-delimited JSON, a page an answer.
 * One without its "end" line was cut; "next" is where to go on (?after=), "" the end.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define PAGE     256
#define TIME_MAX INT64_C(253402300799999)

static void
put_row(struct http_call *c, const struct ipc_cert_row *m)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "subject", m->subject);
	json_put_text(o, "profile", m->profile);
	json_put_text(o, "state", m->state);
	json_put_text(o, "issuer", m->issuer);
	json_put_text(o, "serial", m->serial);
	json_put_text(o, "thumbprint", m->sha256);
	json_put_text(o, "keySha256", m->key_sha256);
	json_put_text(o, "requester", m->requester);
	js_set_int(o, "notBeforeMs", m->not_before_ms);
	js_set_int(o, "notAfterMs", m->not_after_ms);
	js_set_int(o, "issuedMs", m->issued_ms);
	if (m->revoked_ms) {
		js_set_int(o, "revokedMs", m->revoked_ms);
		json_put_text(o, "reason", m->reason);
	}
	js_set_int(o, "seenMs", m->seen_ms);
	json_put_text(o, "custody", m->custody);
	json_put_text(o, "generation", m->generation);
	http_call_line(c, o);
}

static void
end_page(struct http_call *c, const struct ipc_done *d)
{
	auto_(js_free) struct js *o = js_object();
	js_set_bool(o, "end", true);
	json_put_text(o, "next", d->next);
	http_call_line(c, o);
	http_call_lines_out(c, "certificates");
}

static void
on_answer(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_CERT_ROW) {
		put_row(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		end_page(c, d);
}

void
certificates_get(struct http_call *c)
{
	struct err e = {0};
	int64_t limit = PAGE;
	struct ipc_cert_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_text(c, "deviceId", CAP_ID, &m.device_id, &e) ||
	    http_call_query_text(c, "issuer", 64, &m.issuer, &e) ||
	    http_call_query_text(c, "state", 16, &m.state, &e) ||
	    http_call_query_int(
		c, "expiresBeforeMs", 0, TIME_MAX, &m.expires_before_ms, &e) ||
	    http_call_query_int(c, "after", 0, INT64_MAX, &m.after, &e) ||
	    http_call_query_int(c, "limit", 1, PAGE, &limit, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.limit = (uint32_t)limit;
	http_call_ask(c, IPC_CERT_QUERY, &m, on_answer);
}
