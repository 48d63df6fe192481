/*
 * GET /muster/compliance: findings as newline-delimited JSON, a page of devices an
 * answer. One without its "end" line was cut; "next" is where to go on (?after=), "" the
 * end.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define POLICY_MAX 32
#define PAGE       256

static void
put_finding(struct http_call *c, const struct ipc_finding *m)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "subject", m->subject);
	json_put_text(o, "name", m->name);
	json_put_text(o, "row", m->row);
	json_put_text(o, "control", m->control);
	json_put_text(o, "text", m->text);
	http_call_line(c, o);
}

static void
end_page(struct http_call *c, const struct ipc_done *d)
{
	auto_(js_free) struct js *o = js_object();
	js_set_bool(o, "end", true);
	json_put_text(o, "next", d->next);
	js_set_int(o, "devices", d->number);
	http_call_line(c, o);
	http_call_lines_out(c, "findings");
}

static void
on_answer(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_FINDING) {
		put_finding(c, msg);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		end_page(c, d);
}

void
compliance_get(struct http_call *c)
{
	struct err e = {0};
	int64_t limit = PAGE;
	struct ipc_compliance_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_query_text(c, "policy", POLICY_MAX, &m.policy, &e) ||
	    http_call_query_text(c, "after", CAP_ID, &m.after, &e) ||
	    http_call_query_int(c, "limit", 1, PAGE, &limit, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.limit = (uint32_t)limit;
	http_call_ask(c, IPC_COMPLIANCE_QUERY, &m, on_answer);
}
