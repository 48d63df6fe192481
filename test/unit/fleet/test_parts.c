/*
 * The parts of a campaign that need no server: inventory, waves, gate, states, the
 * reading of logs, the command line of ssh.
 */
#include "../test.h"

#include <stdio.h>

#include "fleet/azure.h"
#include "fleet/gate.h"
#include "fleet/inventory.h"
#include "fleet/session.h"
#include "fleet/ssh.h"
#include "fleet/state.h"
#include "fleet/wave.h"

#define KEY                                                                              \
	"ssh-ed25519 "                                                                   \
	"AAAAC3NzaC1lZDI1NTE5AAAAIG4nYrmmXcDIfTKlIEEV0Q3ppBc0s3cHEzMFAY9z8GEP"

/* ---- inventory ---- */

static int
parse(const char *text, struct arena *a, struct inventory *ret, struct buf *problems,
    struct err *e)
{
	return inventory_parse(span_str(text), "fleet.csv", a, ret, problems, e);
}

static void
inventory_gives_rows_with_host_and_port(void **state)
{
	struct err e;
	struct inventory all;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_buf problems = BUF_INIT(4096);
	assert_ok(parse("device_id,address,user,host_key\n"
			"dev-1,10.0.0.1,iot\n"
			"dev-2,gw.example:2222,iot," KEY "\n"
			"dev-3,[2001:db8::1]:22,root\n",
		      a, &all, &problems, &e),
	    &e);
	assert_int_equal(all.n, 3);
	assert_string_equal(all.v[0].host, "10.0.0.1");
	assert_int_equal(all.v[0].port, 0);
	assert_string_equal(all.v[0].host_key, "");
	assert_string_equal(all.v[1].host, "gw.example");
	assert_int_equal(all.v[1].port, 2222);
	assert_string_equal(all.v[1].host_key, KEY);
	assert_string_equal(all.v[2].host, "2001:db8::1");
	assert_int_equal(all.v[2].line, 4);
}

static void
inventory_names_every_wrong_line(void **state)
{
	struct err e;
	struct inventory all;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_buf problems = BUF_INIT(4096);
	assert_fails(parse("dev-1,10.0.0.1,iot\n"
			   "dev-2,10.0.0.2\n"
			   "dev-1,10.0.0.3,iot\n"
			   "dev-4,-oProxyCommand=x,iot\n"
			   "dev-5,host:99999,iot\n"
			   "dev-6,host,-lroot\n"
			   "dev-7,host,iot,ssh-ed25519 AAAA\n",
			 a, &all, &problems, &e),
	    &e, PARSE);
	const char *said = buf_text(&problems);
	assert_non_null(strstr(said, "line 2"));
	assert_non_null(strstr(said, "line 3: device_id dev-1 again, first on line 1"));
	assert_non_null(strstr(said, "line 4"));
	assert_non_null(strstr(said, "line 5"));
	assert_non_null(strstr(said, "line 6"));
	assert_non_null(strstr(said, "line 7: host key"));
	assert_non_null(strstr(e.text, "5 more"));
}

static void
inventory_refuses_an_empty_file(void **state)
{
	struct err e;
	struct inventory all;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_buf problems = BUF_INIT(4096);
	assert_fails(
	    parse("device_id,address,user\n", a, &all, &problems, &e), &e, PARSE);
}

static void
inventory_refuses_ids_that_fit_no_certificate(void **state)
{
	struct err e;
	struct inventory all;
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	auto_buf problems = BUF_INIT(4096);
	char text[200];
	snprintf(text, sizeof(text), "%065d,host,iot\n", 1);
	assert_fails(parse(text, a, &all, &problems, &e), &e, PARSE);
	assert_non_null(strstr(e.text, "common name"));
}

/* ---- waves ---- */

static size_t
sum(const struct wave_plan *p)
{
	size_t n = 0;
	for (size_t i = 0; i < p->n; i++) {
		assert_true(p->size[i] > 0);
		n += p->size[i];
	}
	return n;
}

static void
waves_cover_every_fleet_exactly(void **state)
{
	static const struct {
		size_t devices, waves, size[4];
	} want[] = {
	    {1, 1, {1}},
	    {2, 2, {1, 1}},
	    {3, 3, {1, 1, 1}},
	    {7, 3, {1, 3, 3}},
	    {10, 3, {1, 4, 5}},
	    {99, 4, {5, 5, 40, 49}},
	    {100, 4, {5, 5, 40, 50}},
	    {1000, 4, {20, 80, 400, 500}},
	};
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		struct wave_plan p;
		wave_default(want[i].devices, &p);
		assert_int_equal(sum(&p), want[i].devices);
		assert_int_equal(p.n, want[i].waves);
		assert_memory_equal(p.size, want[i].size, p.n * sizeof(size_t));
	}
	for (size_t n = 1; n < 3000; n++) {
		struct wave_plan p;
		wave_default(n, &p);
		assert_int_equal(sum(&p), n);
	}
}

static void
wave_list_mixes_numbers_and_shares(void **state)
{
	struct err e;
	struct wave_plan p;
	assert_ok(wave_parse(span_str("3, 10%,50%,100%"), 100, &p, &e), &e);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.size[0], 3);
	assert_int_equal(p.size[1], 7);
	assert_int_equal(sum(&p), 100);
	assert_ok(wave_parse(span_str("5,10%,100%"), 4, &p, &e), &e);
	assert_int_equal(p.n, 1);
	assert_fails(wave_parse(span_str("10%,50%"), 100, &p, &e), &e, PARSE);
	assert_ok(wave_parse(span_str("50,10%,100%"), 100, &p, &e), &e);
	assert_int_equal(p.n, 2);
	assert_fails(wave_parse(span_str("50%,10%,100%"), 100, &p, &e), &e, PARSE);
	assert_fails(wave_parse(span_str("0,100%"), 100, &p, &e), &e, PARSE);
	assert_fails(wave_parse(span_str("101%"), 100, &p, &e), &e, PARSE);
	assert_fails(wave_parse(span_str("ten"), 100, &p, &e), &e, PARSE);
}

static void
order_depends_on_the_seed_alone(void **state)
{
	size_t a[50], b[50], c[50], seen = 0;
	for (size_t i = 0; i < 50; i++)
		a[i] = b[i] = c[i] = i;
	wave_shuffle(a, 50, 7);
	wave_shuffle(b, 50, 7);
	wave_shuffle(c, 50, 8);
	assert_memory_equal(a, b, sizeof(a));
	assert_memory_not_equal(a, c, sizeof(a));
	for (size_t i = 0; i < 50; i++)
		seen += a[i];
	assert_int_equal(seen, 49 * 50 / 2);
}

/* ---- gate ---- */

static void
gate_is_arithmetic(void **state)
{
	static const struct {
		struct gate_numbers n;
		bool passes;
		const char *why;
	} rows[] = {
	    {{.size = 100, .migrated = 100}, true, ""},
	    {{.size = 100, .migrated = 95, .failed = 5}, true, ""},
	    {{.size = 100, .migrated = 94, .failed = 6}, false, "failures"},
	    {{.size = 5, .migrated = 4, .failed = 1}, true, ""},
	    {{.size = 5, .migrated = 3, .failed = 2}, false, "failures"},
	    {{.size = 1, .migrated = 0, .failed = 1}, false, "share migrated"},
	    {{.size = 2, .migrated = 1, .failed = 1}, true, ""},
	    {{.size = 100, .migrated = 99, .silent = 1}, false, "telemetry resumed"},
	    {{.size = 100, .migrated = 100, .fallbacks = 1}, false, "SAS fallbacks"},
	    {{.size = 100, .migrated = 99, .open = 1}, false, "not finished"},
	    {{.size = 0}, true, ""},
	};
	struct gate_limits l = GATE_LIMITS_DEFAULT;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct gate_verdict v;
		gate_judge(&l, &rows[i].n, &v);
		assert_int_equal(v.passed, rows[i].passes);
		assert_non_null(strstr(v.why, rows[i].why));
	}
	struct gate_verdict v;
	l = (struct gate_limits){.failed_pct = 5, .silent_max = 1, .fallback_max = 2};
	gate_judge(&l,
	    &(struct gate_numbers){
		.size = 100, .migrated = 99, .silent = 1, .fallbacks = 2},
	    &v);
	assert_true(v.passed);
}

/* ---- states ---- */

static void
every_state_on_the_way_may_fail_and_be_tried_again(void **state)
{
	for (int s = STATE_PLANNED; s < STATE_RESUMED; s++) {
		assert_true(sm_allows(&state_machine, s, s + 1));
		assert_true(sm_allows(&state_machine, s, STATE_FAILED));
		for (int skip = s + 2; skip <= STATE_RESUMED; skip++)
			assert_false(sm_allows(&state_machine, s, skip));
	}
	/* one that failed and whose new try was cut off has a key of ours, and more */
	assert_true(sm_allows(&state_machine, STATE_PLANNED, STATE_ROLLED_BACK));
	assert_false(sm_allows(&state_machine, STATE_RESUMED, STATE_FAILED));
	assert_true(sm_allows(&state_machine, STATE_RESUMED, STATE_ROLLED_BACK));
	assert_true(sm_allows(&state_machine, STATE_FAILED, STATE_PLANNED));
	assert_true(sm_allows(&state_machine, STATE_ROLLED_BACK, STATE_PLANNED));
	for (int to = 0; to < STATE_N; to++)
		assert_false(sm_allows(&state_machine, STATE_ALREADY, to));
	for (int s = 0; s < STATE_N; s++)
		assert_int_equal(sm_find(&state_machine, sm_name(&state_machine, s)), s);
}

/* ---- the hub's logs ---- */

struct rows {
	size_t n;
	int64_t last;
	char proof[16];
};

static int
visit(void *ctx, const struct azure_row *r, struct err *e)
{
	struct rows *rows = ctx;
	rows->n++;
	rows->last = r->seq;
	snprintf(rows->proof, sizeof(rows->proof), "%s", r->proof);
	return 0;
}

static void
a_log_that_was_cut_proves_nothing(void **state)
{
	struct err e;
	struct rows rows = {0};
	struct azure_log_end end;
	const char *whole =
	    "{\"seq\":7,\"timeMs\":5,\"deviceId\":\"d\",\"authType\":\"x509\"}\n"
	    "{\"seq\":9,\"deviceId\":\"d\",\"properties\":{\"application\":{"
	    "\"musterProof\":\"ab\"}}}\n"
	    "{\"next\":\"9\",\"completeSinceMs\":1234,\"end\":true}\n";
	assert_ok(azure_log_read(span_str(whole), visit, &rows, &end, &e), &e);
	assert_int_equal(rows.n, 2);
	assert_int_equal(rows.last, 9);
	assert_string_equal(rows.proof, "ab");
	assert_int_equal(end.next, 9);
	assert_int_equal(end.complete_since_ms, 1234);
	size_t last = strlen("{\"next\":\"9\",\"completeSinceMs\":1234,\"end\":true}\n");
	struct span cut = span_head(span_str(whole), strlen(whole) - last);
	assert_fails(azure_log_read(cut, visit, &rows, &end, &e), &e, CORRUPT);
	assert_fails(azure_log_read(SPAN_NONE, visit, &rows, &end, &e), &e, CORRUPT);
	const char *other = "{\"error\":\"x\"}\n{\"next\":\"9\",\"end\":true}\n";
	assert_fails(azure_log_read(span_str(other), visit, &rows, &end, &e), &e, PARSE);
	const char *unknown = "{\"next\":\"0\",\"end\":true}\n";
	assert_ok(azure_log_read(span_str(unknown), visit, &rows, &end, &e), &e);
	assert_true(end.complete_since_ms == INT64_MAX);
}

/* 64 levels are what the service passes on as JSON; what is deeper comes as base64. */
static void
a_deep_message_of_a_device_is_read(void **state)
{
	struct err e;
	struct rows rows = {0};
	struct azure_log_end end;
	auto_buf text = BUF_INIT(4096);
	buf_str(&text, "{\"seq\":3,\"deviceId\":\"d\",\"body\":");
	for (int i = 0; i < 64; i++)
		buf_u8(&text, '[');
	for (int i = 0; i < 64; i++)
		buf_u8(&text, ']');
	buf_str(&text, "}\n{\"next\":\"3\",\"end\":true}\n");
	assert_ok(azure_log_read(buf_span(&text), visit, &rows, &end, &e), &e);
	assert_int_equal(rows.last, 3);
}

/* ---- ssh ---- */

static bool
has_arg(const struct proc_spec *s, const char *text)
{
	for (size_t i = 0; s->argv[i]; i++)
		if (strcmp(s->argv[i], text) == 0)
			return true;
	return false;
}

static void
ssh_takes_no_host_key_blindly(void **state)
{
	struct err e;
	struct proc_spec spec;
	char alias[SSH_ALIAS], option[80];
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	struct ssh_opts o = {.program = "ssh",
	    .pinned = "/c/known_hosts",
	    .command = "muster-agent session",
	    .connect_s = 5,
	    .option = {"StrictHostKeyChecking=no"},
	    .n_options = 1};
	struct ssh_target t = {.id = "dev-1", .host = "h", .user = "iot", .host_key = ""};
	assert_fails(ssh_spec(&o, &t, a, &spec, &e), &e, USAGE);
	t.host_key = KEY;
	t.port = 2222;
	assert_ok(ssh_spec(&o, &t, a, &spec, &e), &e);
	ssh_alias("dev-1", alias);
	snprintf(option, sizeof(option), "HostKeyAlias=%s", alias);
	assert_true(has_arg(&spec, option));
	assert_true(has_arg(&spec, "UserKnownHostsFile=\"/c/known_hosts\""));
	assert_true(has_arg(&spec, "ControlPath=none"));
	assert_true(has_arg(&spec, "NoHostAuthenticationForLocalhost=no"));
	size_t strict = 0, loose = 0;
	for (size_t i = 0; spec.argv[i]; i++) {
		strict = strcmp(spec.argv[i], "StrictHostKeyChecking=yes") ? strict : i;
		loose = strcmp(spec.argv[i], "StrictHostKeyChecking=no") ? loose : i;
	}
	assert_true(strict && strict < loose); /* ssh takes the first */
	assert_true(has_arg(&spec, "--"));
	assert_true(has_arg(&spec, "2222"));
}

static void
ssh_says_what_to_do(void **state)
{
	struct session_failure why = {0};
	ssh_explain(255,
	    "No ED25519 host key is known.\r\nHost key verification failed.\r\n", &why);
	assert_int_equal(why.err.code, ERR_DENIED);
	assert_true(why.fix[0]);
	ssh_explain(
	    255, "ssh: connect to host 10.0.0.1 port 22: Connection refused\n", &why);
	assert_int_equal(why.err.code, ERR_UNAVAILABLE);
	ssh_explain(127, "sh: 1: muster-agent: not found\n", &why);
	assert_int_equal(why.err.code, ERR_NOT_FOUND);
	why = (struct session_failure){0};
	ssh_explain(3, "something else\n", &why);
	assert_non_null(strstr(why.err.text, "something else"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inventory_gives_rows_with_host_and_port),
	    cmocka_unit_test(inventory_names_every_wrong_line),
	    cmocka_unit_test(inventory_refuses_an_empty_file),
	    cmocka_unit_test(inventory_refuses_ids_that_fit_no_certificate),
	    cmocka_unit_test(waves_cover_every_fleet_exactly),
	    cmocka_unit_test(wave_list_mixes_numbers_and_shares),
	    cmocka_unit_test(order_depends_on_the_seed_alone),
	    cmocka_unit_test(gate_is_arithmetic),
	    cmocka_unit_test(every_state_on_the_way_may_fail_and_be_tried_again),
	    cmocka_unit_test(a_log_that_was_cut_proves_nothing),
	    cmocka_unit_test(a_deep_message_of_a_device_is_read),
	    cmocka_unit_test(ssh_takes_no_host_key_blindly),
	    cmocka_unit_test(ssh_says_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
