/*
 * Direct methods over the service API (protocol/service.md 2.6).
 */
#include <ctype.h>
#include <string.h>

#include "base/num.h"
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/hub/methods_api.h"

enum {
	BODY_DEPTH = 64,
	RESPONSE_USUAL_S = 30,
	SECONDS_MAX = 100000, /* the core says what is in range */
	GRACE_MS = 5000,      /* the core's own timers fire first */
	BAD_RESPONSE = 502000,
};

static void
fail_done(struct http_call *c, const struct ipc_done *d)
{
	/* the one number here whose status no class of ours has */
	const struct wire_error w = wire_error_of(BAD_RESPONSE);
	if (d->error == BAD_RESPONSE)
		http_call_fail(c, &w, "");
	else
		http_call_fail_done(c, d);
}

static void
on_result(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_method_result *m = msg;
	if (type == IPC_METHOD_RESULT) {
		/* the payload is JSON that the device's edge has written itself */
		buf_printf(
		    &c->out, "{\"status\":%lld,\"payload\":", (long long)m->status);
		buf_put_span(&c->out, m->payload.len ? m->payload : SPAN_LIT("null"));
		buf_str(&c->out, "}");
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		fail_done(c, d);
}

/* az sends its timeouts as text (T7). */
static int
parse_seconds(const struct js *o, const char *key, uint32_t *ret, struct err *e)
{
	const struct js *v = js_get(o, key);
	int64_t n = *ret;
	if (!v || js_is(v, JS_NULL))
		return 0;
	if (js_is(v, JS_STRING)) {
		if (num_parse(js_as_str(v), 0, SECONDS_MAX, &n, e))
			return err_wrap(e, "%s", key);
	} else if (js_opt_int(o, key, 0, SECONDS_MAX, &n, e)) {
		return -1;
	}
	*ret = (uint32_t)n;
	return 0;
}

/* The name stands in a topic as it is: Node does not decode it, and its level ends at a
 * slash (protocol/device.md 3.11). Components of Plug and Play have a '*' in theirs. */
static bool
is_method_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum(s.p[i]) && (!s.p[i] || !strchr("-._~!*'():@,;=", s.p[i])))
			return false;
	return s.len && s.len <= CAP_ID;
}

int
methods_api_parse(
    const struct js *o, struct ipc_method_call *m, struct buf *payload, struct err *e)
{
	const struct js *v = js_get(o, "payload");
	if (js_need_str(o, "methodName", &m->method, e))
		return -1;
	if (!is_method_name(m->method))
		return err_set(e, ERR_PARSE,
		    "methodName: at most %d letters, digits and -._~!*'():@,;=", CAP_ID);
	if (parse_seconds(o, "responseTimeoutInSeconds", &m->response_s, e) ||
	    parse_seconds(o, "connectTimeoutInSeconds", &m->connect_s, e))
		return -1;
	if (v)
		js_dump(v, JS_AS_BUILT, payload);
	else
		buf_str(payload, "null");
	return buf_check(payload, "payload", e);
}

static void
call_method(struct http_call *c, struct span device_id, struct span module_id)
{
	struct err e = {0};
	auto_buf payload = BUF_INIT(CAP_METHOD);
	struct ipc_method_call m = {.peer = c->peer,
	    .cred = c->cred,
	    .device_id = device_id,
	    .module_id = module_id,
	    .response_s = RESPONSE_USUAL_S};
	if (device_id.len > CAP_ID || module_id.len > CAP_ID || span_has(device_id, 0) ||
	    span_has(module_id, 0)) {
		const struct wire_error w = wire_error_of(404001);
		http_call_fail(c, &w, "");
		return;
	}
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || methods_api_parse(o, &m, &payload, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.payload = buf_span(&payload);
	int64_t wait_ms = ((int64_t)m.response_s + m.connect_s) * 1000 + GRACE_MS;
	http_call_ask_for(c, wait_ms, IPC_METHOD_CALL, &m, on_result);
}

void
methods_api_device(struct http_call *c)
{
	call_method(c, c->param[0], SPAN_NONE);
}

void
methods_api_module(struct http_call *c)
{
	call_method(c, c->param[0], c->param[1]);
}
