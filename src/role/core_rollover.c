/*
 * Messages of rollovers and of a CA that is in other hands. What needs a count waits for
 * it: a count goes on in slices, a slice a turn, so that a fleet of a million holds
 * nobody up; the last slice and what is decided by it are one turn.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "base/log.h"
#include "crypto/crl.h"
#include "domain/pki/leaf.h"
#include "domain/pki/rollover.h"
#include "role/core.h"

#define SLICE_ROWS  4000
#define SLICE_MS    1 /* until the next: others have their turn */
#define JOBS_MAX    32
#define LIST_MAX    1000
#define LIST_ROWS   20000 /* looked at for one page */
#define SPREAD_MAX  (INT64_C(366) * 86400 * 1000)
#define SPREAD_AUTO (-1)

/* Something that waits for its count. */
struct core_job {
	struct list all;
	struct ask ask;
	int64_t n; /* of the rollover; 0: a drill */
	char from[65], to[65];
	struct census census;
	/* what then: NULL: only the answer */
	int (*act)(
	    struct core *c, struct core_job *j, struct store_rollover *r, struct err *e);
	int (*answer)(struct core *c, struct core_job *j, const struct store_rollover *r,
	    struct err *e);
	uint32_t share;
	int64_t spread_ms;
	bool force;
	char operator[LEAF_THUMB], operator_issuer[65], address[65];
	char journal_head[65];
	int64_t journal_count;
	int64_t rest[ROLLOVER_OPEN_MAX]; /* of a list: the rollovers that come after */
	size_t n_rest;
};

/* ---- answers --------------------------------------------------------------------------
 */

static void
put_counts(const struct census *n, struct ipc_rollover *m)
{
	m->counted = 1;
	m->old = n->old;
	m->moved = n->moved;
	m->called = n->called;
	m->silent = n->silent;
	m->overdue = n->overdue;
	m->ended = n->ended;
	m->mute = n->mute;
	m->lacking_anchor = n->lacking_anchor;
	m->loose = n->loose;
	m->disabled = n->disabled;
	m->operators = n->operators;
	m->last_old_ms = n->last_old_ms;
	m->eta_ms = census_eta_ms(n);
}

static int
answer_row(struct core *c, const struct ask *a, const struct store_rollover *r,
    const struct core_job *j, struct err *e)
{
	struct store_issuer from, to = {.name = "", .state = ""};
	struct arena *ar = turn_arena(c->turn);
	if (store_issuer_get(c->store, r->from_issuer, ar, &from, e) ||
	    (r->to_issuer[0] && store_issuer_get(c->store, r->to_issuer, ar, &to, e)))
		return -1;
	struct ipc_rollover m = {.purpose = span_str(from.purpose),
	    .from = span_str(from.name),
	    .to = span_str(to.name),
	    .from_sha256 = span_str(r->from_issuer),
	    .to_sha256 = span_str(r->to_issuer),
	    .from_state = span_str(from.state),
	    .to_state = span_str(to.state),
	    .state = span_str(r->state),
	    .share = (uint32_t)r->share,
	    .spread_ms = r->spread_ms,
	    .started_ms = r->started_ms,
	    .wave_ms = r->wave_ms,
	    .ended_ms = r->ended_ms};
	if (j) {
		put_counts(&j->census, &m);
		m.journal_head = span_str(j->journal_head);
		m.journal_count = j->journal_count;
	}
	return core_answer(c, a, IPC_ROLLOVER, &m, e);
}

static int
log_act(struct core *c, const struct core_job *j, const char *what,
    const struct store_rollover *r, const char *more, struct err *e)
{
	struct store_issuer from, to;
	struct arena *ar = turn_arena(c->turn);
	if (store_issuer_get(c->store, r->from_issuer, ar, &from, e) ||
	    store_issuer_get(c->store, r->to_issuer, ar, &to, e))
		return -1;
	const char *text = arena_printf(ar, "%s: from %s to %s%s%s", what, from.name,
	    to.name, more[0] ? ", " : "", more);
	struct store_conn line = {.what = "rollover",
	    .plane = "service",
	    .device_id = "",
	    .auth = "x509",
	    .scope = "operator",
	    .thumb = j->operator,
	    .reason = text,
	    .peer = j->address,
	    .agent = ""};
	log_event(LOG_WARN, "core.rollover", LOG_STR("text", text),
	    LOG_STR("operator", j->operator));
	return core_log_conn(c, &line, e);
}

/* CAs changed their states: edges are told, sessions looked at. */
static void
apply_states(struct core *c)
{
	core_issuers_changed(c);
	core_recheck_all(c);
}

/* ---- jobs -----------------------------------------------------------------------------
 */

static struct core_job *
new_job(const struct ask *a, const struct ipc_peer *peer, const struct ipc_cred *cred)
{
	struct core_job *j = own_alloc(sizeof(*j));
	j->ask = *a;
	leaf_thumb(cred, j->operator);
	if (leaf_ca(cred, 0).len)
		hex_write(leaf_ca(cred, 0), j->operator_issuer);
	(void)span_to_str(span_head(peer->address, 64), j->address, sizeof(j->address));
	return j;
}

/* A job's rollover as it is now. It may have ended while it was counted. */
static int
load(struct core *c, const struct core_job *j, struct store_rollover *ret, struct err *e)
{
	struct rollover_list all;
	if (!j->n) {
		*ret = (struct store_rollover){
		    .from_issuer = j->from, .to_issuer = j->to, .state = ""};
		return 0;
	}
	if (rollover_list(&c->d, &all, e))
		return -1;
	for (size_t i = 0; i < all.n; i++)
		if (all.v[i].n == j->n) {
			*ret = all.v[i];
			return 0;
		}
	return err_set(e, ERR_CONFLICT, "it has ended meanwhile");
}

static int
begin_count(struct core *c, struct core_job *j, const struct store_rollover *r,
    enum census_kind kind, struct err *e)
{
	j->n = r->n;
	return census_init(&j->census, &c->d, r, kind, e);
}

static int
conclude(struct core *c, struct core_job *j, bool *ret_more, struct err *e)
{
	struct store_rollover r;
	*ret_more = false;
	if (load(c, j, &r, e) || (j->act && j->act(c, j, &r, e)) ||
	    (j->answer ? j->answer(c, j, &r, e) : answer_row(c, &j->ask, &r, j, e)))
		return -1;
	if (!j->n_rest)
		return core_done(c, &j->ask, "", 0, e);
	j->n = j->rest[--j->n_rest];
	*ret_more = true;
	return load(c, j, &r, e) || begin_count(c, j, &r, CENSUS_STATUS, e) ? -1 : 0;
}

/* A slice; *ret_more: come again. */
static int
advance(struct core *c, struct core_job *j, bool *ret_more, struct err *e)
{
	if (census_step(&c->d, &j->census, SLICE_ROWS, ret_more, e))
		return -1;
	return *ret_more ? 0 : conclude(c, j, ret_more, e);
}

/* Takes j over. The first slice is done at once: of most fleets it is the only one. */
static int
run_job(struct core *c, struct core_job *j, struct err *e)
{
	bool more;
	if (advance(c, j, &more, e)) {
		free(j);
		return -1;
	}
	if (!more) {
		free(j);
		return 0;
	}
	list_push(&c->jobs, &j->all);
	c->n_jobs++;
	loop_timer_start(c->job_timer, SLICE_MS);
	return 0;
}

static void
drop_job(struct core *c, struct core_job *j)
{
	list_del(&j->all);
	c->n_jobs--;
	free(j);
}

void
core_rollover_slice(void *arg)
{
	struct core *c = arg;
	struct err e = {0};
	bool more = false;
	if (list_empty(&c->jobs))
		return;
	struct core_job *j = list_of(c->jobs.next, struct core_job, all);
	if (turn_enter(c->turn, &j->ask, &e)) {
		core_fail(c, &j->ask, &e);
		core_give_up(c, &e);
		return;
	}
	if (advance(c, j, &more, &e))
		core_settle(c, &j->ask, &e);
	list_del(&j->all);
	list_push(&c->jobs, &j->all); /* in turn */
	if (!more)
		drop_job(c, j);
	if (!list_empty(&c->jobs))
		loop_timer_start(c->job_timer, SLICE_MS);
}

void
core_forget_rollovers(struct core *c, unsigned edge)
{
	list_each_safe (it, &c->jobs) {
		struct core_job *j = list_of(it, struct core_job, all);
		if (edge == CORE_EDGES_MAX || j->ask.edge == edge)
			drop_job(c, j);
	}
}

static int
check_room(const struct core *c, struct err *e)
{
	if (c->n_jobs < JOBS_MAX)
		return 0;
	return err_set(e, ERR_BUSY, "%d counts are under way", JOBS_MAX);
}

/* ---- status ---------------------------------------------------------------------------
 */

/* Nothing is under way: what was last. */
static int
answer_last(struct core *c, const struct ask *a, struct err *e)
{
	struct store_rollover r;
	if (rollover_last(&c->d, &r, e))
		return -1;
	if (r.n && answer_row(c, a, &r, NULL, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_rollover_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_rollover_get *m = msg;
	struct rollover_list all;
	if (rollover_list(&c->d, &all, e) || check_room(c, e))
		return -1;
	if (!all.n)
		return answer_last(c, a, e);
	struct core_job *j = new_job(a, &m->peer, &m->cred);
	for (size_t i = 1; i < all.n; i++)
		j->rest[j->n_rest++] = all.v[i].n;
	if (begin_count(c, j, &all.v[0], CENSUS_STATUS, e)) {
		free(j);
		return -1;
	}
	return run_job(c, j, e);
}

struct page {
	struct core *c;
	const struct ask *a;
	struct census census; /* what a row is judged by; nothing is counted */
	enum census_list list;
	int64_t limit, shown, looked;
	char last[CAP_ID + 1];
};

static int
visit_device(void *ctx, const struct store_device_cert *row, struct err *e)
{
	struct page *p = ctx;
	if (p->shown == p->limit)
		return 1;
	p->looked++;
	snprintf(p->last, sizeof(p->last), "%s", row->device_id);
	if (!census_is_in(&p->census, p->list, row))
		return 0;
	p->shown++;
	const struct ipc_rollover_device m = {.device_id = span_str(row->device_id),
	    .sha256 = span_str(row->sha256),
	    .seen_ms = row->seen_ms,
	    .report_ms = row->report_ms,
	    .not_after_ms = row->not_after_ms,
	    .peer = span_head(span_str(row->peer), 64)};
	return core_answer(p->c, p->a, IPC_ROLLOVER_DEVICE, &m, e);
}

static int
on_rollover_devices(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_rollover_devices *m = msg;
	struct store_rollover r;
	struct page p = {.c = c, .a = a, .limit = m->limit ? m->limit : LIST_MAX};
	if (p.limit > LIST_MAX)
		p.limit = LIST_MAX;
	if (census_list_parse(m->list, &p.list, e) ||
	    rollover_of(&c->d, m->name, &r, e) ||
	    census_init(&p.census, &c->d, &r, CENSUS_STATUS, e))
		return -1;
	const struct store_device_cert_filter f = {
	    .after = arena_str(turn_arena(c->turn), m->after),
	    .issuer = p.list == CENSUS_LACKING ? "" : r.from_issuer,
	    .key_sha256 = "",
	    .limit = LIST_ROWS};
	int rc = store_device_cert_each(c->store, &f, visit_device, &p, e);
	if (rc < 0)
		return -1;
	bool more = rc > 0 || p.looked == LIST_ROWS;
	return core_done(c, a, more ? p.last : "", p.shown, e);
}

/* ---- acts -----------------------------------------------------------------------------
 */

static int
act_wave(struct core *c, struct core_job *j, struct store_rollover *r, struct err *e)
{
	if (rollover_wave(&c->d, r, j->share, j->spread_ms, &j->census, j->force, e))
		return -1;
	apply_states(c);
	return log_act(c, j, "wave", r,
	    arena_printf(turn_arena(c->turn), "%" PRId64 ".%02" PRId64 " %%%s",
		r->share / 100, r->share % 100, j->force ? ", forced" : ""),
	    e);
}

static int
act_finish(struct core *c, struct core_job *j, struct store_rollover *r, struct err *e)
{
	if (rollover_finish(&c->d, r, &j->census, j->force, e))
		return -1;
	apply_states(c);
	return log_act(c, j, "finish", r,
	    arena_printf(turn_arena(c->turn),
		"%" PRId64 " devices moved, %" PRId64 " left behind%s", j->census.moved,
		j->census.old + j->census.loose, j->force ? ", forced" : ""),
	    e);
}

static int
count_then(struct core *c, struct core_job *j, struct span name, enum census_kind kind,
    struct err *e)
{
	struct store_rollover r;
	if (rollover_of(&c->d, name, &r, e) || begin_count(c, j, &r, kind, e)) {
		free(j);
		return -1;
	}
	return run_job(c, j, e);
}

static int
put_wave(
    struct core *c, struct core_job *j, const struct ipc_rollover_put *m, struct err *e)
{
	j->act = act_wave;
	return count_then(c, j, m->from, CENSUS_STATUS, e);
}

/* The journal's head goes into the evidence: what was issued until then is pinned. */
static int
on_health(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct core_job *j = arg;
	const struct ipc_done *m = r->msg;
	if (!r->ask || r->why) {
		free(j);
		if (!r->ask)
			return 0;
		*e = *r->why;
		return -1;
	}
	(void)span_to_str(m->text, j->journal_head, sizeof(j->journal_head));
	j->journal_count = m->number;
	return count_then(c, j, span_str(j->from), CENSUS_FINAL, e);
}

static int
put_finish(
    struct core *c, struct core_job *j, const struct ipc_rollover_put *m, struct err *e)
{
	const struct ipc_signer_health q = {0};
	j->act = act_finish;
	if (!span_to_str(m->from, j->from, sizeof(j->from)) ||
	    core_ask_signer(c, &j->ask, IPC_SIGNER_HEALTH, &q, on_health, j, e)) {
		free(j);
		return -1;
	}
	return 0;
}

/* Acts without a count are answered with the rollover as it is then. */
static int
answer_act(struct core *c, struct core_job *j, const char *what,
    const struct store_rollover *r, struct err *e)
{
	apply_states(c);
	if (log_act(c, j, what, r, "", e) || answer_row(c, &j->ask, r, NULL, e))
		return -1;
	return core_done(c, &j->ask, "", 0, e);
}

static int
put_start(
    struct core *c, struct core_job *j, const struct ipc_rollover_put *m, struct err *e)
{
	auto_(free) struct core_job *mine = j;
	struct store_rollover r;
	int64_t spread_ms = m->spread_ms < 0 ? 0 : m->spread_ms;
	if (rollover_start(&c->d, m->from, m->to, spread_ms, &r, e))
		return -1;
	return answer_act(c, mine, "start", &r, e);
}

static int
put_stop(
    struct core *c, struct core_job *j, const struct ipc_rollover_put *m, struct err *e)
{
	auto_(free) struct core_job *mine = j;
	struct store_rollover r;
	if (rollover_of(&c->d, m->from, &r, e) || rollover_stop(&c->d, &r, e))
		return -1;
	return answer_act(c, mine, "stop", &r, e);
}

static const struct {
	const char *name;
	int (*put)(struct core *c, struct core_job *j, const struct ipc_rollover_put *m,
	    struct err *e); /* takes j over */
} acts[] = {
    {"start", put_start},
    {"wave", put_wave},
    {"finish", put_finish},
    {"stop", put_stop},
};

static int
check_spread(int64_t ms, int64_t least, struct err *e)
{
	if (ms >= least && ms <= SPREAD_MAX)
		return 0;
	return err_set(e, ERR_PARSE, "spread: at most a year");
}

static int
on_rollover_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_rollover_put *m = msg;
	if (check_spread(m->spread_ms, -1, e) || check_room(c, e))
		return -1;
	if (m->share > CENSUS_ALL)
		return err_set(e, ERR_PARSE, "share: at most %d", CENSUS_ALL);
	for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
		if (!span_eq_str(m->action, acts[i].name))
			continue;
		struct core_job *j = new_job(a, &m->peer, &m->cred);
		j->share = m->share;
		j->spread_ms = m->spread_ms;
		j->force = m->force != 0;
		return acts[i].put(c, j, m, e);
	}
	return err_set(e, ERR_PARSE, "action '%.*s' is none of start, wave, finish, stop",
	    SPAN_FMT(m->action));
}

/* ---- a CA in other hands --------------------------------------------------------------
 */

static bool
stands_on(const struct session *s, struct span ca)
{
	for (size_t i = 0; i < s->n_ca; i++)
		if (span_eq(span_of(s->ca[i], sizeof(s->ca[i])), ca))
			return true;
	return false;
}

static int64_t
count_sessions(struct core *c, const char *hex)
{
	struct err e;
	uint8_t sha[32];
	struct session *s, *next;
	int64_t n = 0;
	if (hex_parse(span_str(hex), sha, sizeof(sha), &e))
		return 0;
	HASH_ITER (hh, c->sessions.by_id, s, next)
		n += stands_on(s, span_of(sha, sizeof(sha)));
	return n;
}

static int
read_alarm(const struct ipc_alarm *m, struct rollover_alarm *ret, struct err *e)
{
	enum crl_reason reason = CRL_CA_COMPROMISE;
	if (m->reason.len && crl_reason_parse(m->reason, &reason, e))
		return -1;
	if (reason == CRL_HOLD || reason == CRL_REMOVE)
		return err_set(e, ERR_PARSE, "a CA is revoked for ever: no hold");
	*ret = (struct rollover_alarm){.name = m->name,
	    .to = m->to,
	    .reason = (int)reason,
	    .since_ms = m->since_ms,
	    .spread_ms = m->spread_ms,
	    .force = m->force != 0};
	return check_spread(m->spread_ms, SPREAD_AUTO, e);
}

static int
on_alarm(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_alarm *m = msg;
	struct rollover_alarm alarm;
	struct store_rollover r;
	auto_(free) struct core_job *j = new_job(a, &m->peer, &m->cred);
	if (read_alarm(m, &alarm, e))
		return -1;
	alarm.operator_issuer = j->operator_issuer;
	if (rollover_revoke(&c->d, &alarm, &r, e))
		return -1;
	apply_states(c);
	const char *why = arena_printf(turn_arena(c->turn), "%s%s%.*s",
	    crl_reason_name((unsigned)alarm.reason), m->comment.len ? "; " : "",
	    SPAN_FMT(m->comment));
	if (log_act(c, j, "revoked", &r, why, e) || answer_row(c, a, &r, NULL, e))
		return -1;
	return core_done(c, a, "", count_sessions(c, r.from_issuer), e);
}

static int
answer_drill(
    struct core *c, struct core_job *j, const struct store_rollover *r, struct err *e)
{
	struct rollover_drill drill;
	struct store_issuer from, to = {.name = ""};
	auto_buf missing = BUF_INIT(2048);
	struct arena *ar = turn_arena(c->turn);
	if (store_issuer_get(c->store, r->from_issuer, ar, &from, e) ||
	    (r->to_issuer[0] && store_issuer_get(c->store, r->to_issuer, ar, &to, e)))
		return -1;
	const struct rollover_alarm alarm = {.name = span_str(from.name),
	    .to = span_str(to.name),
	    .spread_ms = j->spread_ms,
	    .operator_issuer = j->operator_issuer};
	if (rollover_drill(&c->d, &alarm, &drill, e))
		return -1;
	struct store_rollover plan = *r;
	plan.spread_ms = drill.spread_ms;
	for (size_t i = 0; i < drill.n_missing; i++)
		buf_printf(&missing, "%s%s", i ? "\n" : "", drill.missing[i]);
	const struct ipc_drill m = {.sessions = count_sessions(c, r->from_issuer),
	    .groups = span_str(drill.groups),
	    .missing = buf_span(&missing)};
	if (answer_row(c, &j->ask, &plan, j, e))
		return -1;
	return core_answer(c, &j->ask, IPC_DRILL, &m, e);
}

/* Counted as if everybody had been called now. */
static int
on_drill_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_drill_get *m = msg;
	struct rollover_drill drill;
	const struct rollover_alarm alarm = {.name = m->name,
	    .to = m->to,
	    .spread_ms = m->spread_ms,
	    .operator_issuer = ""};
	if (check_spread(m->spread_ms, SPREAD_AUTO, e) || check_room(c, e) ||
	    rollover_drill(&c->d, &alarm, &drill, e))
		return -1;
	struct core_job *j = new_job(a, &m->peer, &m->cred);
	const struct store_rollover r = {.from_issuer = drill.from.sha256,
	    .to_issuer = drill.to.sha256,
	    .share = CENSUS_ALL,
	    .wave_ms = domain_now(&c->d) - c->cfg.pki.rollover_seen_ms};
	snprintf(j->from, sizeof(j->from), "%s", r.from_issuer);
	snprintf(j->to, sizeof(j->to), "%s", r.to_issuer);
	j->spread_ms = m->spread_ms;
	j->answer = answer_drill;
	if (begin_count(c, j, &r, CENSUS_STATUS, e)) {
		free(j);
		return -1;
	}
	return run_job(c, j, e);
}

core_handler *
core_rollover_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_ROLLOVER_GET] = on_rollover_get,
	    [IPC_ROLLOVER_PUT] = on_rollover_put,
	    [IPC_ROLLOVER_DEVICES] = on_rollover_devices,
	    [IPC_ALARM] = on_alarm,
	    [IPC_DRILL_GET] = on_drill_get,
	};
	return handlers[type];
}
