/*
 * muster's own API: telemetry and the connection log as newline-delimited JSON. Rows are
 * fetched in small pages and the next page only when the reader has taken the last one,
 * so a slow reader holds no memory. A stream without its "end" line was cut.
 */
#include <inttypes.h>

#include "base/base64.h"
#include "base/num.h"
#include "codec/js.h"
#include "io/http.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define TYPE_NDJSON "application/x-ndjson"

enum {
	EVENTS_PAGE = 32, /* of at most 300 KB each */
	CONNLOG_PAGE = 256,
	LINE_BYTES = 1 << 20,
	BODY_DEPTH = 64,
};

struct stream {
	int64_t after, left; /* rows still wanted */
	int64_t since_ms;
	struct span device_id, thumb, what, auth, plane;
	uint32_t page;
	uint32_t rows; /* of the page under way */
	int64_t complete_since_ms;
	bool is_log;
	bool waits; /* for room */
};

static void ask_page(struct http_call *c);

static void
on_room(void *call)
{
	struct http_call *c = call;
	struct stream *s = c->state;
	if (!s->waits)
		return;
	s->waits = false;
	ask_page(c);
}

static void
write_line(struct http_call *c, const struct js *v)
{
	buf_reset(&c->out);
	js_dump(v, JS_AS_BUILT, &c->out);
	buf_str(&c->out, "\n");
	http_stream_write(c->req, buf_span(&c->out));
}

/* As JSON where it is that, else bytes in base64. */
static void
put_body(struct js *o, struct span body)
{
	struct err e;
	struct js *v = js_parse(body, CAP_BODY, BODY_DEPTH, &e);
	if (v) {
		js_set(o, "body", v);
		return;
	}
	auto_buf text = BUF_INIT(LINE_BYTES);
	base64_put(&text, body);
	js_set_text(o, "bodyBase64", buf_text(&text));
}

static void
put_identity(struct js *o, struct span device_id, struct span module_id)
{
	json_put_text(o, "deviceId", device_id);
	if (module_id.len)
		json_put_text(o, "moduleId", module_id);
}

static void
write_event(struct http_call *c, const struct ipc_event *m)
{
	auto_(js_free) struct js *o = js_object();
	js_set_int(o, "seq", m->seq);
	js_set_int(o, "enqueuedTimeMs", m->enqueued_ms);
	put_identity(o, m->device_id, m->module_id);
	json_put_text(o, "authType", m->auth);
	json_put_text(o, "thumbprint", m->thumb);
	json_put_text(o, "generationId", m->generation);
	json_put_doc(o, "properties", m->props);
	put_body(o, m->body);
	write_line(c, o);
}

static void
write_conn(struct http_call *c, const struct ipc_connlog *m)
{
	auto_(js_free) struct js *o = js_object();
	js_set_int(o, "seq", m->seq);
	js_set_int(o, "timeMs", m->at_ms);
	json_put_text(o, "event", m->what);
	json_put_text(o, "plane", m->plane);
	put_identity(o, m->device_id, m->module_id);
	json_put_text(o, "authType", m->auth);
	json_put_text(o, "scope", m->scope);
	json_put_text(o, "thumbprint", m->thumb);
	js_set_int(o, "code", m->code);
	json_put_text(o, "reason", m->reason);
	json_put_text(o, "peer", m->peer);
	json_put_text(o, "agent", m->agent);
	json_put_text(o, "protocol", m->proto);
	write_line(c, o);
}

static void
write_end(struct http_call *c)
{
	struct stream *s = c->state;
	auto_(js_free) struct js *o = js_object();
	char next[24];
	snprintf(next, sizeof(next), "%" PRId64, s->after);
	js_set_text(o, "next", next);
	if (s->is_log)
		js_set_int(o, "completeSinceMs", s->complete_since_ms);
	js_set_bool(o, "end", true);
	write_line(c, o);
	http_call_stream_end(c, false);
}

static void
begin(struct http_call *c)
{
	if (!c->streaming)
		http_call_stream_start(c, TYPE_NDJSON, on_room);
}

/* A page without rows is the end; next says how far the core has looked. */
static void
on_page_done(struct http_call *c, const struct ipc_done *d)
{
	struct stream *s = c->state;
	int64_t next;
	if (d->code != ERR_OK && !c->streaming) {
		http_call_fail_done(c, d);
		return;
	}
	if (d->code != ERR_OK) {
		http_call_stream_end(c, true);
		return;
	}
	begin(c);
	/* a page without rows may have looked at as much as a turn should */
	bool looked = num_ok(d->next, 0, INT64_MAX, &next) && next > s->after;
	if (looked)
		s->after = next;
	s->complete_since_ms = d->number;
	if ((!s->rows && !looked) || !s->left) {
		write_end(c);
		return;
	}
	if (http_stream_room(c->req))
		ask_page(c);
	else
		s->waits = true;
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	struct stream *s = c->state;
	if (type == IPC_DONE) {
		on_page_done(c, msg);
		return;
	}
	begin(c);
	s->rows++;
	s->left--;
	if (s->is_log) {
		s->after = ((const struct ipc_connlog *)msg)->seq;
		write_conn(c, msg);
	} else {
		s->after = ((const struct ipc_event *)msg)->seq;
		write_event(c, msg);
	}
}

static void
ask_page(struct http_call *c)
{
	struct stream *s = c->state;
	uint32_t limit = s->left < s->page ? (uint32_t)s->left : s->page;
	s->rows = 0;
	if (s->is_log) {
		const struct ipc_connlog_read m = {.peer = c->peer,
		    .cred = c->cred,
		    .after_seq = s->after,
		    .since_ms = s->since_ms,
		    .device_id = s->device_id,
		    .what = s->what,
		    .auth = s->auth,
		    .plane = s->plane,
		    .limit = limit};
		http_call_ask(c, IPC_CONNLOG_READ, &m, on_row);
		return;
	}
	const struct ipc_events_read m = {.peer = c->peer,
	    .cred = c->cred,
	    .after_seq = s->after,
	    .since_ms = s->since_ms,
	    .device_id = s->device_id,
	    .thumb = s->thumb,
	    .limit = limit};
	http_call_ask(c, IPC_EVENTS_READ, &m, on_row);
}

static int
parse_common(struct http_call *c, struct stream *s, struct err *e)
{
	s->left = INT64_MAX;
	if (http_call_query_int(c, "afterSeq", 0, INT64_MAX, &s->after, e) ||
	    http_call_query_int(c, "sinceMs", 0, INT64_MAX, &s->since_ms, e) ||
	    http_call_query_int(c, "limit", 1, INT64_MAX, &s->left, e))
		return -1;
	return http_call_query_text(c, "deviceId", CAP_ID, &s->device_id, e);
}

static struct stream *
stream_new(struct http_call *c, bool is_log)
{
	struct stream *s = arena_alloc(c->arena, sizeof(*s));
	s->is_log = is_log;
	s->page = is_log ? CONNLOG_PAGE : EVENTS_PAGE;
	c->state = s;
	return s;
}

void
own_api_events(struct http_call *c)
{
	struct err e = {0};
	if (http_call_refuse_head(c)) /* a stream has no length to tell */
		return;
	struct stream *s = stream_new(c, false);
	if (parse_common(c, s, &e) ||
	    http_call_query_text(c, "thumbprint", 64, &s->thumb, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	ask_page(c);
}

void
own_api_connections(struct http_call *c)
{
	struct err e = {0};
	if (http_call_refuse_head(c)) /* a stream has no length to tell */
		return;
	struct stream *s = stream_new(c, true);
	if (parse_common(c, s, &e) || http_call_query_text(c, "what", 16, &s->what, &e) ||
	    http_call_query_text(c, "authType", 8, &s->auth, &e) ||
	    http_call_query_text(c, "plane", 16, &s->plane, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	ask_page(c);
}
