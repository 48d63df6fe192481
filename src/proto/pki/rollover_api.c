/*
 * Rollovers over the service API (docs/rollover.md): GET and PUT /muster/rollover, the
 * devices of a rollover, what a compromise would mean, and a CA that is revoked.
 */
#include <inttypes.h>

#include "codec/js.h"
#include "io/http.h"
#include "proto/http_call.h"
#include "proto/json.h"

#define BODY_DEPTH 4
#define TIME_MAX   INT64_C(253402300799999)
#define SPREAD_MAX (INT64_C(366) * 86400 * 1000)
#define SHARE_MAX  10000

/* ---- rows -----------------------------------------------------------------------------
 */

static void
put_counts(struct js *o, const struct ipc_rollover *m)
{
	js_set_int(o, "old", m->old);
	js_set_int(o, "moved", m->moved);
	js_set_int(o, "called", m->called);
	js_set_int(o, "silent", m->silent);
	js_set_int(o, "overdue", m->overdue);
	js_set_int(o, "ended", m->ended);
	js_set_int(o, "mute", m->mute);
	js_set_int(o, "lackingAnchor", m->lacking_anchor);
	js_set_int(o, "unused", m->loose);
	js_set_int(o, "disabled", m->disabled);
	js_set_int(o, "operators", m->operators);
	js_set_int(o, "lastOldMs", m->last_old_ms);
	js_set_int(o, "etaMs", m->eta_ms);
}

static struct js *
rollover_json(const struct ipc_rollover *m)
{
	struct js *o = js_object();
	json_put_text(o, "purpose", m->purpose);
	json_put_text(o, "from", m->from);
	json_put_text(o, "to", m->to);
	json_put_text(o, "fromSha256", m->from_sha256);
	json_put_text(o, "toSha256", m->to_sha256);
	json_put_text(o, "fromState", m->from_state);
	json_put_text(o, "toState", m->to_state);
	json_put_text(o, "state", m->state);
	js_set_int(o, "share", m->share);
	js_set_int(o, "spreadMs", m->spread_ms);
	js_set_int(o, "startedMs", m->started_ms);
	js_set_int(o, "waveMs", m->wave_ms);
	js_set_int(o, "endedMs", m->ended_ms);
	if (m->counted)
		put_counts(o, m);
	if (!m->journal_head.len)
		return o;
	json_put_text(o, "journalHead", m->journal_head);
	js_set_int(o, "journalEntries", m->journal_count);
	return o;
}

static struct js *
device_json(const struct ipc_rollover_device *m)
{
	struct js *o = js_object();
	json_put_text(o, "deviceId", m->device_id);
	json_put_text(o, "thumbprint", m->sha256);
	js_set_int(o, "seenMs", m->seen_ms);
	js_set_int(o, "checkinMs", m->report_ms);
	js_set_int(o, "notAfterMs", m->not_after_ms);
	json_put_text(o, "peer", m->peer);
	return o;
}

/* ---- lists ----------------------------------------------------------------------------
 */

static void
put_line(struct http_call *c, struct js *taken)
{
	auto_(js_free) struct js *o = taken;
	http_call_line(c, o);
}

static void
end_list(struct http_call *c, const struct ipc_done *d)
{
	struct js *o = js_object();
	js_set_bool(o, "end", true);
	json_put_text(o, "next", d->next);
	put_line(c, o);
	http_call_lines_out(c, "list");
}

static void
on_list(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_ROLLOVER)
		put_line(c, rollover_json(msg));
	else if (type == IPC_ROLLOVER_DEVICE)
		put_line(c, device_json(msg));
	else if (d->code != ERR_OK)
		http_call_fail_done(c, d);
	else
		end_list(c, d);
}

void
rollover_api_list(struct http_call *c)
{
	const struct ipc_rollover_get m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_ROLLOVER_GET, &m, on_list);
}

void
rollover_api_devices(struct http_call *c)
{
	struct err e = {0};
	int64_t limit = 0;
	struct ipc_rollover_devices m = {
	    .peer = c->peer, .cred = c->cred, .list = SPAN_LIT("old")};
	if (http_call_query_text(c, "ca", 64, &m.name, &e) ||
	    http_call_query_text(c, "list", 16, &m.list, &e) ||
	    http_call_query_text(c, "after", CAP_ID, &m.after, &e) ||
	    http_call_query_int(c, "limit", 1, 1000, &limit, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.limit = (uint32_t)limit;
	http_call_ask(c, IPC_ROLLOVER_DEVICES, &m, on_list);
}

/* ---- one as the answer ----------------------------------------------------------------
 */

/* Members are gathered as text in c->out, which goes with the call whatever becomes of
 * it. */
static void
put_member(struct http_call *c, const char *name, struct js *taken)
{
	auto_(js_free) struct js *o = taken;
	buf_printf(&c->out, "%s\"%s\":", c->out.len ? "," : "{", name);
	js_dump(o, JS_AS_BUILT, &c->out);
}

static struct js *
lines_json(struct span rest)
{
	struct js *list = js_array();
	struct err e;
	while (rest.len)
		js_append(list, js_str(span_split(&rest, '\n'), &e));
	return list;
}

static struct js *
drill_json(const struct ipc_drill *m)
{
	struct js *o = js_object();
	js_set_int(o, "sessions", m->sessions);
	json_put_text(o, "groups", m->groups);
	js_set(o, "missing", lines_json(m->missing));
	js_set_bool(o, "ready", m->missing.len == 0);
	return o;
}

static void
on_one(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_ROLLOVER) {
		put_member(c, "rollover", rollover_json(msg));
		return;
	}
	if (type == IPC_DRILL) {
		put_member(c, "drill", drill_json(msg));
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	put_member(c, "sessions", js_int(d->number));
	buf_str(&c->out, "}");
	http_call_json_out(c, 200);
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
parse_put(const struct js *o, struct ipc_rollover_put *m, struct err *e)
{
	bool force = false;
	int64_t share = 0;
	if (parse_text(o, "action", 16, &m->action, e) ||
	    parse_text(o, "from", 64, &m->from, e) ||
	    parse_text(o, "to", 64, &m->to, e) ||
	    js_opt_int(o, "share", 0, SHARE_MAX, &share, e) ||
	    js_opt_int(o, "spreadMs", 0, SPREAD_MAX, &m->spread_ms, e) ||
	    js_opt_bool(o, "force", &force, e))
		return -1;
	m->share = (uint32_t)share;
	m->force = force;
	return 0;
}

void
rollover_api_put(struct http_call *c)
{
	struct err e = {0};
	struct ipc_rollover_put m = {.peer = c->peer, .cred = c->cred, .spread_ms = -1};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_put(o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ROLLOVER_PUT, &m, on_one);
}

static int
parse_alarm(const struct js *o, struct ipc_alarm *m, struct err *e)
{
	bool force = false;
	if (m->name.len > 64)
		return err_set(e, ERR_NOT_FOUND, "no such CA");
	if (parse_text(o, "to", 64, &m->to, e) ||
	    parse_text(o, "reason", 32, &m->reason, e) ||
	    parse_text(o, "comment", 200, &m->comment, e) ||
	    js_opt_int(o, "sinceMs", 0, TIME_MAX, &m->since_ms, e) ||
	    js_opt_int(o, "spreadMs", 0, SPREAD_MAX, &m->spread_ms, e) ||
	    js_opt_bool(o, "force", &force, e))
		return -1;
	m->force = force;
	return 0;
}

void
rollover_api_revoke(struct http_call *c)
{
	struct err e = {0};
	struct ipc_alarm m = {
	    .peer = c->peer, .cred = c->cred, .name = c->param[0], .spread_ms = -1};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_alarm(o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_ALARM, &m, on_one);
}

void
rollover_api_drill(struct http_call *c)
{
	struct err e = {0};
	struct ipc_drill_get m = {.peer = c->peer,
	    .cred = c->cred,
	    .name = span_head(c->param[0], 64),
	    .spread_ms = -1};
	if (http_call_query_text(c, "to", 64, &m.to, &e) ||
	    http_call_query_int(c, "spreadMs", 0, SPREAD_MAX, &m.spread_ms, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_DRILL_GET, &m, on_one);
}
