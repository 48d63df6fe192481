/*
 * Waves. A turn of the loop is one transaction of the campaign file: what devices reached
 * in it is committed at its end, and only then do their next steps begin.
 */
#include "fleet/run.h"

#include <signal.h>
#include <stdio.h>

#include "base/map.h"
#include "fleet/azure.h"
#include "fleet/enroll.h"
#include "fleet/migrant.h"
#include "fleet/state.h"
#include "fleet/summary.h"
#include "io/loop.h"

#define WAVE_ARENA (size_t)(1024 * 1024 * 1024)

struct member {
	struct campaign_device d;
	bool fell_back;
	UT_hash_handle hh;
};

struct runner {
	struct migration *m;
	const struct run_opts *o;
	struct enroll *enroll;
	struct migrant_run shared;
	struct loop_task commit;
	/* the wave under way */
	struct arena *a;
	struct member **todo;
	size_t n_todo, next;
	struct migrant **live;
	size_t n_live, live_cap, busy;
	size_t done, bad;
	struct campaign_wave *wave;
	int64_t since_ms;              /* of the wave, monotonic */
	int64_t wave_busy_ms, busy_ms; /* of earlier runs */
	bool stopping, aborted, failed;
	struct err why;
};

/* ---- the file ---- */

static void
broken(struct runner *r, const struct err *e)
{
	if (!r->failed)
		r->why = *e;
	r->failed = true;
	campaign_rollback(r->m->file);
}

/* The time spent goes with what was reached in it, so a run that is killed is counted
 * too. */
static int
put_times(struct runner *r, struct err *e)
{
	int64_t spent = loop_now_ms(r->m->loop) - r->since_ms;
	r->wave->busy_ms = r->wave_busy_ms + spent;
	r->wave->ended_ms = clock_wall_ms(loop_clock(r->m->loop));
	return campaign_wave_put(r->m->file, r->wave, e) ||
		       migration_put_int(r->m, "busy_ms", r->busy_ms + spent, e)
		   ? -1
		   : 0;
}

static void
on_commit(void *arg)
{
	struct runner *r = arg;
	struct err e;
	if (campaign_in_transaction(r->m->file) &&
	    (put_times(r, &e) || campaign_commit(r->m->file, &e)))
		broken(r, &e);
}

static void
on_save(void *arg, const struct campaign_device *d)
{
	struct runner *r = arg;
	struct err e;
	if (r->failed)
		return;
	if (!campaign_in_transaction(r->m->file) && campaign_begin(r->m->file, &e)) {
		broken(r, &e);
		return;
	}
	if (campaign_device_put(r->m->file, d, &e)) {
		broken(r, &e);
		return;
	}
	loop_defer(r->m->loop, LOOP_COMMIT, &r->commit);
}

/* ---- devices of the wave ---- */

static bool
is_paused(struct runner *r)
{
	struct err e;
	int64_t paused;
	if (migration_get_int(r->m, "paused", 0, &paused, &e)) {
		broken(r, &e);
		return true;
	}
	return paused != 0;
}

static void
add_live(struct runner *r, struct migrant *g)
{
	if (r->n_live == r->live_cap) {
		r->live_cap = r->live_cap ? 2 * r->live_cap : 64;
		r->live = own_realloc(r->live, r->live_cap * sizeof(*r->live));
	}
	r->live[r->n_live++] = g;
}

/* As many devices as there are free slots; none once a pause was asked for. */
static void
fill(struct runner *r)
{
	while (r->busy < (size_t)r->m->o->parallel && r->next < r->n_todo) {
		r->stopping = r->stopping || is_paused(r);
		if (r->stopping || r->failed)
			return;
		r->busy++;
		add_live(r, migrant_new(&r->shared, &r->todo[r->next++]->d));
	}
}

static void
on_free_slot(void *arg)
{
	struct runner *r = arg;
	r->busy--;
	fill(r);
}

static void
remove_live(struct runner *r, const struct migrant *g)
{
	for (size_t i = 0; i < r->n_live; i++) {
		if (r->live[i] != g)
			continue;
		r->live[i] = r->live[--r->n_live];
		return;
	}
}

static void
on_done(void *arg, struct migrant *g)
{
	struct runner *r = arg;
	const struct campaign_device *d = migrant_device(g);
	r->done++;
	if (strcmp(d->state, "failed") == 0) {
		r->bad++;
		progress_say(&r->m->progress, "%s: failed at %s: %s; %s", d->id, d->step,
		    d->reason, d->fix);
	}
	progress_step(&r->m->progress, r->done, r->bad);
	remove_live(r, g);
	migrant_free(g);
}

static void
on_signal(void *arg)
{
	struct runner *r = arg;
	r->aborted = r->stopping;
	r->stopping = true;
	progress_say(&r->m->progress,
	    r->aborted ? "stopping now"
		       : "stopping: devices under way are finished, no new one "
			 "begins (again to stop at once)");
}

static int
migrate(struct runner *r, struct err *e)
{
	fill(r);
	while (r->n_live && !r->failed && !r->aborted)
		if (exchange_turn(r->m->calls, -1, e))
			return -1;
	while (r->n_live)
		migrant_free(r->live[--r->n_live]);
	r->busy = 0;
	return r->failed ? err_copy(e, &r->why) : 0;
}

/* ---- the gate ---- */

struct members {
	struct arena *a;
	struct member *by_id;
	struct member **v;
	size_t n, cap;
};

static int
visit_member(void *ctx, const struct campaign_device *d, struct err *e)
{
	struct members *w = ctx;
	struct member *x = arena_alloc(w->a, sizeof(*x));
	campaign_device_copy(d, w->a, &x->d);
	HASH_ADD_KEYPTR(hh, w->by_id, x->d.id, strlen(x->d.id), x);
	if (w->n == w->cap) {
		w->cap = w->cap ? 2 * w->cap : 64;
		w->v = own_realloc(w->v, w->cap * sizeof(struct member *));
	}
	w->v[w->n++] = x;
	return 0;
}

static int
visit_sas(void *ctx, const struct azure_row *row, struct err *e)
{
	struct members *w = ctx;
	struct member *x = NULL;
	HASH_FIND_STR(w->by_id, row->device_id, x);
	/* a module goes on with what it has: no fallback of its device */
	if (x && !row->module_id[0] && strcmp(x->d.state, "resumed") == 0 &&
	    row->seq > x->d.conn_seq)
		x->fell_back = true;
	return 0;
}

/* Of a hub without a log: identities of the wave that take SAS again. */
static void
query_wave(void *ctx, struct arena *a, const char *continuation, struct rest_request *ret)
{
	const int64_t *wave = ctx;
	azure_tagged_query(a, "migrationWave", arena_printf(a, "%lld", (long long)*wave),
	    "sas", continuation, ret);
}

static int
visit_fallback(void *ctx, const struct azure_device *d, struct err *e)
{
	struct members *w = ctx;
	struct member *x = NULL;
	HASH_FIND_STR(w->by_id, d->id, x);
	if (x && strcmp(x->d.state, "resumed") == 0)
		x->fell_back = true;
	return 0;
}

static int
find_fallbacks(struct runner *r, int64_t wave, struct members *w, struct err *e)
{
	if (!r->m->logs)
		return migration_each_found(
		    r->m, query_wave, &wave, visit_fallback, w, e);
	struct azure_log_filter f = {
	    .what = "connect", .auth = "sas", .after_seq = INT64_MAX};
	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->v[i]->d.state, "resumed") == 0 &&
		    w->v[i]->d.conn_seq < f.after_seq)
			f.after_seq = w->v[i]->d.conn_seq;
	if (f.after_seq == INT64_MAX)
		return 0;
	return migration_each_row(r->m, false, &f, visit_sas, w, NULL, e);
}

static void
count(const struct members *w, struct gate_numbers *n)
{
	for (size_t i = 0; i < w->n; i++) {
		const struct member *x = w->v[i];
		int state = sm_find(&state_machine, x->d.state);
		if (state == STATE_ROLLED_BACK)
			continue;
		n->size++;
		n->migrated += state == STATE_RESUMED;
		n->silent += state == STATE_FAILED && x->d.promoted_ms;
		n->failed += state == STATE_FAILED && !x->d.promoted_ms;
		n->open += state != STATE_FAILED && state != STATE_RESUMED;
		n->fallbacks += x->fell_back;
	}
}

/* ---- a wave ---- */

static int
load(struct runner *r, int64_t wave, struct members *w, struct err *e)
{
	w->a = arena_new(WAVE_ARENA);
	return campaign_device_each(r->m->file, wave, visit_member, w, e);
}

static void
unload(struct members *w)
{
	HASH_CLEAR(hh, w->by_id);
	free(w->v);
	arena_free(w->a);
}

static bool
is_todo(const struct runner *r, const struct member *x)
{
	int state = sm_find(&state_machine, x->d.state);
	return !state_is_done(state) && (state != STATE_ROLLED_BACK || r->o->rolled_back);
}

static void
choose(struct runner *r, const struct members *w)
{
	r->todo = arena_alloc(w->a, (w->n + 1) * sizeof(struct member *));
	r->n_todo = r->next = r->done = r->bad = 0;
	for (size_t i = 0; i < w->n; i++)
		if (is_todo(r, w->v[i]))
			r->todo[r->n_todo++] = w->v[i];
}

static int
judge(struct runner *r, struct campaign_wave *row, struct gate_verdict *v, struct err *e)
{
	struct members w = {0};
	struct gate_numbers n = {0};
	int failed = load(r, row->n, &w, e) || find_fallbacks(r, row->n, &w, e);
	if (!failed) {
		count(&w, &n);
		gate_judge(&r->o->limits, &n, v);
		row->passed = v->passed;
		row->gate = v->numbers;
	}
	unload(&w);
	return failed ? -1 : campaign_wave_put(r->m->file, row, e);
}

static int
begin_times(struct runner *r, struct campaign_wave *row, struct err *e)
{
	r->wave = row;
	row->passed = false; /* to be judged again */
	r->wave_busy_ms = row->busy_ms;
	r->since_ms = loop_now_ms(r->m->loop);
	if (!row->started_ms)
		row->started_ms = clock_wall_ms(loop_clock(r->m->loop));
	return migration_get_int(r->m, "busy_ms", 0, &r->busy_ms, e);
}

/* Migrates what is left of the wave. *ret_any: there was something. */
static int
migrate_wave(struct runner *r, struct campaign_wave *row, int64_t waves, bool *ret_any,
    struct err *e)
{
	struct members w = {0};
	char label[48];
	int failed = load(r, row->n, &w, e);
	if (!failed)
		choose(r, &w);
	*ret_any = !failed && r->n_todo > 0;
	if (*ret_any) {
		snprintf(label, sizeof(label), "wave %lld of %lld", (long long)row->n,
		    (long long)waves);
		progress_start(&r->m->progress, label, r->n_todo);
		failed = begin_times(r, row, e) || migrate(r, e);
		progress_end(&r->m->progress);
	}
	unload(&w);
	return failed ? -1 : 0;
}

static int
run_wave(struct runner *r, struct campaign_wave *row, int64_t waves, bool *ret_any,
    struct err *e)
{
	struct gate_verdict v;
	if (migrate_wave(r, row, waves, ret_any, e))
		return -1;
	if (!*ret_any && row->passed)
		return 0;
	if (judge(r, row, &v, e))
		return err_wrap(e, "gate of wave %lld", (long long)row->n);
	progress_say(&r->m->progress, "wave %lld: %s: %s", (long long)row->n,
	    v.passed ? "gate passed" : "gate not passed", v.numbers);
	if (r->stopping)
		return err_set(e, ERR_CANCELLED,
		    "stopped on request; muster migrate run (or resume) goes on");
	if (!v.passed)
		return err_set(e, ERR_GATE, "wave %lld: %s", (long long)row->n, v.why);
	return 0;
}

/* ---- the campaign ---- */

struct waves {
	struct campaign_wave v[64];
	size_t n;
};

static int
visit_wave(void *ctx, const struct campaign_wave *row, struct err *e)
{
	struct waves *w = ctx;
	if (w->n == sizeof(w->v) / sizeof(w->v[0]))
		return err_set(e, ERR_CORRUPT, "campaign file: too many waves");
	w->v[w->n] = *row;
	w->v[w->n++].gate = "";
	return 0;
}

static int
run_waves(struct runner *r, struct err *e)
{
	struct waves w = {0};
	if (campaign_wave_each(r->m->file, visit_wave, &w, e))
		return -1;
	for (size_t i = 0; i < w.n; i++) {
		bool any;
		if (run_wave(r, &w.v[i], (int64_t)w.n, &any, e))
			return -1;
		if (!any || !r->o->pause || i + 1 == w.n)
			continue;
		progress_say(&r->m->progress,
		    "paused after wave %lld as asked; muster migrate run goes on",
		    (long long)w.v[i].n);
		return 0;
	}
	return 0;
}

static int
run_all(struct runner *r, struct err *e)
{
	struct loop *l = r->m->loop;
	auto_(loop_signal_free) struct loop_signal *interrupt =
	    loop_signal_new(l, SIGINT, on_signal, r, e);
	auto_(loop_signal_free) struct loop_signal *terminate =
	    interrupt ? loop_signal_new(l, SIGTERM, on_signal, r, e) : NULL;
	if (!terminate)
		return -1;
	if (is_paused(r) && !r->failed)
		return err_set(e, ERR_CANCELLED,
		    "the campaign is paused; muster migrate resume goes on");
	r->enroll = enroll_open(r->m, e);
	if (!r->enroll)
		return -1;
	r->shared.enroll = r->enroll;
	return run_waves(r, e);
}

static void
say_throttled(struct runner *r)
{
	for (int f = 0; f < PACE_FAMILIES; f++) {
		int64_t n = exchange_refused(r->m->calls, (enum pace_family)f);
		if (n)
			progress_say(&r->m->progress,
			    "the target throttled us %lld time%s: %s", (long long)n,
			    n == 1 ? "" : "s", pace_name((enum pace_family)f));
	}
}

int
run_campaign(struct migration *m, const struct run_opts *o, struct err *e)
{
	struct runner r = {.m = m, .o = o, .commit = {.fn = on_commit, .arg = &r}};
	r.shared = (struct migrant_run){
	    .m = m,
	    .arg = &r,
	    .on_save = on_save,
	    .on_free_slot = on_free_slot,
	    .on_done = on_done,
	};
	struct err why;
	int failed = run_all(&r, &why);
	say_throttled(&r);
	loop_defer_cancel(&r.commit);
	enroll_free(r.enroll);
	free(r.live);
	if (failed && why.code != ERR_GATE && why.code != ERR_CANCELLED)
		return err_copy(e, &why);
	if (summary_count(m, "after", e) || summary_write(m, e) || summary_print(m, e))
		return -1;
	return failed ? err_copy(e, &why) : 0;
}
