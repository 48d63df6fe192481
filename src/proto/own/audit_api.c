/*
 * The audit record over muster's own API: newline-delimited JSON, a page an answer, whose
 * last line says where the next begins. A list without its "end" line was cut.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define PAGE_MAX 1000
#define TIME_MAX INT64_C(253402300799999)

static struct js *
row_json(const struct ipc_audit *m)
{
	struct js *o = js_object();
	js_set_int(o, "seq", m->seq);
	json_put_time(o, "at", m->at_ms);
	json_put_text(o, "who", m->who);
	json_put_text(o, "auth", m->auth);
	json_put_text(o, "what", m->what);
	json_put_text(o, "target", m->target);
	json_put_text(o, "result", m->result);
	json_put_text(o, "detail", m->detail);
	json_put_text(o, "peer", m->address);
	json_put_text(o, "agent", m->agent);
	return o;
}

static struct js *
end_json(const struct ipc_done *d)
{
	struct js *o = js_object();
	js_set_bool(o, "end", true);
	json_put_text(o, "next", d->next);
	return o;
}

static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_DONE && d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	auto_(js_free) struct js *o = type == IPC_DONE ? end_json(d) : row_json(msg);
	http_call_line(c, o);
	if (type == IPC_DONE)
		http_call_lines_out(c, "audit record");
}

void
audit_api_get(struct http_call *c)
{
	struct err e = {0};
	int64_t limit = PAGE_MAX;
	struct ipc_audit_read m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_int(c, "after", 0, INT64_MAX, &m.after_seq, &e) ||
	    http_call_query_int(c, "since", 0, TIME_MAX, &m.since_ms, &e) ||
	    http_call_query_int(c, "limit", 1, PAGE_MAX, &limit, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.limit = (uint32_t)limit;
	http_call_ask(c, IPC_AUDIT_READ, &m, on_row);
}
