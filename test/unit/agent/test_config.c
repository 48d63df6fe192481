/*
 * agent.conf.
 */
#include "kit.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"

static int
read_text(const char *text, struct agent_config *c, struct arena *a, struct err *e)
{
	char *dir = kit_dir();
	char path[4096];
	snprintf(path, sizeof(path), "%s/agent.conf", dir);
	if (file_write(path, span_str(text), 0600, e))
		return -1;
	int rc = agent_config_read(dir, c, a, e);
	kit_dir_done(dir);
	return rc;
}

static void
the_contracts_keys_are_read(void **state)
{
	struct agent_config c;
	struct err e;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	assert_ok(read_text("[device]\nid=dev-1\n[dps]\nhost=127.0.0.1\nport=18883\n"
			    "id_scope=0ne1\nca_file=/x/ca.pem\n[hub]\nport=18883\n"
			    "[auth]\nkey=rsa2048\nkeep_generations=4\n"
			    "[telemetry]\ninterval=500ms\n"
			    "[agent]\nbackoff_min=1s\nbackoff_max=2m\n",
		      &c, a, &e),
	    &e);
	assert_string_equal(c.device.id, "dev-1");
	assert_int_equal(c.dps.port, 18883);
	assert_int_equal(c.auth.key, KEY_RSA2048);
	assert_int_equal(c.auth.keep_generations, 4);
	assert_int_equal(c.telemetry.interval_ms, 500);
	assert_int_equal(c.agent.backoff_max_ms, 120000);
	assert_int_equal(c.agent.refused_min_ms, 60000);
	assert_string_equal(c.hub.host, "");
}

static void
what_is_written_reads_back_the_same(void **state)
{
	struct agent_config c, d;
	struct err e;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	auto_buf one = BUF_INIT(AGENT_CONFIG_FILE_MAX),
		 two = BUF_INIT(AGENT_CONFIG_FILE_MAX);
	agent_config_defaults(&c, a);
	c.device.id = "dev-2";
	c.dps.id_scope = "0ne2";
	agent_config_write(&c, &one);
	assert_ok(read_text(buf_text(&one), &d, a, &e), &e);
	agent_config_write(&d, &two);
	assert_string_equal(buf_text(&one), buf_text(&two));
}

static void
a_device_without_usable_names_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
	    {"[dps]\nid_scope=0ne1\n", "device.id"},
	    {"[device]\nid=a/b\n[dps]\nid_scope=0ne1\n", "device.id"},
	    {"[device]\nid=d\n", "id_scope"},
	    {"[device]\nid=d\n[dps]\nid_scope=0ne1\nhost=a b\n", "dps.host"},
	    {"[device]\nid=d\n[dps]\nid_scope=0ne1\n[agent]\nbackoff_min=10m\n",
		"backoff_max"},
	    {"[device]\nid=d\n[dps]\nid_scop=0ne1\n", "id_scope"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct agent_config c;
		struct err e;
		auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
		assert_fails(read_text(rows[i].text, &c, a, &e), &e, PARSE);
		assert_non_null(strstr(e.text, rows[i].words));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_contracts_keys_are_read),
	    cmocka_unit_test(what_is_written_reads_back_the_same),
	    cmocka_unit_test(a_device_without_usable_names_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
