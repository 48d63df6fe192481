/*
 * The hub over HTTPS (protocol/device.md 4.1): telemetry, one message or a batch. A 204
 * means that all of it is durable.
 */
#include "codec/config.h"
#include "codec/event_list.h"
#include "io/http.h"
#include "proto/hub/device_call.h"
#include "proto/env.h"
#include "proto/hub/event_batch.h"
#include "proto/hub/props_http.h"

static size_t
message_max(const struct http_call *c)
{
	size_t max = c->env->config->hub.message_max;
	return max < CAP_BODY ? max : CAP_BODY;
}

/* ---- what is sent ------------------------------------------------------------------ */

struct reading {
	struct props_http props;
	struct err why;
	bool failed;
};

static void
on_header(void *ctx, const char *name, const char *value)
{
	struct reading *r = ctx;
	const struct span text = span_str(value);
	if (!r->failed)
		r->failed = props_http_add(&r->props, name, &text, false, &r->why);
}

static int
read_headers(const struct http_call *c, struct buf *out, struct err *e)
{
	struct reading r = {.failed = false};
	props_http_init(&r.props);
	http_each_header(c->req, on_header, &r);
	int rc = r.failed ? err_copy(e, &r.why) : props_http_write(&r.props, out, e);
	props_http_done(&r.props);
	return rc;
}

static int
read_single(const struct http_call *c, struct buf *out, struct err *e)
{
	auto_buf props = BUF_INIT(CAP_JSON);
	if (read_headers(c, &props, e))
		return -1;
	if (props.len + c->body.len > message_max(c))
		return err_set(e, ERR_LIMIT, "message over %zu bytes", message_max(c));
	event_list_put(out, buf_span(&props), c->body);
	return 0;
}

static bool
is_batch(const struct http_call *c)
{
	struct span type = span_str(http_call_header(c, "Content-Type"));
	type = span_head(type, span_find(type, ';'));
	return span_ieq_str(span_trim(type), EVENT_BATCH_TYPE);
}

/* ---- the answer -------------------------------------------------------------------- */

static void
on_stored(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}

void
hub_http_events(struct http_call *c)
{
	struct err e = {0};
	struct device_call who;
	auto_buf events = BUF_INIT(CAP_EVENTS);
	if (device_call_take(c, c->param[1].p != NULL, &who))
		return;
	if (is_batch(c) ? event_batch_parse(c->body, message_max(c), &events, &e)
			: read_single(c, &events, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	const struct ipc_device_send m = {.peer = c->peer,
	    .cred = c->cred,
	    .host = who.host,
	    .device_id = who.device_id,
	    .module_id = who.module_id,
	    .events = buf_span(&events)};
	http_call_ask(c, IPC_DEVICE_SEND, &m, on_stored);
}
