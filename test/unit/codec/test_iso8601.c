/*
 * Times as peers write them.
 */
#include "../test.h"

#include "base/clock.h"
#include "codec/iso8601.h"

static void
times_are_read_to_the_millisecond(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
	    {"1970-01-01T00:00:00Z", 0},
	    {"2026-11-22T05:28:00Z", INT64_C(1795325280000)},
	    {"2026-11-22t05:28:00.1230000z", INT64_C(1795325280123)},
	    {"2026-11-22T05:28:00.5Z", INT64_C(1795325280500)},
	    {"2026-11-22T07:28:00+02:00", INT64_C(1795325280000)},
	    {"2026-11-22T00:58:00-04:30", INT64_C(1795325280000)},
	    {" 2024-02-29T23:59:60Z ", INT64_C(1709251200000)},
	    {"9999-12-31T23:59:59Z", INT64_C(253402300799000)},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;
		struct err e;
		assert_ok(iso8601_parse(span_str(rows[i].text), &ms, &e), &e);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void
what_is_no_time_is_refused_and_leaves_the_result(void **state)
{
	static const char *const rows[] = {"", "2026-11-22", "2026-11-22T05:28:00",
	    "2026-11-22 05:28:00Z", "2026-11-31T00:00:00Z", "2025-02-29T00:00:00Z",
	    "2100-02-29T00:00:00Z", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z",
	    "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z", "2026-11-22T24:00:00Z",
	    "2026-11-22T05:60:00Z", "2026-11-22T05:28:61Z", "2026-11-22T05:28:00.Z",
	    "2026-11-22T05:28:00+0200", "2026-11-22T05:28:00Zx", "2026-11-22T05:28:0-Z"};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = 7;
		struct err e;
		assert_fails(iso8601_parse(span_str(rows[i]), &ms, &e), &e, PARSE);
		assert_int_equal(ms, 7);
	}
}

static void
every_day_of_four_centuries_reads_as_it_was_written(void **state)
{
	char text[CLOCK_TEXT];
	(void)state;
	for (int64_t day = 0; day < 146097; day++) {
		int64_t want = day * 86400000 + 43200000, got = -1;
		struct err e;
		clock_iso(want, 3, text);
		assert_ok(iso8601_parse(span_str(text), &got, &e), &e);
		assert_int_equal(got, want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_are_read_to_the_millisecond),
	    cmocka_unit_test(what_is_no_time_is_refused_and_leaves_the_result),
	    cmocka_unit_test(every_day_of_four_centuries_reads_as_it_was_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
