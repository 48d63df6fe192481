/*
 * Scheduled jobs: what may be one, how many, and when one begins and ends.
 */
#include "world.h"

#include "domain/hub/job.h"

static struct ipc_job_put
twin_job(const char *id)
{
	return (struct ipc_job_put){.id = span_str(id),
	    .kind = IPC_JOB_TWIN,
	    .condition = SPAN_LIT("tags.a = 1"),
	    .if_match = SPAN_LIT("*"),
	    .tags = SPAN_LIT("{}"),
	    .max_s = 60};
}

static struct store_job
put(struct world *w, const struct ipc_job_put *m)
{
	struct store_job j = {.status = -1};
	assert_ok(job_put(&w->d, m, &j, &w->no, &w->e), &w->e);
	return j;
}

static struct store_job
stored(struct world *w, const char *id)
{
	struct store_job j;
	assert_ok(job_get(&w->d, SPAN_NONE, span_str(id), &j, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_NONE);
	return j;
}

static void
refuses(struct world *w, struct ipc_job_put m, const char *says)
{
	struct store_job j;
	assert_int_equal(job_put(&w->d, &m, &j, &w->no, &w->e), -1);
	assert_int_equal(w->e.code, ERR_PARSE);
	if (!strstr(w->e.text, says))
		fail_msg("%s: %s", says, w->e.text);
}

static void
what_is_no_job_is_refused(void **state)
{
	struct world *w = *state;
	const struct ipc_job_put good = twin_job("x");
	struct ipc_job_put m = good;
	m.id = SPAN_LIT("a b");
	refuses(w, m, "jobId");
	m = good;
	m.condition = SPAN_LIT("tags.a =");
	refuses(w, m, "character");
	m.condition = SPAN_LIT("from devices.modules where tags.a = 1");
	refuses(w, m, "of devices");
	m = good;
	m.tags = SPAN_NONE;
	refuses(w, m, "updateTwin");
	m = good;
	m.max_s = 0;
	refuses(w, m, "maxExecutionTimeInSeconds");
	m.max_s = JOB_MAX_S + 1;
	refuses(w, m, "maxExecutionTimeInSeconds");
	m = good;
	m.start_ms = WORLD_NOW_MS + JOB_AHEAD_MS + 1;
	refuses(w, m, "startTime");
	m = good;
	m.kind = 3;
	refuses(w, m, "type");
	m.kind = IPC_JOB_METHOD;
	refuses(w, m, "methodName");
	m.method = SPAN_LIT("m");
	m.response_s = 4;
	refuses(w, m, "responseTimeoutInSeconds");
	m.response_s = 5;
	m.connect_s = 301;
	refuses(w, m, "connectTimeoutInSeconds");
	m.connect_s = 300;
	assert_int_equal(put(w, &m).status, STORE_JOB_QUEUED);
	assert_int_equal(put(w, &m).status, -1);
	assert_int_equal(w->no.code, REFUSAL_JOB_EXISTS);
}

static void
so_many_may_be_open_and_so_many_under_way(void **state)
{
	struct world *w = *state;
	char id[16];
	struct ipc_job_put m = twin_job("");
	w->cfg.hub.jobs_max = 2;
	for (int i = 0; i < 3; i++) {
		snprintf(id, sizeof(id), "now-%d", i);
		m.id = span_str(id);
		put(w, &m);
		assert_int_equal(w->no.code, i < 2 ? REFUSAL_NONE : REFUSAL_JOBS_FULL);
	}
	m.start_ms = WORLD_NOW_MS + 1;
	for (int i = 2; i <= JOB_OPEN_MAX; i++) {
		snprintf(id, sizeof(id), "then-%d", i);
		m.id = span_str(id);
		put(w, &m);
		assert_int_equal(
		    w->no.code, i < JOB_OPEN_MAX ? REFUSAL_NONE : REFUSAL_JOBS_FULL);
	}
}

static void
one_that_waits_begins_where_there_is_room(void **state)
{
	struct world *w = *state;
	bool on;
	w->cfg.hub.jobs_max = 1;
	world_device(w, "d1");
	const struct ipc_job_put first = twin_job("first");
	struct ipc_job_put second = twin_job("second");
	second.start_ms = WORLD_NOW_MS + 1000;
	put(w, &first);
	assert_int_equal(put(w, &second).status, STORE_JOB_SCHEDULED);
	w->clock.skew_ms += 1000;
	struct store_job a = stored(w, "first"), b = stored(w, "second");
	assert_ok(job_step(&w->d, &a, &on, &w->e), &w->e);
	assert_true(on);
	assert_int_equal(a.status, STORE_JOB_RUNNING);
	assert_true(a.last > 0);
	assert_ok(job_step(&w->d, &b, &on, &w->e), &w->e);
	assert_false(on);
	job_looked(&w->d, &a, 1);
	assert_int_equal(a.status, STORE_JOB_RUNNING);
	job_looked(&w->d, &a, 0);
	assert_int_equal(a.status, STORE_JOB_COMPLETED);
	assert_ok(store_job_put(w->d.store, &a, &w->e), &w->e);
	assert_ok(job_step(&w->d, &b, &on, &w->e), &w->e);
	assert_true(on);
}

static void
one_whose_time_is_over_fails(void **state)
{
	struct world *w = *state;
	bool on;
	w->cfg.hub.jobs_max = 1;
	const struct ipc_job_put m = twin_job("slow");
	put(w, &m);
	struct store_job j = stored(w, "slow");
	assert_ok(job_step(&w->d, &j, &on, &w->e), &w->e);
	w->clock.skew_ms += m.max_s * 1000;
	assert_ok(job_step(&w->d, &j, &on, &w->e), &w->e);
	assert_true(on);
	w->clock.skew_ms += 1;
	assert_ok(job_step(&w->d, &j, &on, &w->e), &w->e);
	assert_false(on);
	j = stored(w, "slow");
	assert_int_equal(j.status, STORE_JOB_FAILED);
	assert_string_equal(j.reason, "maxExecutionTimeInSeconds is over");
	assert_true(j.ended_ms > 0);
}

static void
one_that_has_ended_is_not_cancelled(void **state)
{
	struct world *w = *state;
	struct store_job j;
	w->cfg.hub.jobs_max = 1;
	const struct ipc_job_put m = twin_job("x");
	put(w, &m);
	assert_ok(job_cancel(&w->d, SPAN_NONE, m.id, &j, &w->no, &w->e), &w->e);
	assert_int_equal(j.status, STORE_JOB_CANCELLED);
	assert_int_equal(stored(w, "x").status, STORE_JOB_CANCELLED);
	assert_ok(job_cancel(&w->d, SPAN_NONE, m.id, &j, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_JOB_ENDED);
	assert_ok(job_cancel(&w->d, SPAN_NONE, SPAN_LIT("y"), &j, &w->no, &w->e), &w->e);
	assert_int_equal(w->no.code, REFUSAL_JOB_UNKNOWN);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    T(what_is_no_job_is_refused),
	    T(so_many_may_be_open_and_so_many_under_way),
	    T(one_that_waits_begins_where_there_is_room),
	    T(one_whose_time_is_over_fails),
	    T(one_that_has_ended_is_not_cancelled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
