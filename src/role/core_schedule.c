/*
 * Messages of scheduled jobs, and their slices.
 */
#include "role/core_schedule.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/query_eval.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/hub/job.h"
#include "domain/hub/query_plan.h"
#include "proto/hub/twin_row.h"
#include "role/core_list.h"
#include "role/core_method.h"

#define SLICE_ROWS  500
#define SLICE_MS    1    /* until the next */
#define WORK_MS     5    /* what a slice takes */
#define IDLE_MS     1000 /* where none can go on by itself */
#define FAILED_MS   2000 /* after a turn that was lost */
#define STARTED_MAX 256  /* looked at in one turn */
#define PAGE_ROWS   100
#define WALK_ROWS   200 /* looked at for a page */
#define ARENA_MAX   (8 * 1024 * 1024)

/* Members that the twin's own row has. */
#define TWIN_FIELDS                                                                      \
	(1u << QUERY_FIELD_TAGS | 1u << QUERY_FIELD_PROPERTIES |                         \
	    1u << QUERY_FIELD_VERSION | 1u << QUERY_FIELD_ETAG)

struct core_schedule {
	struct core *core;
	struct loop_timer *timer;
	int64_t last;      /* the job that had the last slice */
	size_t idle;       /* slices since one had something to do */
	struct list ended; /* calls whose end is not stored yet */
	size_t n_ended;
};

/* A call that has ended. */
struct ended {
	struct list all;
	int64_t job, device;
	bool ok;
};

/* A slice of a job. */
struct slice {
	struct core *core;
	struct store_job job;
	struct arena *arena;
	struct query q;
	struct query_plan plan;
	int64_t calls;      /* of it under way */
	const char *method; /* for calls of this slice, in the turn's kept memory */
	struct span payload;
	bool match; /* what visit found */
	char name[SESSION_NAME];
	bool busy; /* it had something to do */
};

static void
kick(struct core_schedule *k, int64_t after_ms)
{
	k->idle = 0;
	loop_timer_start(k->timer, after_ms);
}

/* ---- which devices ----------------------------------------------------------------- */

static int
visit(void *ctx, const struct store_device *d, struct err *e)
{
	struct slice *s = ctx;
	struct ipc_device m;
	bool counts = s->q.fields & 1u << QUERY_FIELD_C2D_COUNT;
	if (strchr(d->id, '/') || !hubs_lists(&s->core->cfg, s->job.hub, d))
		return 0;
	if (core_device_row(s->core, d, false, counts, &m, e))
		return -1;
	struct twin_row t = twin_row_of(&m);
	struct query_row row = twin_row_query(&t);
	s->match = query_eval_where(&s->q, &row);
	twin_row_done(&t);
	snprintf(s->name, sizeof(s->name), "%s", d->id);
	return 0;
}

/* ---- what is done to one ----------------------------------------------------------- */

static int
update_twin(struct slice *s, struct err *e)
{
	struct core *c = s->core;
	const struct store_job *j = &s->job;
	const struct ipc_twin_patch m = {.peer.host = span_str(j->hub),
	    .id = span_str(s->name),
	    .if_match = span_str(j->if_match),
	    .tags = j->tags,
	    .desired = j->desired};
	struct store_device dev;
	struct span change;
	struct refusal no = {0};
	struct err why;
	int rc = device_twin_patch(&c->d, &m, &dev, &change, &no, &why);
	if (rc && core_is_lost(&why))
		return err_copy(e, &why);
	if (rc || no.code != REFUSAL_NONE) {
		s->job.failed++;
		return 0;
	}
	s->job.succeeded++;
	return core_twin_changed(c, dev.id, change, dev.desired_version, e);
}

/* What of a call waits for the commit. */
struct start {
	int64_t job, device;
	char name[SESSION_NAME];
	const char *method;
	struct span payload;
	uint32_t connect_s, response_s;
};

static void
on_call_ended(struct core *c, int64_t job, int64_t device, bool ok)
{
	struct core_schedule *k = c->schedule;
	struct ended *x = own_alloc(sizeof(*x));
	x->job = job;
	x->device = device;
	x->ok = ok;
	list_push(&k->ended, &x->all);
	k->n_ended++;
	kick(k, SLICE_MS);
}

static void
start_call(void *core, const void *item)
{
	struct start s;
	memcpy(&s, item, sizeof(s));
	const struct core_method_own own = {.name = s.name,
	    .method = span_str(s.method),
	    .payload = s.payload,
	    .connect_s = s.connect_s,
	    .response_s = s.response_s,
	    .fn = on_call_ended,
	    .job = s.job,
	    .device = s.device};
	core_method_start(core, &own);
}

static int
call_method(struct slice *s, struct err *e)
{
	struct turn *turn = s->core->turn;
	const struct store_job *j = &s->job;
	if (!s->method) {
		s->method = arena_str(turn_kept(turn), span_str(j->method));
		s->payload = arena_span(turn_kept(turn), j->payload);
	}
	struct start x = {.job = j->n,
	    .device = j->at,
	    .method = s->method,
	    .payload = s->payload,
	    .connect_s = (uint32_t)j->connect_s,
	    .response_s = (uint32_t)j->response_s};
	memcpy(x.name, s->name, sizeof(x.name));
	if (store_job_call_add(s->core->store, j->n, j->at, e))
		return -1;
	s->calls++;
	turn_after(turn, start_call, &x, sizeof(x));
	return 0;
}

/* ---- slices ------------------------------------------------------------------------ */

static bool
has_room(const struct slice *s)
{
	return s->job.kind == IPC_JOB_TWIN || s->calls < JOB_CALLS;
}

static int
look_at(struct slice *s, int64_t n, struct err *e)
{
	bool twin = s->q.fields & TWIN_FIELDS;
	arena_reset(turn_arena(s->core->turn)); /* twins of all would not fit */
	s->job.at = n;
	s->match = false;
	if (store_device_at(s->core->store, n, twin, visit, s, e))
		return -1;
	if (!s->match)
		return 0;
	return s->job.kind == IPC_JOB_TWIN ? update_twin(s, e) : call_method(s, e);
}

/* Those up to job.last alone: what came after the job began is not meant. */
static int
look(struct slice *s, struct err *e)
{
	int64_t some[SLICE_ROWS];
	size_t n, i = 0;
	const struct clock *clock = s->core->d.clock;
	int64_t end = clock_mono_ms(clock) + WORK_MS;
	if (s->job.at >= s->job.last || !has_room(s))
		return 0;
	if (query_plan_next(s->core->store, &s->plan, s->job.at, SLICE_ROWS, some, &n, e))
		return -1;
	s->busy = true;
	for (; i < n && some[i] <= s->job.last && has_room(s); i++) {
		if (i && clock_mono_ms(clock) >= end)
			return 0;
		if (look_at(s, some[i], e))
			return -1;
	}
	bool all = i == n ? n < SLICE_ROWS : some[i] > s->job.last;
	if (all)
		s->job.at = s->job.last;
	return 0;
}

static int
go_on(struct slice *s, struct err *e)
{
	struct core *c = s->core;
	if (query_parse_condition(span_str(s->job.condition), s->arena, &s->q, e) ||
	    query_plan_make(c->store, &s->q, s->arena, &s->plan, e) ||
	    store_job_call_count(c->store, s->job.n, &s->calls, e) || look(s, e))
		return -1;
	if (s->job.at >= s->job.last)
		job_looked(&c->d, &s->job, s->calls);
	s->busy |= s->job.status != STORE_JOB_RUNNING;
	return store_job_put(c->store, &s->job, e);
}

/* What goes wrong with one job ends that job; what the store fails at ends the turn. */
static int
run(struct slice *s, int64_t n, struct err *e)
{
	struct core *c = s->core;
	bool on;
	struct err why;
	if (store_job_at(c->store, n, s->arena, &s->job, e) ||
	    job_step(&c->d, &s->job, &on, e))
		return -1;
	if (!on || go_on(s, &why) == 0)
		return 0;
	if (core_is_lost(&why))
		return err_copy(e, &why);
	job_fail(&c->d, &s->job, why.text);
	return store_job_put(c->store, &s->job, e);
}

/* ---- calls that have ended --------------------------------------------------------- */

static int
store_end(struct core *c, const struct ended *x, struct err *e)
{
	struct store_job j;
	arena_reset(turn_arena(c->turn));
	if (store_job_call_del(c->store, x->job, x->device, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1; /* its job is gone */
	if (store_job_at(c->store, x->job, turn_arena(c->turn), &j, e))
		return -1;
	j.succeeded += x->ok;
	j.failed += !x->ok;
	return store_job_put(c->store, &j, e);
}

/* They are durable. */
static void
drop_ended(void *core, const void *item)
{
	struct core_schedule *k = ((struct core *)core)->schedule;
	size_t n;
	memcpy(&n, item, sizeof(n));
	for (; n; n--) {
		struct ended *x = list_of(k->ended.next, struct ended, all);
		list_del(&x->all);
		k->n_ended--;
		free(x);
	}
}

static int
store_ended(struct core_schedule *k, struct err *e)
{
	size_t n = k->n_ended;
	if (!n)
		return 0;
	list_each_safe (it, &k->ended)
		if (store_end(k->core, list_of(it, struct ended, all), e))
			return -1;
	turn_after(k->core->turn, drop_ended, &n, sizeof(n));
	return 0;
}

/* ---- whose turn it is -------------------------------------------------------------- */

/* The next behind the last one, around. */
static int64_t
pick(const int64_t *all, size_t n, int64_t last)
{
	int64_t next = 0, first = 0;
	for (size_t i = 0; i < n; i++) {
		if (!first || all[i] < first)
			first = all[i];
		if (all[i] > last && (!next || all[i] < next))
			next = all[i];
	}
	return next ? next : first;
}

/* Until when nothing can happen that is not told: a start, the end of a job's time. */
static int64_t
rest(const struct core_schedule *k, size_t n, int64_t next_ms)
{
	int64_t ahead = next_ms ? next_ms - domain_now(&k->core->d) : IDLE_MS;
	if (n && k->idle <= n)
		return SLICE_MS;
	if (ahead > IDLE_MS)
		return IDLE_MS;
	return ahead < SLICE_MS ? SLICE_MS : ahead;
}

static int
advance(struct core_schedule *k, struct err *e)
{
	struct core *c = k->core;
	int64_t started[STARTED_MAX], next_ms;
	size_t n;
	if (store_ended(k, e) || store_job_open(c->store, domain_now(&c->d), STARTED_MAX,
				     started, &n, &next_ms, e))
		return -1;
	if (n) {
		auto_(arena_free) struct arena *a = arena_new(ARENA_MAX);
		struct slice s = {.core = c, .arena = a};
		k->last = pick(started, n, k->last);
		if (run(&s, k->last, e))
			return -1;
		k->idle = s.busy ? 0 : k->idle + 1;
	}
	if (n || next_ms)
		loop_timer_start(k->timer, rest(k, n, next_ms));
	return 0;
}

static void
on_timer(void *arg)
{
	struct core_schedule *k = arg;
	struct core *c = k->core;
	struct err e = {0};
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	if (advance(k, &e) == 0)
		return;
	log_event(LOG_ERROR, "core.schedule", LOG_ERR(&e));
	turn_spoil(c->turn, &e);
	loop_timer_start(k->timer, FAILED_MS);
}

/* ---- messages ---------------------------------------------------------------------- */

static int
answer_job(struct core *c, const struct ask *a, const struct store_job *j, struct err *e)
{
	int64_t running = 0;
	if (j->n && store_job_call_count(c->store, j->n, &running, e))
		return -1;
	const struct ipc_job m = {.id = span_str(j->id),
	    .kind = (uint8_t)j->kind,
	    .condition = span_str(j->condition),
	    .if_match = span_str(j->if_match),
	    .tags = j->tags,
	    .desired = j->desired,
	    .method = span_str(j->method),
	    .payload = j->payload,
	    .connect_s = (uint32_t)j->connect_s,
	    .response_s = (uint32_t)j->response_s,
	    .start_ms = j->start_ms,
	    .max_s = j->max_s,
	    .status = (uint8_t)j->status,
	    .created_ms = j->created_ms,
	    .ended_ms = j->ended_ms,
	    .reason = span_str(j->reason),
	    .succeeded = j->succeeded,
	    .failed = j->failed,
	    .running = running};
	return core_answer(c, a, IPC_JOB, &m, e);
}

static int
answer_one(struct core *c, const struct ask *a, const struct store_job *j,
    const struct refusal *no, struct err *e)
{
	if (no->code != REFUSAL_NONE)
		return core_refused(c, a, no, refusal_row(no->code)->hub, e);
	return answer_job(c, a, j, e) ? -1 : core_done(c, a, "", 0, e);
}

static int
on_job_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_job j;
	struct refusal no;
	if (job_put(&c->d, msg, &j, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		kick(c->schedule, SLICE_MS);
	return answer_one(c, a, &j, &no, e);
}

static int
on_job_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_job_get *m = msg;
	struct store_job j;
	struct refusal no;
	if (job_get(&c->d, m->peer.host, m->id, &j, &no, e))
		return -1;
	return answer_one(c, a, &j, &no, e);
}

static int
on_job_cancel(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_job_cancel *m = msg;
	struct store_job j;
	struct refusal no;
	if (job_cancel(&c->d, m->peer.host, m->id, &j, &no, e))
		return -1;
	return answer_one(c, a, &j, &no, e);
}

struct job_list {
	struct core_list l;
	const struct ipc_job_query *m;
	int64_t walked;
};

static int
visit_job(void *ctx, const struct store_job *j, struct err *e)
{
	struct job_list *l = ctx;
	const struct ipc_job_query *m = l->m;
	l->walked++;
	if ((m->kind != IPC_JOB_ANY && m->kind != j->kind) ||
	    (m->status != IPC_JOB_STATUS_N && m->status != j->status)) {
		snprintf(l->l.last, sizeof(l->l.last), "%s", j->id);
		return 0;
	}
	size_t bytes = 1024 + j->tags.len + j->desired.len + j->payload.len;
	if (!core_list_take(&l->l, j->id, bytes))
		return 1;
	return answer_job(l->l.c, l->l.a, j, e);
}

/* Where few are wanted of many a page may have none, and says that there is more. */
static int
on_job_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_job_query *m = msg;
	struct job_list l = {
	    .l = {.c = c, .a = a, .left = core_list_page(m->limit, PAGE_ROWS)}, .m = m};
	int rc = store_job_each(c->store, hubs_asked(&c->cfg, m->peer.host),
	    arena_str(turn_arena(c->turn), m->after), WALK_ROWS, visit_job, &l, e);
	l.l.more |= l.walked == WALK_ROWS;
	return core_list_end(&l.l, rc, e);
}

/* ---- the process ------------------------------------------------------------------- */

struct core_schedule *
core_schedule_new(struct core *c)
{
	struct core_schedule *k = own_alloc(sizeof(*k));
	k->core = c;
	list_init(&k->ended);
	k->timer = loop_timer_new(c->loop, on_timer, k);
	kick(k, SLICE_MS);
	return k;
}

void
core_schedule_free(struct core_schedule *k)
{
	if (!k)
		return;
	list_each_safe (it, &k->ended)
		free(list_of(it, struct ended, all));
	loop_timer_free(k->timer);
	free(k);
}

core_handler *
core_schedule_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_JOB_PUT] = on_job_put,
	    [IPC_JOB_GET] = on_job_get,
	    [IPC_JOB_QUERY] = on_job_query,
	    [IPC_JOB_CANCEL] = on_job_cancel,
	};
	return handlers[type];
}
