/*
 * The hub's service API: queries (protocol/service.md 2.5). The edge refuses what is no
 * query; the core answers the others.
 */
#include "codec/js.h"
#include "codec/query.h"
#include "proto/http_call.h"
#include "proto/hub/twin_json.h"

enum {
	PAGE_MAX = 1000,
	BODY_DEPTH = 24,
	/* What no index helps with is looked for in every twin, a slice at a time. */
	WAIT_MS = 300 * 1000,
};

/* The core's pages fit an answer. Were one too long, what it is cut with is no
 * continuation, so that the next page is refused and nothing left out. */
static void
on_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_query_row *m = msg;
	auto_(js_free) struct js *v = NULL;
	struct err e;
	if (type == IPC_DEVICE)
		v = twin_json_whole(msg);
	else if (type == IPC_QUERY_ROW)
		v = js_parse(m->json, CAP_QUERY_ROW, JS_TWIN_DEPTH + 16, &e);
	else {
		http_call_list_end(c, c->state, msg);
		return;
	}
	if (v)
		http_call_list_add(c, v, SPAN_LIT("-"));
	else
		http_call_fail_err(c, &e);
}

/* Checks the text before the core is asked; *ret_item: what its rows are. */
static int
check(struct span text, const char **ret_item, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(QUERY_ARENA);
	struct query q;
	if (query_parse(text, a, &q, e))
		return -1;
	*ret_item = q.star ? "twin" : "raw";
	return 0;
}

void
hub_query_post(struct http_call *c)
{
	struct err e = {0};
	struct ipc_query m = {.peer = c->peer, .cred = c->cred};
	const char *item;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || js_need_str(o, "query", &m.text, &e) || check(m.text, &item, &e) ||
	    http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	c->state = (void *)(uintptr_t)item;
	http_call_list_begin(c);
	http_call_ask_for(c, WAIT_MS, IPC_QUERY, &m, on_row);
}
