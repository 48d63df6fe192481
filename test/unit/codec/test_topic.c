/*
 * Topics and property bags, by the rows of protocol/device.md 1.5 to 1.7 and 3.6 to 3.12.
 */
#include "../test.h"

#include "codec/topic.h"

#define DEV SPAN_LIT("sensor-001")
#define MOD SPAN_LIT("m1")

static void
assert_span(struct span s, const char *want)
{
	if (!span_eq_str(s, want))
		fail_msg("'%.*s' is not '%s'", SPAN_FMT(s), want);
}

static void
dps_register_keeps_the_rid_byte_for_byte(void **state)
{
	struct err e = {0};
	struct topic_dps t;
	assert_ok(
	    topic_parse_dps(
		SPAN_LIT("$dps/registrations/PUT/iotdps-register/?$rid=a%2F-B"), &t, &e),
	    &e);
	assert_int_equal(t.kind, TOPIC_DPS_REGISTER);
	assert_span(t.rid, "a%2F-B");
	assert_string_equal(t.operation_id, "");
}

static void
dps_poll_decodes_the_operation_id(void **state)
{
	struct err e = {0};
	struct topic_dps t;
	assert_ok(
	    topic_parse_dps(SPAN_LIT("$dps/registrations/GET/iotdps-get-operationstatus/"
				     "?operationId=4.87%2Ddf&$rid=1"),
		&t, &e),
	    &e);
	assert_int_equal(t.kind, TOPIC_DPS_POLL);
	assert_span(t.rid, "1");
	assert_string_equal(t.operation_id, "4.87-df");
}

static void
dps_topics_without_their_fields_are_malformed_and_others_forbidden(void **state)
{
	static const char *const bad[] = {"$dps/registrations/PUT/iotdps-register/?rid=1",
	    "$dps/registrations/PUT/iotdps-register/?$rid=",
	    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1",
	    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=%",
	    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=1&operationId=%00"};
	struct err e = {0};
	struct topic_dps t;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(topic_parse_dps(span_str(bad[i]), &t, &e), &e, PARSE);
	assert_fails(
	    topic_parse_dps(SPAN_LIT("$dps/registrations/res/200/?$rid=1"), &t, &e), &e,
	    FORBIDDEN);
}

static void
telemetry_bag_is_all_behind_events(void **state)
{
	static const struct {
		const char *topic, *bag;
	} rows[] = {
	    {"devices/sensor-001/messages/events/", ""},
	    {"devices/sensor-001/messages/events", ""},
	    {"devices/sensor-001/messages/events/$.ct=application/json&a=/x/",
		"$.ct=application/json&a=/x"},
	    {"devices/sensor-001/messages/events/a=x//", "a=x/"},
	    {"devices/sensor-001/messages/events//", ""},
	    {"devices/sensor-001/messages/events/%24.on=out1&a=b/", "%24.on=out1&a=b"},
	};
	struct err e = {0};
	struct topic_hub t;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_ok(
		    topic_parse_hub(span_str(rows[i].topic), DEV, SPAN_NONE, &t, &e), &e);
		assert_int_equal(t.kind, TOPIC_TELEMETRY);
		assert_span(t.bag, rows[i].bag);
	}
	assert_ok(
	    topic_parse_hub(SPAN_LIT("devices/sensor-001/modules/m1/messages/events/x=1"),
		DEV, MOD, &t, &e),
	    &e);
	assert_span(t.bag, "x=1");
}

static void
topics_of_others_are_forbidden(void **state)
{
	static const char *const bad[] = {"devices/sensor-002/messages/events/",
	    "devices/sensor-0011/messages/events/", "devices/sensor-001/messages/eventsx",
	    "devices/sensor-001/modules/m1/messages/events/",
	    "devices/+/messages/events/", "$iothub/twin/res/200/?$rid=1", "bridge/state",
	    "", "devices/sensor-001/messages/devicebound/"};
	struct err e = {0};
	struct topic_hub t;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(topic_parse_hub(span_str(bad[i]), DEV, SPAN_NONE, &t, &e),
		    &e, FORBIDDEN);
	assert_fails(topic_parse_hub(SPAN_LIT("devices/sensor-001/messages/events/"), DEV,
			 MOD, &t, &e),
	    &e, FORBIDDEN);
}

static void
twin_and_method_topics_are_told_apart(void **state)
{
	struct err e = {0};
	struct topic_hub t;
	assert_ok(topic_parse_hub(
		      SPAN_LIT("$iothub/credentials/POST/issueCertificate/?$rid=req-1"),
		      DEV, SPAN_NONE, &t, &e),
	    &e);
	assert_int_equal(t.kind, TOPIC_CREDENTIAL_ISSUE);
	assert_span(t.rid, "req-1");
	assert_ok(topic_parse_hub(SPAN_LIT("$iothub/twin/GET/?$rid=get_twin"), DEV,
		      SPAN_NONE, &t, &e),
	    &e);
	assert_int_equal(t.kind, TOPIC_TWIN_GET);
	assert_span(t.rid, "get_twin");
	struct span report = SPAN_LIT("$iothub/twin/PATCH/properties/reported/?$rid=4");
	assert_ok(topic_parse_hub(report, DEV, SPAN_NONE, &t, &e), &e);
	assert_int_equal(t.kind, TOPIC_TWIN_REPORT);
	assert_int_equal(t.version, -1);
	report = SPAN_LIT("$iothub/twin/PATCH/properties/reported/?$rid=4&$version=17");
	assert_ok(topic_parse_hub(report, DEV, SPAN_NONE, &t, &e), &e);
	assert_int_equal(t.version, 17);
	assert_ok(topic_parse_hub(SPAN_LIT("$iothub/methods/res/-207/?$rid=5301f70f"),
		      DEV, SPAN_NONE, &t, &e),
	    &e);
	assert_int_equal(t.kind, TOPIC_METHOD_RESPONSE);
	assert_int_equal(t.status, -207);
	assert_span(t.rid, "5301f70f");
	assert_fails(
	    topic_parse_hub(SPAN_LIT("$iothub/methods/res/200"), DEV, SPAN_NONE, &t, &e),
	    &e, PARSE);
	assert_fails(topic_parse_hub(SPAN_LIT("$iothub/methods/res/x/?$rid=1"), DEV,
			 SPAN_NONE, &t, &e),
	    &e, PARSE);
}

static void
filters_are_known_by_name_only(void **state)
{
	static const struct {
		const char *filter;
		enum topic_sub device, module;
	} rows[] = {
	    {"devices/sensor-001/messages/devicebound/#", TOPIC_SUB_C2D,
		TOPIC_SUB_UNKNOWN},
	    {"devices/+/messages/devicebound/#", TOPIC_SUB_C2D, TOPIC_SUB_UNKNOWN},
	    {"devices/sensor-001/modules/m1/inputs/#", TOPIC_SUB_UNKNOWN,
		TOPIC_SUB_INPUTS},
	    {"devices/sensor-001/modules/m1/#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_INPUTS},
	    {"devices/sensor-001/modules/m1/messages/devicebound/#", TOPIC_SUB_UNKNOWN,
		TOPIC_SUB_INPUTS},
	    {"devices/sensor-001/modules/m2/messages/devicebound/#", TOPIC_SUB_UNKNOWN,
		TOPIC_SUB_UNKNOWN},
	    {"$iothub/twin/res/#", TOPIC_SUB_TWIN_RES, TOPIC_SUB_TWIN_RES},
	    {"$iothub/twin/PATCH/properties/desired/#", TOPIC_SUB_TWIN_DESIRED,
		TOPIC_SUB_TWIN_DESIRED},
	    {"$iothub/methods/POST/#", TOPIC_SUB_METHODS, TOPIC_SUB_METHODS},
	    {"devices/sensor-002/messages/devicebound/#", TOPIC_SUB_UNKNOWN,
		TOPIC_SUB_UNKNOWN},
	    {"#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_UNKNOWN},
	    {"+/#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_UNKNOWN},
	    {"$iothub/#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_UNKNOWN},
	    {"devices/sensor-001/#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_UNKNOWN},
	    {"devices/+/#", TOPIC_SUB_UNKNOWN, TOPIC_SUB_UNKNOWN},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct span f = span_str(rows[i].filter);
		assert_int_equal(topic_sub_hub(f, DEV, SPAN_NONE), rows[i].device);
		assert_int_equal(topic_sub_hub(f, DEV, MOD), rows[i].module);
	}
	assert_int_equal(
	    topic_sub_dps(SPAN_LIT("$dps/registrations/res/#")), TOPIC_SUB_DPS);
	assert_int_equal(topic_sub_dps(SPAN_LIT("$dps/#")), TOPIC_SUB_UNKNOWN);
}

static void
bag_pairs_are_decoded_leniently(void **state)
{
	static const struct {
		const char *key, *value;
		bool has_value;
	} want[] = {
	    {"$.mid", "1", true},
	    {"a b&c=d", "x/y?z%20#\xc3\xa9", true},
	    {"load", "100%", true},
	    {"null", "", false},
	    {"empty", "", true},
	};
	struct span rest =
	    SPAN_LIT("%24.mid=1&a%20b%26c%3Dd=x%2Fy%3Fz%2520%23%C3%A9&&load=100%"
		     "&null&empty=");
	auto_buf key = BUF_INIT(65536), value = BUF_INIT(65536);
	bool has_value;
	for (size_t i = 0; i < 5; i++) {
		assert_true(topic_bag_next(&rest, &key, &value, &has_value));
		assert_string_equal(buf_text(&key), want[i].key);
		assert_string_equal(buf_text(&value), want[i].value);
		assert_int_equal(has_value, want[i].has_value);
	}
	assert_false(topic_bag_next(&rest, &key, &value, &has_value));
}

static void
c2d_bags_escape_the_dollar(void **state)
{
	auto_buf b = BUF_INIT(1024);
	topic_write_c2d(&b, DEV);
	topic_bag_put(
	    &b, SPAN_LIT("$.to"), SPAN_LIT("/devices/sensor-001/messages/devicebound"));
	topic_bag_put(&b, SPAN_LIT("k"), SPAN_LIT("a b"));
	assert_string_equal(buf_text(&b),
	    "devices/sensor-001/messages/devicebound/"
	    "%24.to=%2Fdevices%2Fsensor-001%2Fmessages%2Fdevicebound&k=a%20b");
}

static void
responses_have_the_shape_every_sdk_parses(void **state)
{
	auto_buf b = BUF_INIT(1024);
	topic_write_dps_response(&b, 202, SPAN_LIT("R1"), 3);
	assert_string_equal(
	    buf_text(&b), "$dps/registrations/res/202/?$rid=R1&retry-after=3");
	buf_reset(&b);
	topic_write_dps_response(
	    &b, 429, SPAN_LIT("R1"), 301); /* C drops more than 300 */
	assert_string_equal(
	    buf_text(&b), "$dps/registrations/res/429/?$rid=R1&retry-after=300");
	buf_reset(&b);
	topic_write_dps_response(&b, 200, SPAN_LIT("R1"), 0);
	assert_string_equal(buf_text(&b), "$dps/registrations/res/200/?$rid=R1");
	buf_reset(&b);
	topic_write_credential_response(&b, 202, SPAN_LIT("req-1"));
	assert_string_equal(buf_text(&b), "$iothub/credentials/res/202/?$rid=req-1");
	buf_reset(&b);
	topic_write_twin_response(&b, 204, SPAN_LIT("4"), 2);
	assert_string_equal(buf_text(&b), "$iothub/twin/res/204/?$rid=4&$version=2");
	buf_reset(&b);
	topic_write_twin_response(&b, 200, SPAN_LIT("4"), -1);
	assert_string_equal(buf_text(&b), "$iothub/twin/res/200/?$rid=4");
	buf_reset(&b);
	topic_write_twin_desired(&b, 2);
	assert_string_equal(
	    buf_text(&b), "$iothub/twin/PATCH/properties/desired/?$version=2");
	buf_reset(&b);
	topic_write_method(&b, SPAN_LIT("reboot"), SPAN_LIT("5301f70f"));
	assert_string_equal(buf_text(&b), "$iothub/methods/POST/reboot/?$rid=5301f70f");
	buf_reset(&b);
	topic_write_telemetry(&b, DEV, MOD);
	assert_string_equal(
	    buf_text(&b), "devices/sensor-001/modules/m1/messages/events/");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dps_register_keeps_the_rid_byte_for_byte),
	    cmocka_unit_test(dps_poll_decodes_the_operation_id),
	    cmocka_unit_test(
		dps_topics_without_their_fields_are_malformed_and_others_forbidden),
	    cmocka_unit_test(telemetry_bag_is_all_behind_events),
	    cmocka_unit_test(topics_of_others_are_forbidden),
	    cmocka_unit_test(twin_and_method_topics_are_told_apart),
	    cmocka_unit_test(filters_are_known_by_name_only),
	    cmocka_unit_test(bag_pairs_are_decoded_leniently),
	    cmocka_unit_test(c2d_bags_escape_the_dollar),
	    cmocka_unit_test(responses_have_the_shape_every_sdk_parses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
