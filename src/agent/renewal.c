/*
 * Renewals on the loop.
 */
#include "agent/renewal.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"
#include "io/loop.h"
#include "io/proc.h"

#define RUN_MAX_MS (15 * 60 * 1000) /* of one renewal; then it is killed */
#define CLOCK_MS   5000 /* to the first look where the time has to be learned */
#define ROOM_MS    2000 /* to the next look for a free place */

struct renewal {
	struct loop *loop;
	struct renewal_opts o;
	struct loop_timer *look, *limit;
	struct proc *proc;
	bool started, told;
	int crashes; /* runs in a row that left no word of themselves */
	int64_t next_at_ms;
	struct renew_state state;
};

static int n_running; /* in this process: places are shared by its devices */

static bool
is_on(const struct renewal *r)
{
	return r->o.credential->key && r->o.cfg->est.host[0];
}

static void
facts_of(const struct renewal *r, struct renew_facts *ret)
{
	renew_state_facts(&r->state, r->o.credential, r->o.cfg, ret);
}

static void
look_in(struct renewal *r, int64_t ms)
{
	r->next_at_ms = loop_now_ms(r->loop) + ms;
	loop_timer_start(r->look, ms);
}

/* --- after a run --- */

static int64_t
wait_ms(const struct renewal *r)
{
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(r->o.cfg);
	struct renew_past past = renew_state_past(&r->state);
	if (past.failures < r->crashes)
		past.failures = r->crashes;
	facts_of(r, &f);
	int64_t ms =
	    renew_plan_wait_ms(&f, &rules, &past, clock_wall_ms(&r->o.time->clock));
	/* whatever the server makes of it, no busy loop */
	return ms < rules.retry_min_ms ? rules.retry_min_ms : ms;
}

static void
note_end(struct renewal *r, const struct proc_exit *x)
{
	struct renew_state was = r->state;
	renew_state_get(r->o.dir, &r->state);
	bool spoke = r->state.tried_ms != was.tried_ms ||
		     r->state.failures != was.failures || x->code == 0;
	r->crashes = spoke ? 0 : r->crashes + 1;
	if (x->code == 0)
		log_event(LOG_DEBUG, "agent.renewal",
		    LOG_STR("device", r->o.cfg->device.id), LOG_STR("result", "ok"));
	else
		log_event(LOG_WARN, "agent.renewal",
		    LOG_STR("device", r->o.cfg->device.id), LOG_STR("result", x->text),
		    LOG_STR("error", spoke ? r->state.error : ""));
}

static void
on_end(void *arg, const struct proc_exit *x)
{
	struct renewal *r = arg;
	proc_free(TAKE(r->proc));
	n_running--;
	loop_timer_cancel(r->limit);
	note_end(r, x);
	r->told = r->told && x->code != 0;
	if (r->started && is_on(r))
		look_in(r, wait_ms(r));
}

static void
on_limit(void *arg)
{
	struct renewal *r = arg;
	proc_kill(r->proc, SIGKILL);
}

/* --- a run --- */

/* The environment goes along: libraries of tokens are configured by it. */
static int
start(struct renewal *r, struct err *e)
{
	const char *const argv[] = {
	    "muster-agent", "renew", "--dir", r->o.dir, r->told ? "--now" : NULL, NULL};
	struct proc_spec spec = {.file = r->o.program,
	    .argv = argv,
	    .env = (const char *const *)(uintptr_t)environ};
	return proc_start(r->loop, &spec, on_end, r, &r->proc, e);
}

static void
on_look(void *arg)
{
	struct renewal *r = arg;
	struct err e;
	if (!is_on(r) || r->proc)
		return;
	if (n_running >= RENEWAL_AT_ONCE)
		return look_in(r, ROOM_MS);
	if (start(r, &e) == 0) {
		n_running++;
		loop_timer_start(r->limit, RUN_MAX_MS);
		return;
	}
	log_event(LOG_ERROR, "agent.renewal", LOG_STR("device", r->o.cfg->device.id),
	    LOG_ERR(&e));
	r->crashes++;
	look_in(r, wait_ms(r));
}

/* --- the owner's side --- */

struct renewal *
renewal_new(struct loop *l, const struct renewal_opts *opts)
{
	struct renewal *r = own_alloc(sizeof(*r));
	r->loop = l;
	r->o = *opts;
	r->look = loop_timer_new(l, on_look, r);
	r->limit = loop_timer_new(l, on_limit, r);
	return r;
}

void
renewal_free(struct renewal *r)
{
	if (!r)
		return;
	renewal_stop(r);
	loop_timer_free(r->look);
	loop_timer_free(r->limit);
	free(r);
}

/* After the start, or a change of the credential. Who does not know the time does not
 * know how long it slept: it asks. */
static int64_t
first_ms(const struct renewal *r)
{
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(r->o.cfg);
	struct renew_past past = renew_state_past(&r->state);
	facts_of(r, &f);
	int64_t ms = renew_plan_first_ms(
	    &f, &rules, &past, r->state.tried_ms, clock_wall_ms(&r->o.time->clock));
	int64_t max = past.failures ? RENEW_PLAN_SOON_MS : CLOCK_MS;
	if (clock_floor_is_known(r->o.time) || ms <= max)
		return ms;
	return 1 + (int64_t)(f.seed % (uint64_t)max);
}

void
renewal_start(struct renewal *r)
{
	renew_state_get(r->o.dir, &r->state);
	r->started = true;
	if (!is_on(r)) {
		loop_timer_cancel(r->look);
		return;
	}
	if (!r->proc && !loop_timer_is_started(r->look))
		look_in(r, first_ms(r));
}

void
renewal_stop(struct renewal *r)
{
	r->started = false;
	loop_timer_cancel(r->look);
	loop_timer_cancel(r->limit);
	n_running -= r->proc != NULL;
	proc_free(TAKE(r->proc));
}

void
renewal_now(struct renewal *r)
{
	r->told = true;
	renewal_look(r);
}

void
renewal_look(struct renewal *r)
{
	if (r->started && is_on(r) && !r->proc)
		look_in(r, 0);
}

void
renewal_status(const struct renewal *r, struct renewal_status *ret)
{
	struct renew_facts f;
	struct renew_rules rules = renew_plan_rules(r->o.cfg);
	*ret = (struct renewal_status){
	    .on = is_on(r), .running = r->proc != NULL, .state = r->state};
	if (!ret->on)
		return;
	facts_of(r, &f);
	ret->due_ms = renew_plan_due_ms(&f, &rules);
	int64_t left = r->next_at_ms - loop_now_ms(r->loop);
	ret->next_ms = loop_timer_is_started(r->look) && left > 0 ? left : 0;
}
