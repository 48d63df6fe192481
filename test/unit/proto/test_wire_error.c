/*
 * The numbers of DPS and hub: each with the name its clients know it by, and bodies in
 * which number, name and header say the same (service.md 2.9, trap T18).
 */
#include "../test.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "codec/js.h"
#include "proto/wire_error.h"

enum { BODY = 4096, NOW_MS = 1000 };

static const uint32_t numbers[] = {
#define WIRE(number, name, words) number,
#include "tbl/wire_error.def"
#undef WIRE
};
#define N_NUMBERS (sizeof(numbers) / sizeof(numbers[0]))

/* The hub's own table of error codes, as far as muster can meet them. */
static const struct {
	uint32_t number;
	const char *name;
} hub_codes[] = {
    {400000, "GenericBadRequest"},
    {400001, "InvalidProtocolVersion"},
    {400003, "InvalidOperation"},
    {400004, "ArgumentInvalid"},
    {400006, "IotHubFormatError"},
    {400011, "DeviceDefinedMultipleTimes"},
    {400013, "BulkRegistryOperationFailure"},
    {400014, "DefaultStorageEndpointNotConfigured"},
    {400015, "InvalidFileUploadCorrelationId"},
    {400016, "ExpiredFileUploadCorrelationId"},
    {400027, "ConnectionForcefullyClosedOnNewConnection"},
    {400401, "InvalidConfigurationTargetCondition"},
    {400402, "InvalidConfigurationContent"},
    {400403, "CannotModifyImmutableConfigurationContent"},
    {400404, "InvalidConfigurationCustomMetricsQuery"},
    {401000, "GenericUnauthorized"},
    {401001, "IotHubNotFound"},
    {401002, "IotHubUnauthorizedAccess"},
    {401003, "IotHubUnauthorized"},
    {403000, "GenericForbidden"},
    {403002, "IotHubQuotaExceeded"},
    {403004, "DeviceMaximumQueueDepthExceeded"},
    {403006, "DeviceMaximumActiveFileUploadLimitExceeded"},
    {403012, "DeviceDisabled"},
    {404000, "GenericNotFound"},
    {404001, "DeviceNotFound"},
    {404002, "JobNotFound"},
    {404010, "ModuleNotFound"},
    {404103, "DeviceNotOnline"},
    {404104, "DeviceConnectionClosedRemotely"},
    {404301, "ConfigurationNotFound"},
    {405000, "GenericMethodNotAllowed"},
    {409000, "GenericConflict"},
    {409001, "DeviceAlreadyExists"},
    {409104, "JobAlreadyExists"},
    {409301, "ModuleAlreadyExistsOnDevice"},
    {409401, "ConfigurationAlreadyExists"},
    {412000, "GenericPreconditionFailed"},
    {412001, "PreconditionFailed"},
    {412002, "DeviceMessageLockLost"},
    {412003, "JobRunPreconditionFailed"},
    {413000, "GenericRequestEntityTooLarge"},
    {413001, "MessageTooLarge"},
    {413002, "TooManyDevices"},
    {413003, "TooManyModulesOnDevice"},
    {415000, "GenericUnsupportedMediaType"},
    {429000, "GenericTooManyRequests"},
    {429001, "ThrottlingException"},
    {429002, "ThrottleBacklogLimitExceeded"},
    {429004, "ThrottlingMaxActiveJobCountExceeded"},
    {500001, "ServerError"},
    {502000, "GenericBadGateway"},
    {503000, "GenericServiceUnavailable"},
    {503001, "ServiceUnavailable"},
    {504101, "GatewayTimeout"},
};
#define N_HUB_CODES (sizeof(hub_codes) / sizeof(hub_codes[0]))

static void
numbers_have_the_names_of_the_hubs_own_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_HUB_CODES; i++) {
		const struct wire_error w = wire_error_of(hub_codes[i].number);
		assert_string_equal(w.name, hub_codes[i].name);
		assert_int_equal(w.number, hub_codes[i].number);
		assert_int_equal(w.status, hub_codes[i].number / 1000);
	}
}

static void
no_number_has_two_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NUMBERS; i++)
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(numbers[i], numbers[j]);
}

static bool
has_row(uint32_t number)
{
	for (size_t i = 0; i < N_NUMBERS; i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* A refusal whose number had no row would be told in its status' general words. */
static void
every_refusal_has_a_row_of_its_own(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint32_t dps, hub;
	} refusals[] = {
#define REFUSAL(name, err, dps, hub, words) {#name, dps, hub},
#include "tbl/refusal.def"
#undef REFUSAL
	};
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
		if ((refusals[i].dps && !has_row(refusals[i].dps)) ||
		    (refusals[i].hub && !has_row(refusals[i].hub)))
			fail_msg("%s has a number without a row", refusals[i].name);
}

typedef void body_fn(const struct wire_error *, const char *, int64_t, struct buf *);

static struct js *
body(body_fn *fn, const struct wire_error *w, const char *detail)
{
	struct err e;
	auto_buf text = BUF_INIT(BODY);
	fn(w, detail, NOW_MS, &text);
	assert_ok(buf_check(&text, "body", &e), &e);
	struct js *o = js_parse(buf_span(&text), BODY, 4, &e);
	assert_non_null(o);
	return o;
}

static void
shape_a_names_the_code_as_the_header_does(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NUMBERS; i++) {
		char want[512];
		const struct wire_error w = wire_error_of(numbers[i]);
		auto_(js_free) struct js *o = body(wire_error_hub_body, &w, "why");
		snprintf(want, sizeof(want), "ErrorCode:%s;%s: why", w.name, w.words);
		assert_string_equal(js_as_text(js_get(o, "Message")), want);
		assert_memory_equal(
		    js_as_text(js_get(o, "ExceptionMessage")), "Tracking ID:", 12);
	}
}

static void
shape_b_has_the_number_as_json_in_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < N_NUMBERS; i++) {
		struct err e;
		const struct wire_error w = wire_error_of(numbers[i]);
		if (numbers[i] == 404001)
			continue;
		auto_(js_free) struct js *o = body(wire_error_method_body, &w, "\"why\"");
		auto_(js_free) struct js *in =
		    js_parse(js_as_str(js_get(o, "Message")), BODY, 4, &e);
		int64_t number = 0;
		assert_non_null(in);
		assert_ok(js_need_int(in, "errorCode", 1, 999999, &number, &e), &e);
		assert_int_equal(number, numbers[i]);
		assert_non_null(strstr(js_as_text(js_get(in, "message")), "\"why\""));
		assert_int_equal(strlen(js_as_text(js_get(in, "trackingId"))), 36);
		assert_string_equal(js_as_text(js_get(in, "timestampUtc")),
		    "1970-01-01T00:00:01.0000000Z");
		assert_string_equal(js_as_text(js_get(o, "ExceptionMessage")), "");
	}
}

/* Node's DeviceNotFoundError is found by the name in the body, on every route. */
static void
a_device_that_is_not_there_is_told_by_name(void **state)
{
	(void)state;
	const struct wire_error w = wire_error_of(404001);
	auto_(js_free) struct js *o = body(wire_error_method_body, &w, "");
	assert_memory_equal(
	    js_as_text(js_get(o, "Message")), "ErrorCode:DeviceNotFound;", 25);
}

static void
long_details_fit_or_are_left_out(void **state)
{
	(void)state;
	char detail[1800];
	const struct wire_error w = wire_error_of(400004);
	memset(detail, '"', sizeof(detail));
	detail[sizeof(detail) - 1] = '\0';
	body_fn *const fns[] = {
	    wire_error_hub_body, wire_error_dps_body, wire_error_method_body};
	for (size_t i = 0; i < sizeof(fns) / sizeof(fns[0]); i++) {
		struct err e;
		auto_buf text = BUF_INIT(16384);
		fns[i](&w, detail, NOW_MS, &text);
		auto_(js_free) struct js *o = js_parse(buf_span(&text), 16384, 4, &e);
		assert_non_null(o);
		const struct js *message = js_get(o, "Message");
		assert_true(js_is(message ? message : js_get(o, "message"), JS_STRING));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(numbers_have_the_names_of_the_hubs_own_table),
	    cmocka_unit_test(no_number_has_two_rows),
	    cmocka_unit_test(every_refusal_has_a_row_of_its_own),
	    cmocka_unit_test(shape_a_names_the_code_as_the_header_does),
	    cmocka_unit_test(shape_b_has_the_number_as_json_in_json),
	    cmocka_unit_test(a_device_that_is_not_there_is_told_by_name),
	    cmocka_unit_test(long_details_fit_or_are_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
