/*
 * Answers of the provisioning service: bodies as protocol/device.md 1.10 has them.
 */
#include "kit.h"

#include <string.h>

#include "agent/dps_answer.h"

#define RES "$dps/registrations/res/"

static struct dps_answer
parsed(const char *topic, const char *body)
{
	struct dps_answer a;
	struct err e;
	assert_ok(dps_answer_parse(span_str(topic), span_str(body), &a, &e), &e);
	return a;
}

static void
assigned_gives_hub_device_and_substatus(void **state)
{
	struct dps_answer a = parsed(RES "200/?$rid=r-1",
	    "{\"operationId\":\"4.a.b\",\"status\":\"assigned\",\"registrationState\":{"
	    "\"x509\":{},\"registrationId\":\"dev-17\",\"assignedHub\":\"hub.example\","
	    "\"deviceId\":\"Dev-17\",\"status\":\"assigned\","
	    "\"substatus\":\"initialAssignment\",\"etag\":\"\\\"x\\\"\"}}");
	assert_int_equal(a.kind, DPS_ANSWER_ASSIGNED);
	assert_true(span_eq_str(a.rid, "r-1"));
	assert_string_equal(a.hub, "hub.example");
	assert_string_equal(a.device_id, "Dev-17");
	assert_string_equal(a.substatus, "initialAssignment");
}

static void
assigning_gives_operation_and_pause(void **state)
{
	struct dps_answer a = parsed(RES "202/?$rid=r&retry-after=3",
	    "{\"operationId\":\"4.87.df-1\",\"status\":\"assigning\"}");
	assert_int_equal(a.kind, DPS_ANSWER_ASSIGNING);
	assert_string_equal(a.operation_id, "4.87.df-1");
	assert_int_equal(a.retry_after_s, 3);
}

static void
a_pause_out_of_bounds_is_no_hint(void **state)
{
	static const char *const values[] = {"0", "301", "-1", "x", "", "99999999999999"};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char topic[128];
		snprintf(
		    topic, sizeof(topic), RES "202/?$rid=r&retry-after=%s", values[i]);
		struct dps_answer a =
		    parsed(topic, "{\"operationId\":\"o\",\"status\":\"assigning\"}");
		assert_int_equal(a.retry_after_s, 0);
	}
}

static void
refusals_become_errors_of_their_class(void **state)
{
	static const struct {
		const char *topic, *body;
		enum err_code code;
		const char *words;
	} rows[] = {
	    {RES "401/?$rid=r",
		"{\"errorCode\":401002,\"message\":\"Unauthorized\",\"trackingId\":"
		"\"t\"}",
		ERR_DENIED, "answered 401, error 401002: Unauthorized"},
	    {RES "404/?$rid=r", "{\"errorCode\":404201,\"message\":\"no\"}",
		ERR_NOT_FOUND, "404201"},
	    {RES "403/?$rid=r", "{\"errorCode\":403000}", ERR_FORBIDDEN, "403"},
	    {RES "200/?$rid=r",
		"{\"status\":\"disabled\",\"registrationState\":{\"errorCode\":401003,"
		"\"errorMessage\":\"disabled\"}}",
		ERR_FORBIDDEN, "disabled"},
	    {RES "200/?$rid=r",
		"{\"status\":\"failed\",\"registrationState\":{\"errorCode\":400208,"
		"\"errorMessage\":\"no hub\"}}",
		ERR_DENIED, "400208"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e;
		struct dps_answer a = parsed(rows[i].topic, rows[i].body);
		assert_int_equal(a.kind, DPS_ANSWER_REFUSED);
		assert_int_equal(dps_answer_refusal(&a, &e), -1);
		assert_int_equal(e.code, rows[i].code);
		assert_non_null(strstr(e.text, rows[i].words));
	}
}

static void
throttling_and_faults_are_tried_again_later(void **state)
{
	static const int statuses[] = {429, 500, 503};
	for (size_t i = 0; i < 3; i++) {
		char topic[64];
		snprintf(
		    topic, sizeof(topic), RES "%d/?$rid=r&retry-after=7", statuses[i]);
		struct dps_answer a = parsed(topic, "{\"errorCode\":429001}");
		assert_int_equal(a.kind, DPS_ANSWER_LATER);
		assert_int_equal(a.retry_after_s, 7);
	}
}

static void
the_services_words_cannot_forge_a_log_line(void **state)
{
	struct err e;
	struct dps_answer a = parsed(RES "401/?$rid=r",
	    "{\"errorCode\":1,\"message\":\"x\\nlevel=error\\u001b[31m\\u00e9\"}");
	dps_answer_refusal(&a, &e);
	assert_null(strchr(e.text, '\n'));
	assert_null(strchr(e.text, '\x1b'));
}

static void
what_is_no_answer_is_refused(void **state)
{
	static const struct {
		const char *topic, *body;
	} rows[] = {
	    {"$dps/registrations/PUT/x", "{}"},
	    {RES "/?$rid=r", "{}"},
	    {RES "20000/?$rid=r", "{}"},
	    {RES "200", "{}"},
	    {RES "200/$rid=r", "{}"},
	    {RES "200/?$rid=r", ""},
	    {RES "200/?$rid=r", "[]"},
	    {RES "200/?$rid=r", "{\"status\":7}"},
	    {RES "200/?$rid=r", "{\"status\":\"assigned\"}"},
	    {RES "200/?$rid=r", "{\"status\":\"assigned\",\"registrationState\":{"
				"\"assignedHub\":\"h\"}}"},
	    {RES "202/?$rid=r", "{\"status\":\"assigning\"}"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dps_answer a;
		struct err e;
		assert_fails(dps_answer_parse(
				 span_str(rows[i].topic), span_str(rows[i].body), &a, &e),
		    &e, PARSE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(assigned_gives_hub_device_and_substatus),
	    cmocka_unit_test(assigning_gives_operation_and_pause),
	    cmocka_unit_test(a_pause_out_of_bounds_is_no_hint),
	    cmocka_unit_test(refusals_become_errors_of_their_class),
	    cmocka_unit_test(throttling_and_faults_are_tried_again_later),
	    cmocka_unit_test(the_services_words_cannot_forge_a_log_line),
	    cmocka_unit_test(what_is_no_answer_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
