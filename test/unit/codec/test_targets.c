/*
 * targets.conf and connection strings: read, refused, and never told.
 */
#include "../test.h"

#include <string.h>

#include "codec/conn_string.h"
#include "codec/targets.h"

static struct arena *a;
static struct targets t;

static int
set_up(void **state)
{
	a = arena_new(1 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	arena_free(a);
	return 0;
}

static void
assert_refused(const char *text, const char *words)
{
	struct err e = {0};
	assert_int_equal(targets_parse(span_str(text), a, &t, &e), -1);
	assert_int_equal(e.code, ERR_PARSE);
	if (!strstr(e.text, words))
		fail_msg("'%s' does not say '%s'", e.text, words);
}

#define PRINCIPAL                                                                        \
	"kind = azure\nsign_in = service-principal\ntenant = t-1\nclient_id = c-1\n"     \
	"secret = prod.secret\nhub = h.example.net\n"

static void
each_way_to_sign_in_is_read(void **state)
{
	struct err e = {0};
	const char *text =
	    "[plant]\nkind = muster\nserver = https://[::1]:8443\nca = ca.pem\n"
	    "cert = /etc/op.pem\nkey = op.key\n"
	    "[prod]\n" PRINCIPAL "[vm]\nkind = azure\nsign_in = managed-identity\n"
	    "dps = d.example.net:443\nimds = http://127.0.0.1:40342\n"
	    "tier = S2\nunits = 12\n"
	    "[bench]\nkind = azure\nsign_in = connection-string\nhub_connection = "
	    "b.conn\n";
	assert_ok(targets_parse(span_str(text), a, &t, &e), &e);
	assert_int_equal(t.n, 4);
	const struct targets_row *r = targets_find(&t, SPAN_LIT("plant"));
	assert_int_equal(r->kind, TARGETS_MUSTER);
	assert_string_equal(r->server, "https://[::1]:8443");
	assert_string_equal(r->hub, "");
	r = targets_find(&t, SPAN_LIT("prod"));
	assert_int_equal(r->sign_in, TARGETS_SERVICE_PRINCIPAL);
	assert_string_equal(r->authority, TARGETS_AUTHORITY);
	assert_string_equal(r->arm, TARGETS_ARM);
	assert_string_equal(r->dps, "");
	r = targets_find(&t, SPAN_LIT("vm"));
	assert_int_equal(r->sign_in, TARGETS_MANAGED_IDENTITY);
	assert_string_equal(r->imds, "http://127.0.0.1:40342");
	assert_string_equal(r->tier, "S2");
	assert_string_equal(r->units, "12");
	r = targets_find(&t, SPAN_LIT("bench"));
	assert_int_equal(r->sign_in, TARGETS_CONNECTION_STRING);
	assert_string_equal(r->hub_connection, "b.conn");
	assert_null(targets_find(&t, SPAN_LIT("prod2")));
}

static void
an_empty_file_has_no_targets(void **state)
{
	struct err e = {0};
	assert_ok(targets_parse(SPAN_LIT("; none yet\n"), a, &t, &e), &e);
	assert_int_equal(t.n, 0);
}

static void
exactly_one_way_to_sign_in(void **state)
{
	assert_refused("[p]\nkind = azure\nhub = h\n", "sign_in is wanted");
	assert_refused("[p]\n" PRINCIPAL "sign_in = managed-identity\n", "one way");
	assert_refused("[p]\n" PRINCIPAL "hub_connection = x\n",
	    "hub_connection is not for sign_in = service-principal");
	assert_refused("[p]\nkind = azure\nsign_in = managed-identity\nhub = h\n"
		       "secret = x\n",
	    "secret is not for");
	assert_refused("[p]\nkind = azure\nsign_in = connection-string\n"
		       "hub_connection = x\nhub_resource = /subscriptions/s\n",
	    "hub_resource is not for");
	assert_refused("[p]\nkind = muster\nsign_in = managed-identity\n", "kind muster");
	assert_refused("[p]\nkind = azure\nsign_in = certificate\n", "kind azure");
}

static void
what_is_missing_is_named(void **state)
{
	assert_refused("[p]\nhub = h\n", "kind is wanted");
	assert_refused("[p]\nkind = muster\nserver = https://h:1\nca = c\nkey = k\n",
	    "cert is wanted");
	assert_refused("[p]\nkind = azure\nsign_in = service-principal\ntenant = t\n"
		       "client_id = c\nhub = h\n",
	    "secret is wanted");
	assert_refused(
	    "[p]\nkind = azure\nsign_in = managed-identity\n", "neither a hub");
}

static void
what_no_target_is_is_refused(void **state)
{
	assert_refused("[a b]\nkind = azure\n", "no name of a target");
	assert_refused("[p]\nkind = aws\n", "muster or azure");
	assert_refused("[p]\ncolour = red\n", "no key 'colour'");
	assert_refused("[p]\nkind = azure\nkind = azure\n", "twice");
	assert_refused("[p]\n" PRINCIPAL "hub = h2\n", "hub is set twice");
	assert_refused("[p]\nhub = https://h.example.net\n", "a host name");
	assert_refused("[p]\nhub = h.example.net/x\n", "a host name");
	assert_refused("[p]\nhub = h:0\n", "a host name");
	assert_refused("[p]\nauthority = http://login.example.net\n", "https://host");
	assert_refused("[p]\narm = https://h@evil/\n", "https://host");
	assert_refused("[p]\nimds = ftp://127.0.0.1\n", "http://host");
	assert_refused("[p]\ntenant = a/../b\n", "letters");
	assert_refused("[p]\ntier = S4\n", "S1 to S3");
	assert_refused("[p]\ntier = GEN2\n", "S1 to S3");
	assert_refused("[p]\nunits = 0\n", "1 to 200");
	assert_refused("[p]\nhub_resource = /resourceGroups/x\n", "/subscriptions/");
	assert_refused("[p]\nhub_resource = /subscriptions/s?x=1\n", "/subscriptions/");
}

/* Whoever writes a secret where its file's name belongs finds it in no log. */
static void
no_error_tells_a_value(void **state)
{
	struct err e = {0};
	assert_int_equal(
	    targets_parse(SPAN_LIT("[p]\ntenant = hunter2!\n"), a, &t, &e), -1);
	assert_null(strstr(e.text, "hunter2"));
	struct conn_string c;
	assert_int_equal(
	    conn_string_parse(SPAN_LIT("HostName=h;SharedAccessKey=hunter2"), &c, &e),
	    -1);
	assert_null(strstr(e.text, "hunter2"));
	assert_int_equal(conn_string_parse(SPAN_LIT("hunter2"), &c, &e), -1);
	assert_null(strstr(e.text, "hunter2"));
}

static void
a_connection_string_is_read(void **state)
{
	struct err e = {0};
	struct conn_string c;
	assert_ok(
	    conn_string_parse(SPAN_LIT("HostName=h.example.net;sharedaccesskeyname=owner;"
				       "SharedAccessKey=AAAA==;\n"),
		&c, &e),
	    &e);
	assert_true(span_eq_str(c.host, "h.example.net"));
	assert_true(span_eq_str(c.policy, "owner"));
	assert_true(span_eq_str(c.key, "AAAA=="));
}

static void
a_bad_connection_string_is_refused(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
	    {"", "HostName is missing"},
	    {"HostName=h;SharedAccessKeyName=o", "SharedAccessKey is missing"},
	    {"HostName=h;HostName=i", "twice"},
	    {"HostName=h;DeviceId=d;SharedAccessKey=AAAA", "a device's"},
	    {"HostName=;SharedAccessKeyName=o;SharedAccessKey=AAAA", "empty"},
	    {"HostName=h/x;SharedAccessKeyName=o;SharedAccessKey=AAAA", "no host"},
	    {"Endpoint=sb://h/;SharedAccessKeyName=o;SharedAccessKey=AAAA",
		"want HostName"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		struct conn_string c;
		assert_int_equal(conn_string_parse(span_str(rows[i].text), &c, &e), -1);
		assert_int_equal(e.code, ERR_PARSE);
		if (!strstr(e.text, rows[i].words))
			fail_msg("'%s' does not say '%s'", e.text, rows[i].words);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		each_way_to_sign_in_is_read, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		an_empty_file_has_no_targets, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		exactly_one_way_to_sign_in, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(what_is_missing_is_named, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		what_no_target_is_is_refused, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(no_error_tells_a_value, set_up, tear_down),
	    cmocka_unit_test(a_connection_string_is_read),
	    cmocka_unit_test(a_bad_connection_string_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
