/*
 * Time on a device whose clock is wrong.
 */
#include "kit.h"

#include <stdio.h>
#include <string.h>

#include "agent/clock_floor.h"
#include "io/file.h"

#define DAY  INT64_C(86400000)
#define HOUR INT64_C(3600000)
#define T0   (20500 * DAY)

/* A clock that is set and that runs apart. */
struct own {
	struct clock clock;
	int64_t wall_ms, mono_ms;
};

static int64_t
own_wall(const struct clock *c)
{
	return ((const struct own *)c)->wall_ms;
}

static int64_t
own_mono(const struct clock *c)
{
	return ((const struct own *)c)->mono_ms;
}

static struct own
own_at(int64_t wall_ms)
{
	return (struct own){{own_wall, own_mono, 0}, wall_ms, 777};
}

static void
a_clock_past_the_floor_is_believed_even_when_it_is_2106(void **state)
{
	struct own own = own_at(T0 + DAY);
	struct clock_floor f;
	clock_floor_init(&f, &own.clock, T0);
	assert_true(clock_floor_is_known(&f));
	assert_int_equal(clock_wall_ms(&f.clock), T0 + DAY);
	own.wall_ms = INT64_C(4291747200000);
	assert_int_equal(clock_wall_ms(&f.clock), own.wall_ms);
	own.wall_ms = T0 - 60000; /* a minute slow is no 1970 */
	assert_true(clock_floor_is_known(&f));
	assert_int_equal(clock_wall_ms(&f.clock), own.wall_ms);
}

static void
a_clock_at_1970_reads_the_floor_until_a_server_told(void **state)
{
	struct err e;
	struct own own = own_at(12000);
	struct clock_floor f;
	clock_floor_init(&f, &own.clock, T0);
	clock_floor_raise(&f, T0 + DAY); /* a certificate of ours */
	clock_floor_raise(&f, T0 - DAY);
	assert_false(clock_floor_is_known(&f));
	assert_int_equal(clock_wall_ms(&f.clock), T0 + DAY);
	own.mono_ms += 5000;
	assert_int_equal(clock_wall_ms(&f.clock), T0 + DAY);
	assert_int_equal(
	    clock_floor_learn(&f, T0 + 9 * DAY, T0 + 8 * DAY, T0 + 10 * DAY, &e), 0);
	assert_true(clock_floor_is_known(&f));
	own.mono_ms += 1000;
	own.wall_ms += DAY; /* its own steps say nothing, it stays behind */
	assert_int_equal(clock_wall_ms(&f.clock), T0 + 9 * DAY + 1000);
	own.wall_ms = T0 + 9 * DAY + 300; /* set at last */
	assert_int_equal(clock_wall_ms(&f.clock), own.wall_ms);
}

static void
a_server_may_not_tell_a_time_outside_its_own_certificate(void **state)
{
	struct err e;
	struct own own = own_at(0);
	struct clock_floor f;
	clock_floor_init(&f, &own.clock, T0);
	assert_int_equal(
	    clock_floor_learn(&f, T0 + 11 * DAY, T0 + 8 * DAY, T0 + 10 * DAY, &e), -1);
	assert_int_equal(e.code, ERR_CONFLICT);
	assert_int_equal(
	    clock_floor_learn(&f, T0 + 7 * DAY, T0 + 8 * DAY, T0 + 10 * DAY, &e), -1);
	assert_false(clock_floor_is_known(&f));
	/* what is known to be past */
	assert_int_equal(clock_floor_learn(&f, T0 - DAY, T0 - 2 * DAY, T0 + DAY, &e), -1);
	assert_false(clock_floor_is_known(&f));
}

static void
a_server_that_is_ahead_of_a_believed_clock_sets_no_floor_in_the_future(void **state)
{
	struct err e;
	struct own own = own_at(T0 + DAY);
	struct clock_floor f;
	clock_floor_init(&f, &own.clock, T0);
	assert_int_equal(
	    clock_floor_learn(&f, T0 + 400 * DAY, T0, T0 + 500 * DAY, &e), 0);
	assert_int_equal(f.floor_ms, T0 + DAY);
	assert_int_equal(clock_wall_ms(&f.clock), T0 + DAY);
}

static void
the_floor_is_kept_hourly_and_outlives_the_process(void **state)
{
	struct err e;
	char path[4096];
	char *dir = kit_dir();
	struct own own = own_at(T0 + 2 * HOUR);
	struct clock_floor f, again;
	snprintf(path, sizeof(path), "%s/clock", dir);
	clock_floor_init(&f, &own.clock, T0);
	clock_floor_load(&f, dir); /* nothing kept yet: no failure */
	assert_int_equal(clock_floor_keep(&f, dir, &e), 0);
	clock_floor_init(&again, &own.clock, 0);
	clock_floor_load(&again, dir);
	assert_int_equal(again.floor_ms, T0);
	clock_floor_raise(&f, T0 + HOUR - 1);
	assert_int_equal(file_remove(path, &e), 0);
	assert_int_equal(clock_floor_keep(&f, dir, &e), 0);
	clock_floor_raise(&f, T0 + HOUR + HOUR - 2);
	assert_int_equal(clock_floor_keep(&f, dir, &e), 0);
	clock_floor_init(&again, &own.clock, 0);
	clock_floor_load(&again, dir);
	assert_int_equal(again.floor_ms, T0 + HOUR - 1); /* not within the hour */
	kit_dir_done(dir);
}

static void
a_damaged_file_is_no_floor(void **state)
{
	static const char *const texts[] = {
	    "", "x", "-5", "99999999999999999", "123 456", "1e9"};
	struct err e;
	char path[4096];
	char *dir = kit_dir();
	struct own own = own_at(T0);
	snprintf(path, sizeof(path), "%s/clock", dir);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct clock_floor f;
		assert_int_equal(file_write(path, span_str(texts[i]), 0600, &e), 0);
		clock_floor_init(&f, &own.clock, 5);
		clock_floor_load(&f, dir);
		assert_int_equal(f.floor_ms, 5);
	}
	kit_dir_done(dir);
}

static void
the_program_knows_about_when_it_was_made(void **state)
{
	assert_true(clock_floor_built_ms() > INT64_C(1767225600000)); /* 2026 */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_clock_past_the_floor_is_believed_even_when_it_is_2106),
	    cmocka_unit_test(a_clock_at_1970_reads_the_floor_until_a_server_told),
	    cmocka_unit_test(a_server_may_not_tell_a_time_outside_its_own_certificate),
	    cmocka_unit_test(
		a_server_that_is_ahead_of_a_believed_clock_sets_no_floor_in_the_future),
	    cmocka_unit_test(the_floor_is_kept_hourly_and_outlives_the_process),
	    cmocka_unit_test(a_damaged_file_is_no_floor),
	    cmocka_unit_test(the_program_knows_about_when_it_was_made),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
