/*
 * Scheduled jobs: found by hub and ID, open ones by their start, progress that stays, and
 * calls that nobody hears the end of.
 */
#include "store/job.h"
#include "verbs.h"

static struct store_job
job(const char *hub, const char *id, int status, int64_t start_ms)
{
	return (struct store_job){.hub = hub,
	    .id = id,
	    .kind = 2,
	    .status = status,
	    .condition = "*",
	    .if_match = "*",
	    .tags = SPAN_LIT("{\"a\":1}"),
	    .desired = SPAN_LIT("{}"),
	    .method = "",
	    .max_s = 60,
	    .created_ms = NOW,
	    .start_ms = start_ms,
	    .reason = ""};
}

static struct store_job
added(void **state, struct store_job j)
{
	struct err e;
	struct store *s = ((struct dir *)*state)->s;
	struct store_job got;
	assert_ok(store_job_add(s, &j, &e), &e);
	assert_ok(store_job_get(s, j.hub, j.id, arena(state), &got, &e), &e);
	return got;
}

static void
an_id_is_of_its_hub(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_job got, other = job("h2", "one", STORE_JOB_QUEUED, NOW);
	struct store_job one = added(state, job("h1", "one", STORE_JOB_QUEUED, NOW));
	assert_span(one.tags, SPAN_LIT("{\"a\":1}"));
	assert_int_equal(one.max_s, 60);
	assert_fails(store_job_add(s, &one, &e), &e, EXISTS);
	assert_ok(store_job_add(s, &other, &e), &e);
	assert_fails(
	    store_job_get(s, "h1", "One", arena(state), &got, &e), &e, NOT_FOUND);
	assert_ok(store_job_at(s, one.n, arena(state), &got, &e), &e);
	assert_string_equal(got.hub, "h1");
	assert_fails(store_job_at(s, 99, arena(state), &got, &e), &e, NOT_FOUND);
}

static void
progress_is_kept_and_the_rest_is_as_it_was(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct store_job got, j = added(state, job("h", "j", STORE_JOB_QUEUED, NOW));
	j.status = STORE_JOB_RUNNING;
	j.at = 7;
	j.last = 9;
	j.succeeded = 3;
	j.failed = 2;
	j.began_ms = NOW + 1;
	j.reason = "why";
	j.condition = "not written";
	assert_ok(store_job_put(s, &j, &e), &e);
	assert_ok(store_job_at(s, j.n, arena(state), &got, &e), &e);
	assert_int_equal(got.status, STORE_JOB_RUNNING);
	assert_int_equal(got.at, 7);
	assert_int_equal(got.last, 9);
	assert_int_equal(got.succeeded, 3);
	assert_int_equal(got.failed, 2);
	assert_int_equal(got.began_ms, NOW + 1);
	assert_string_equal(got.reason, "why");
	assert_string_equal(got.condition, "*");
}

static void
open_ones_come_by_their_start(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t n[4], next;
	size_t found;
	struct store_job_counts counts;
	struct store_job late = added(state, job("h", "late", STORE_JOB_RUNNING, NOW));
	struct store_job early =
	    added(state, job("h", "early", STORE_JOB_QUEUED, NOW - 5));
	added(state, job("h", "ahead", STORE_JOB_SCHEDULED, NOW + 9));
	added(state, job("h", "over", STORE_JOB_COMPLETED, NOW));
	added(state, job("h2", "other", STORE_JOB_SCHEDULED, NOW + 10));
	assert_ok(store_job_open(s, NOW, 4, n, &found, &next, &e), &e);
	assert_int_equal(found, 2);
	assert_int_equal(n[0], early.n);
	assert_int_equal(n[1], late.n);
	assert_int_equal(next, NOW + 9);
	assert_ok(store_job_open(s, NOW + 20, 1, n, &found, &next, &e), &e);
	assert_int_equal(found, 1);
	assert_int_equal(next, 0);
	assert_ok(store_job_counts(s, "h", NOW, &counts, &e), &e);
	assert_int_equal(counts.open, 3);
	assert_int_equal(counts.active, 2);
	assert_int_equal(counts.running, 1);
}

static int
on_job(void *ctx, const struct store_job *j, struct err *e)
{
	(void)e;
	return see(ctx, j->id);
}

static void
those_that_ended_long_ago_go(void **state)
{
	struct store *s = begun(state);
	struct err e;
	struct seen seen = {0};
	struct store_job j = added(state, job("h", "a", STORE_JOB_COMPLETED, NOW));
	j.ended_ms = NOW;
	assert_ok(store_job_put(s, &j, &e), &e);
	assert_ok(store_job_call_add(s, j.n, 5, &e), &e);
	added(state, job("h", "b", STORE_JOB_RUNNING, NOW));
	assert_ok(store_job_trim(s, NOW, 10, &e), &e);
	assert_ok(store_job_each(s, "h", "", -1, on_job, &seen, &e), &e);
	assert_string_equal(seen.text, "a b ");
	assert_ok(store_job_trim(s, NOW + 1, 10, &e), &e);
	assert_ok(store_job_each(s, "h", "", -1, on_job, &seen, &e), &e);
	assert_string_equal(seen.text, "a b b ");
	assert_fails(store_job_call_del(s, j.n, 5, &e), &e, NOT_FOUND);
	assert_ok(store_job_each(s, "h", "b", -1, on_job, &seen, &e), &e);
	assert_string_equal(seen.text, "a b b ");
}

static void
calls_that_are_lost_count_as_failed(void **state)
{
	struct store *s = begun(state);
	struct err e;
	int64_t n;
	struct store_job got, j = added(state, job("h", "a", STORE_JOB_RUNNING, NOW));
	struct store_job other = added(state, job("h", "b", STORE_JOB_RUNNING, NOW));
	for (int64_t i = 1; i <= 3; i++)
		assert_ok(store_job_call_add(s, j.n, i, &e), &e);
	assert_ok(store_job_call_del(s, j.n, 2, &e), &e);
	assert_ok(store_job_call_count(s, j.n, &n, &e), &e);
	assert_int_equal(n, 2);
	assert_ok(store_job_calls_lost(s, &e), &e);
	assert_ok(store_job_call_count(s, j.n, &n, &e), &e);
	assert_int_equal(n, 0);
	assert_ok(store_job_at(s, j.n, arena(state), &got, &e), &e);
	assert_int_equal(got.failed, 2);
	assert_ok(store_job_at(s, other.n, arena(state), &got, &e), &e);
	assert_int_equal(got.failed, 0);
}

#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, dir_setup_store, dir_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_STORE(an_id_is_of_its_hub),
	    WITH_STORE(progress_is_kept_and_the_rest_is_as_it_was),
	    WITH_STORE(open_ones_come_by_their_start),
	    WITH_STORE(those_that_ended_long_ago_go),
	    WITH_STORE(calls_that_are_lost_count_as_failed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
