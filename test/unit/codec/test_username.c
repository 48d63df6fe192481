/*
 * User names as the SDKs send them (protocol/clients.md 3 and 5), and hostile ones.
 */
#include "../test.h"

#include "base/buf.h"
#include "codec/username.h"

static void
assert_span(struct span s, const char *want)
{
	if (!span_eq_str(s, want))
		fail_msg("'%.*s' is not '%s'", SPAN_FMT(s), want);
}

static void
dps_names_of_every_sdk_are_read(void **state)
{
	static const struct {
		const char *tail, *version, *agent;
	} rows[] = {
	    {"api-version=2019-03-31&ClientVersion=azure-iot-provisioning-device%2F1.9.1",
		"2019-03-31", "azure-iot-provisioning-device%2F1.9.1"},
	    {"api-version=2021-06-01&ClientVersion=1.15.0", "2021-06-01", "1.15.0"},
	    {"api-version=2019-03-31", "2019-03-31", ""},
	    {"api-version=1&ClientVersion=a/b (c; d)", "1", "a/b (c; d)"},
	    {"", "", ""},
	};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf name = BUF_INIT(1024);
		buf_printf(
		    &name, "0ne00000001/registrations/sensor-001/%s", rows[i].tail);
		struct username_dps u;
		assert_true(username_is_dps(buf_span(&name)));
		assert_ok(username_parse_dps(buf_span(&name), &u, &e), &e);
		assert_span(u.scope, "0ne00000001");
		assert_span(u.registration_id, "sensor-001");
		assert_span(u.api_version, rows[i].version);
		assert_span(u.client_agent, rows[i].agent);
	}
}

static void
hub_names_of_every_form_are_read(void **state)
{
	static const struct {
		const char *name, *host, *device, *module, *version, *agent;
	} rows[] = {
	    {"localhost/sensor-001/?api-version=2021-04-12&DeviceClientType=n%2F1%20(x)",
		"localhost", "sensor-001", "", "2021-04-12", "n%2F1%20(x)"},
	    {"h:8883/d/m/?api-version=2020-09-30", "h:8883", "d", "m", "2020-09-30", ""},
	    {"h/d/?api-version=1&model-id=dtmi:com:x;1&DeviceClientType=c", "h", "d", "",
		"1", "c"},
	    {"h/d", "h", "d", "", "", ""},
	    {"h/d/", "h", "d", "", "", ""},
	    {"h/d/m", "h", "d", "m", "", ""},
	    {"h/d/api-version=2016-11-14", "h", "d", "", "2016-11-14", ""},
	    {"h/d/m/api-version=1&DeviceClientType=a/b", "h", "d", "m", "1", "a/b"},
	    {"h/?d?/?api-version=1", "h", "?d?", "", "1", ""},
	    {"h/api-version=x", "h", "api-version=x", "", "", ""},
	};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct username_hub u;
		assert_false(username_is_dps(span_str(rows[i].name)));
		assert_ok(username_parse_hub(span_str(rows[i].name), &u, &e), &e);
		assert_span(u.host, rows[i].host);
		assert_span(u.device_id, rows[i].device);
		assert_span(u.module_id, rows[i].module);
		assert_span(u.api_version, rows[i].version);
		assert_span(u.client_agent, rows[i].agent);
	}
}

static void
hub_names_that_could_open_other_topics_are_refused(void **state)
{
	static const char *const bad[] = {"", "h", "h/", "/d", "h//m", "h/#",
	    "h/+/?api-version=1", "h/d/+", "h/a/b/c", "h/d//?api-version=1", "h/d\n",
	    "h/\x7f"};
	struct err e = {0};
	struct username_hub u;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(username_parse_hub(span_str(bad[i]), &u, &e), &e, PARSE);
	assert_fails(username_parse_hub(SPAN_LIT("h/d\0x"), &u, &e), &e, PARSE);
}

static void
dps_names_of_another_shape_are_refused(void **state)
{
	static const char *const bad[] = {"0ne/registrations", "0ne/registrations/",
	    "/registrations/d/", "0 e/registrations/d/", "0ne/Registrations/d/",
	    "0ne/registrations/d#/x", "0ne/registrations/d./x", "0ne/registrations//x"};
	struct err e = {0};
	struct username_dps u;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(username_parse_dps(span_str(bad[i]), &u, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(dps_names_of_every_sdk_are_read),
	    cmocka_unit_test(hub_names_of_every_form_are_read),
	    cmocka_unit_test(hub_names_that_could_open_other_topics_are_refused),
	    cmocka_unit_test(dps_names_of_another_shape_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
