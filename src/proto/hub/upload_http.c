/*
 * File uploads (protocol/device.md 4.4): what a device asks and tells, and the notices
 * that services fetch.
 */
#include "base/clock.h"
#include "codec/js.h"
#include "codec/utf8.h"
#include "proto/hub/device_call.h"
#include "proto/hub/outcome_json.h"
#include "proto/json.h"

enum {
	BODY_DEPTH = 4,
	ID_LEN = 64,
	TEXT_LEN = 300,
};

static void
finish(struct http_call *c, const struct ipc_done *d, bool has_row)
{
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else if (has_row)
		http_call_json_out(c, 200);
	else
		http_call_no_content(c);
}

static void
gather(struct http_call *c, struct js *v)
{
	js_dump(v, JS_AS_BUILT, &c->out);
	js_free(v);
}

/* ---- a device begins --------------------------------------------------------------- */

static void
on_started(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_upload *m = msg;
	if (type == IPC_DONE) {
		finish(c, msg, true);
		return;
	}
	struct js *o = js_object();
	json_put_text(o, "correlationId", m->id);
	json_put_text(o, "hostName", m->host);
	json_put_text(o, "containerName", m->container);
	json_put_text(o, "blobName", m->blob);
	json_put_text(o, "sasToken", m->sas);
	c->out.secret = true;
	gather(c, o);
}

static int
read_blob_name(const struct http_call *c, struct span *ret, struct err *e)
{
	struct span name;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, e);
	if (!o || js_need_str(o, "blobName", &name, e))
		return -1;
	if (name.len > CAP_BLOB)
		return err_set(
		    e, ERR_PARSE, "blobName: over %d bytes of UTF-8", CAP_BLOB);
	*ret = arena_span(c->arena, name);
	return 0;
}

void
upload_http_start(struct http_call *c)
{
	struct err e = {0};
	struct device_call who;
	struct span blob;
	if (device_call_take(c, false, &who))
		return;
	if (read_blob_name(c, &blob, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	const struct ipc_upload_start m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = who.host,
	    .device_id = who.device_id,
	    .blob = blob};
	http_call_ask(c, IPC_UPLOAD_START, &m, on_started);
}

/* ---- a device ends ----------------------------------------------------------------- */

static void
on_ended(struct http_call *c, enum ipc_type type, const void *msg)
{
	finish(c, msg, false);
}

/* Node has the ID in the path, the others in the body (rows 28 and 29). */
static int
read_end(const struct http_call *c, struct ipc_upload_end *m, struct err *e)
{
	bool succeeded = false;
	struct span id = c->param[1], text = SPAN_NONE;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, e);
	if (!o || js_need_bool(o, "isSuccess", &succeeded, e) ||
	    js_opt_int(o, "statusCode", INT64_MIN, INT64_MAX, &m->status, e) ||
	    js_opt_str(o, "statusDescription", &text, e))
		return -1;
	if (!id.p && js_need_str(o, "correlationId", &id, e))
		return -1;
	if (!id.len || id.len > ID_LEN || !utf8_ok_no_nul(id))
		return err_set(e, ERR_PARSE, "not a correlation ID of ours");
	m->id = arena_span(c->arena, id);
	m->succeeded = succeeded;
	m->text = arena_span(c->arena, span_head(text, TEXT_LEN));
	return 0;
}

void
upload_http_end(struct http_call *c)
{
	struct err e = {0};
	struct device_call who;
	if (device_call_take(c, false, &who))
		return;
	struct ipc_upload_end m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = who.host,
	    .device_id = who.device_id};
	if (read_end(c, &m, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_UPLOAD_END, &m, on_ended);
}

/* ---- services ---------------------------------------------------------------------- */

static void
on_notice(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_notice *m = msg;
	if (type == IPC_DONE) {
		finish(c, msg, c->state != NULL);
		return;
	}
	struct js *o = outcome_json_notice(m);
	c->state = c;
	http_call_set(c, "ETag", arena_printf(c->arena, "\"%.*s\"", SPAN_FMT(m->lock)));
	gather(c, o);
}

void
upload_http_notice(struct http_call *c)
{
	const struct ipc_notice_get m = {.peer = c->peer, .cred = c->cred};
	if (http_call_refuse_head(c))
		return;
	http_call_ask(c, IPC_NOTICE_GET, &m, on_notice);
}

static void
end_notice(struct http_call *c, bool release)
{
	struct err e;
	const struct ipc_notice_end m = {
	    .peer = c->peer, .cred = c->cred, .lock = c->param[0], .release = release};
	if (m.lock.len > ID_LEN || !utf8_ok_no_nul(m.lock)) {
		err_set(&e, ERR_CONFLICT, "not a lock token of ours");
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_NOTICE_END, &m, on_ended);
}

void
upload_http_complete(struct http_call *c)
{
	end_notice(c, false);
}

void
upload_http_abandon(struct http_call *c)
{
	end_notice(c, true);
}
