/*
 * When a certificate is renewed: on virtual time, nothing else.
 */
#include "kit.h"

#include <stdio.h>
#include <string.h>

#include "agent/renew_plan.h"

#define DAY INT64_C(86400000)
#define T0  (20500 * DAY) /* some day in 2026 */

static const struct renew_rules rules = {.before_ms = 30 * DAY,
    .share = 33,
    .check_ms = DAY / 4,
    .retry_min_ms = 60000,
    .retry_max_ms = DAY / 4};

static struct renew_facts
facts(int64_t life_ms, int device)
{
	char id[16];
	snprintf(id, sizeof(id), "dev-%d", device);
	return (struct renew_facts){.not_before_ms = T0,
	    .not_after_ms = T0 + life_ms,
	    .seed = renew_plan_seed(id, "ab")};
}

static void
a_year_is_renewed_in_its_last_month_and_before(void **state)
{
	for (int i = 0; i < 200; i++) {
		struct renew_facts f = facts(365 * DAY, i);
		int64_t due = renew_plan_due_ms(&f, &rules);
		assert_true(due <= T0 + 335 * DAY);
		assert_true(due >= T0 + 289 * DAY);
		assert_int_equal(renew_plan_judge(&f, &rules, due - 1), RENEW_NOT_DUE);
		assert_int_equal(renew_plan_judge(&f, &rules, due), RENEW_AGE);
	}
}

static void
two_minutes_are_renewed_in_their_last_half_never_at_birth(void **state)
{
	for (int i = 0; i < 200; i++) {
		struct renew_facts f = facts(120000, i);
		int64_t due = renew_plan_due_ms(&f, &rules) - T0;
		assert_in_range(due, 60000, 81000);
	}
}

static int
by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

/* A factory's batch, made in one hour, must not be renewed in one hour: spread over a
 * tenth of the life at least, the busiest tenth of that no more than thrice the mean. */
static void
a_batch_of_one_hour_is_spread_over_an_eighth_of_the_life(void **state)
{
	enum { N = 20000, PARTS = 10 };
	static int64_t due[N];
	int load[PARTS] = {0};
	for (int i = 0; i < N; i++) {
		struct renew_facts f = facts(90 * DAY, i);
		due[i] = renew_plan_due_ms(&f, &rules);
	}
	qsort(due, N, sizeof(due[0]), by_value);
	int64_t span = due[N - 1] - due[0];
	assert_true(span >= 9 * DAY);
	for (int i = 0; i < N; i++)
		load[(due[i] - due[0]) * PARTS / (span + 1)]++;
	for (int i = 0; i < PARTS; i++)
		assert_in_range(load[i], N / PARTS / 3, 3 * N / PARTS);
}

static void
the_servers_window_counts_where_it_is_sooner(void **state)
{
	struct renew_facts f = facts(365 * DAY, 1);
	int64_t own = renew_plan_due_ms(&f, &rules);
	f.window_start_ms = T0 + 10 * DAY;
	f.window_end_ms = T0 + 12 * DAY;
	int64_t due = renew_plan_due_ms(&f, &rules);
	assert_in_range(due, T0 + 10 * DAY, T0 + 12 * DAY);
	assert_int_equal(renew_plan_judge(&f, &rules, due - 1), RENEW_NOT_DUE);
	assert_int_equal(renew_plan_judge(&f, &rules, due), RENEW_ASKED);
	f.window_start_ms = T0 + 360 * DAY; /* later than our own: ours stands */
	f.window_end_ms = T0 + 364 * DAY;
	assert_int_equal(renew_plan_due_ms(&f, &rules), own);
	f.window_end_ms = T0; /* upside down: none */
	assert_int_equal(renew_plan_due_ms(&f, &rules), own);
	f.window_start_ms = T0 - 5 * DAY; /* past: at once (a revoked issuer) */
	f.window_end_ms = T0 - 4 * DAY;
	assert_int_equal(renew_plan_judge(&f, &rules, T0), RENEW_ASKED);
}

static void
a_window_spreads_the_fleet(void **state)
{
	int first = 0;
	for (int i = 0; i < 1000; i++) {
		struct renew_facts f = facts(365 * DAY, i);
		f.window_start_ms = T0 + 10 * DAY;
		f.window_end_ms = T0 + 12 * DAY;
		first += renew_plan_due_ms(&f, &rules) < T0 + 11 * DAY;
	}
	assert_in_range(first, 400, 600);
}

/* Clocks that jump: due is judged by what the clock says now, whatever it said before. */
static void
a_jump_past_the_moment_is_due_at_the_next_look(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	struct renew_past past = {0};
	int64_t day1 = T0 + DAY;
	int64_t wait = renew_plan_wait_ms(&f, &rules, &past, day1);
	assert_in_range(wait, rules.check_ms * 7 / 8, rules.check_ms);
	assert_int_equal(renew_plan_judge(&f, &rules, day1 + 60 * DAY), RENEW_AGE);
	assert_int_equal(renew_plan_wait_ms(&f, &rules, &past, day1 + 60 * DAY), 1);
	assert_int_equal(renew_plan_judge(&f, &rules, INT64_C(4291747200000)),
	    RENEW_EXPIRED);                                               /* 2106 */
	assert_int_equal(renew_plan_judge(&f, &rules, 0), RENEW_NOT_DUE); /* 1970 */
	wait = renew_plan_wait_ms(&f, &rules, &past, 0);
	assert_in_range(wait, rules.check_ms * 7 / 8, rules.check_ms);
}

static void
no_wait_is_longer_than_the_check_however_far_the_end(void **state)
{
	struct renew_facts f = facts(365 * DAY * 7000, 7); /* to the end of X.509 */
	struct renew_past past = {0};
	assert_true(renew_plan_wait_ms(&f, &rules, &past, T0) <= rules.check_ms);
	past.poll_ms = 5000;
	assert_true(renew_plan_wait_ms(&f, &rules, &past, T0) <= 5000);
}

static void
pauses_double_after_failures_and_quadruple_after_refusals(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	int64_t now = T0 + 80 * DAY; /* due all the time: still no busy loop */
	for (int n = 1; n < 60; n++) {
		struct renew_past p = {.failures = n};
		int64_t whole = n > 9 ? rules.retry_max_ms : (int64_t)60000 << (n - 1);
		whole = whole > rules.retry_max_ms ? rules.retry_max_ms : whole;
		assert_in_range(
		    renew_plan_wait_ms(&f, &rules, &p, now), whole / 2, whole);
	}
	struct renew_past refused = {.failures = 5, .refused = true};
	assert_in_range(
	    renew_plan_wait_ms(&f, &rules, &refused, now), 3600000, 6 * 3600000);
}

static void
a_pause_is_never_shorter_than_the_server_asked(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	struct renew_past p = {.failures = 1, .retry_after_ms = 2 * DAY};
	assert_in_range(renew_plan_wait_ms(&f, &rules, &p, T0), 2 * DAY, 2 * DAY * 5 / 4);
}

static void
no_retry_after_outlasts_a_certificate(void **state)
{
	struct renew_facts f = facts(80 * DAY, 7), brief = facts(DAY, 7);
	struct renew_past p = {
	    .failures = 1, .retry_after_ms = INT64_C(1000) * INT32_MAX};
	assert_in_range(
	    renew_plan_wait_ms(&f, &rules, &p, T0), 10 * DAY, 10 * DAY * 5 / 4);
	assert_in_range(
	    renew_plan_wait_ms(&brief, &rules, &p, T0), DAY / 4, DAY / 4 * 5 / 4);
}

/* found by test/sim: a device that is on for an hour a day never renewed again after some
 * failures, and never heard of a rollover */
static void
a_short_wake_is_not_spent_on_a_pause_of_before(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	struct renew_past failed = {.failures = 12}, fine = {.failures = 0};
	int64_t now = T0 + 20 * DAY;
	for (f.seed = 0; f.seed < 100000; f.seed += 977) {
		assert_in_range(renew_plan_first_ms(&f, &rules, &failed, now - DAY, now),
		    1, RENEW_PLAN_SOON_MS);
		assert_in_range(renew_plan_first_ms(&f, &rules, &fine, now - DAY, now), 1,
		    RENEW_PLAN_SOON_MS);
		assert_in_range(renew_plan_first_ms(&f, &rules, &fine, 0, now), 1,
		    RENEW_PLAN_SOON_MS);
	}
}

/* found by test/sim: a year ahead for a week, it then waited for that year */
static void
a_last_look_in_the_future_bars_none_now(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	struct renew_past failed = {.failures = 12};
	int64_t now = T0 + 20 * DAY;
	assert_in_range(renew_plan_first_ms(&f, &rules, &failed, now + 365 * DAY, now), 1,
	    RENEW_PLAN_SOON_MS);
}

static void
a_restart_shortens_no_pause_and_wakes_no_fleet_at_once(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	struct renew_past failed = {.failures = 12}, fine = {.failures = 0};
	int64_t now = T0 + 20 * DAY, sum = 0;
	int64_t pause = renew_plan_wait_ms(&f, &rules, &failed, now);
	assert_int_equal(
	    renew_plan_first_ms(&f, &rules, &failed, now - 60000, now), pause - 60000);
	for (int i = 0; i < 1000; i++) {
		f.seed = (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15);
		sum += renew_plan_first_ms(&f, &rules, &fine, now - 1000, now);
	}
	assert_in_range(sum / 1000, rules.check_ms / 3, rules.check_ms * 2 / 3);
}

static void
a_key_that_was_used_again_or_moves_is_due_now(void **state)
{
	struct renew_facts f = facts(90 * DAY, 7);
	f.reused = true;
	assert_int_equal(renew_plan_judge(&f, &rules, T0), RENEW_REUSED);
	f.reused = false;
	f.moved = true;
	assert_int_equal(renew_plan_judge(&f, &rules, T0), RENEW_MOVED);
	f.told = true;
	assert_int_equal(renew_plan_judge(&f, &rules, T0), RENEW_TOLD);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_year_is_renewed_in_its_last_month_and_before),
	    cmocka_unit_test(two_minutes_are_renewed_in_their_last_half_never_at_birth),
	    cmocka_unit_test(a_batch_of_one_hour_is_spread_over_an_eighth_of_the_life),
	    cmocka_unit_test(the_servers_window_counts_where_it_is_sooner),
	    cmocka_unit_test(a_window_spreads_the_fleet),
	    cmocka_unit_test(a_jump_past_the_moment_is_due_at_the_next_look),
	    cmocka_unit_test(no_wait_is_longer_than_the_check_however_far_the_end),
	    cmocka_unit_test(pauses_double_after_failures_and_quadruple_after_refusals),
	    cmocka_unit_test(a_pause_is_never_shorter_than_the_server_asked),
	    cmocka_unit_test(no_retry_after_outlasts_a_certificate),
	    cmocka_unit_test(a_short_wake_is_not_spent_on_a_pause_of_before),
	    cmocka_unit_test(a_last_look_in_the_future_bars_none_now),
	    cmocka_unit_test(a_restart_shortens_no_pause_and_wakes_no_fleet_at_once),
	    cmocka_unit_test(a_key_that_was_used_again_or_moves_is_due_now),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
