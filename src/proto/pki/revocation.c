/*
 * Revocation over the service API: POST /muster/revoke (docs/revocation.md).
 */
#include <inttypes.h>

#include "base/hex.h"
#include "codec/js.h"
#include "crypto/digest.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define BODY_DEPTH 4

/* Rows are gathered as text in c->out, which goes with the call whatever becomes of it.
 */
static void
put_effect(struct http_call *c, const struct ipc_effect *m)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "name", m->name);
	json_put_text(o, "state", m->state);
	json_put_text(o, "text", m->text);
	buf_str(&c->out, c->out.len ? "," : "{\"effects\":[");
	js_dump(o, JS_AS_BUILT, &c->out);
}

static void
on_effect(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_EFFECT) {
		put_effect(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	buf_printf(&c->out, "],\"certificates\":%" PRId64 "}", d->number);
	http_call_json_out(c, 200);
}

static int
parse_thumbprint(
    struct http_call *c, const struct js *o, struct ipc_revoke *m, struct err *e)
{
	struct span text = SPAN_NONE;
	if (js_opt_str(o, "thumbprint", &text, e))
		return -1;
	if (!text.len)
		return 0;
	uint8_t *sha = arena_alloc(c->arena, DIGEST_SHA256);
	if (hex_parse(text, sha, DIGEST_SHA256, e))
		return err_wrap(e, "thumbprint (SHA-256, hex)");
	m->sha256 = span_of(sha, DIGEST_SHA256);
	return 0;
}

static int
parse_text(
    const struct js *o, const char *key, size_t cap, struct span *ret, struct err *e)
{
	if (js_opt_str(o, key, ret, e))
		return -1;
	if (ret->len > cap)
		return err_set(e, ERR_PARSE, "%s: at most %zu bytes", key, cap);
	return 0;
}

static int
parse_order(struct http_call *c, const struct js *o, struct ipc_revoke *m, struct err *e)
{
	bool undo = false, only = false, allow = false;
	if (parse_text(o, "deviceId", CAP_ID, &m->device_id, e) ||
	    parse_text(o, "reason", 32, &m->reason, e) ||
	    parse_text(o, "comment", 200, &m->comment, e) ||
	    parse_thumbprint(c, o, m, e) || js_opt_bool(o, "undo", &undo, e) ||
	    js_opt_bool(o, "onlyCertificate", &only, e) ||
	    js_opt_bool(o, "allow", &allow, e))
		return -1;
	m->allow = allow;
	m->undo = undo;
	m->only_certificate = only;
	return 0;
}

void
revocation_revoke(struct http_call *c)
{
	struct err e = {0};
	struct ipc_revoke m = {.peer = c->peer, .cred = c->cred};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_order(c, o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_REVOKE, &m, on_effect);
}
