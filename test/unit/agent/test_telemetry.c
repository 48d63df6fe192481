/*
 * The telemetry message.
 */
#include "kit.h"

#include "agent/telemetry.h"
#include "codec/js.h"

#define DAY_MS INT64_C(86400000)

static struct js *
written(struct telemetry *t, const struct telemetry_facts *f)
{
	struct err e;
	auto_buf b = BUF_INIT(1024);
	assert_ok(telemetry_write(t, f, &b, &e), &e);
	struct js *o = js_parse(buf_span(&b), 1024, 4, &e);
	if (!o)
		fail_msg("%s: %s", e.text, buf_text(&b));
	return o;
}

static void
a_sas_message_is_json_without_days(void **state)
{
	struct telemetry t;
	telemetry_init(&t);
	struct telemetry_facts f = {.device_id = "dev-1", .now_ms = 1795300000123};
	auto_(js_free) struct js *o = written(&t, &f);
	assert_string_equal(js_as_text(js_get(o, "deviceId")), "dev-1");
	assert_string_equal(js_as_text(js_get(o, "authType")), "sas");
	assert_string_equal(
	    js_as_text(js_get(o, "timestamp")), "2026-11-21T22:26:40.123Z");
	assert_int_equal(js_type(js_get(o, "certDaysRemaining")), JS_NULL);
	assert_int_equal(js_type(js_get(o, "temperature")), JS_REAL);
	assert_int_equal(js_type(js_get(o, "humidity")), JS_REAL);
}

static void
days_remaining_are_whole_and_negative_once_past(void **state)
{
	static const struct {
		int64_t left_ms;
		int64_t days;
	} rows[] = {{90 * DAY_MS, 90}, {DAY_MS + 1, 1}, {DAY_MS - 1, 0}, {0, 0}, {-1, -1},
	    {-DAY_MS - 1, -2}};
	struct telemetry t;
	telemetry_init(&t);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct telemetry_facts f = {.device_id = "d",
		    .now_ms = 1795300000000,
		    .x509 = true,
		    .not_after_ms = 1795300000000 + rows[i].left_ms};
		auto_(js_free) struct js *o = written(&t, &f);
		assert_string_equal(js_as_text(js_get(o, "authType")), "x509");
		assert_int_equal(js_as_int(js_get(o, "certDaysRemaining")), rows[i].days);
	}
}

static void
an_odd_device_id_stays_valid_json(void **state)
{
	struct telemetry t;
	telemetry_init(&t);
	struct telemetry_facts f = {.device_id = "a\"b\\c", .now_ms = 1};
	auto_(js_free) struct js *o = written(&t, &f);
	assert_string_equal(js_as_text(js_get(o, "deviceId")), "a\"b\\c");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_sas_message_is_json_without_days),
	    cmocka_unit_test(days_remaining_are_whole_and_negative_once_past),
	    cmocka_unit_test(an_odd_device_id_stays_valid_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
