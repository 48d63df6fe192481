/*
 * Pauses between attempts.
 */
#include "kit.h"

#include "agent/backoff.h"

static const struct backoff_scale passing = {1000, 300000};
static const struct backoff_scale refused = {60000, 3600000};

static void
a_passing_failure_is_retried_within_its_doubled_pause(void **state)
{
	for (int n = 1; n < 40; n++) {
		int64_t whole = n > 9 ? 300000 : 1000 << (n - 1);
		whole = whole > 300000 ? 300000 : whole;
		for (int i = 0; i < 50; i++) {
			int64_t ms = backoff_ms(&passing, false, n, 0);
			assert_in_range(ms, whole / 2, whole);
		}
	}
}

static void
a_refusal_never_waits_less_than_its_minimum(void **state)
{
	for (int n = 1; n < 40; n++)
		for (int i = 0; i < 50; i++) {
			int64_t ms = backoff_ms(&refused, true, n, 0);
			assert_in_range(ms, 60000, 3600000 * 3 / 2);
		}
	assert_true(backoff_ms(&refused, true, 30, 0) >= 3600000);
}

static void
what_the_service_asked_for_is_waited_for_and_spread(void **state)
{
	int64_t min = INT64_MAX, max = 0;
	for (int i = 0; i < 200; i++) {
		int64_t ms = backoff_ms(&passing, false, 1, 60000);
		assert_in_range(ms, 60000, 75000);
		min = ms < min ? ms : min;
		max = ms > max ? ms : max;
	}
	assert_true(max - min > 5000);
}

static void
only_what_the_service_decided_is_a_refusal(void **state)
{
	assert_true(backoff_is_refusal(ERR_DENIED));
	assert_true(backoff_is_refusal(ERR_FORBIDDEN));
	assert_true(backoff_is_refusal(ERR_NOT_FOUND));
	assert_false(backoff_is_refusal(ERR_UNAVAILABLE));
	assert_false(backoff_is_refusal(ERR_TIMEOUT));
	assert_false(backoff_is_refusal(ERR_IO));
	assert_false(backoff_is_refusal(ERR_CRYPTO));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_passing_failure_is_retried_within_its_doubled_pause),
	    cmocka_unit_test(a_refusal_never_waits_less_than_its_minimum),
	    cmocka_unit_test(what_the_service_asked_for_is_waited_for_and_spread),
	    cmocka_unit_test(only_what_the_service_decided_is_a_refusal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
