/*
 * Signing in: files of secrets, tokens made here, answers of who gives tokens.
 */
#include "../test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/sas.h"
#include "crypto/sas_key.h"
#include "fleet/rest.h"
#include "fleet/sign_in.h"
#include "io/file.h"
#include "io/loop.h"

#define AT_MS (INT64_C(1800000000) * 1000)
/* sixteen bytes */
#define KEY  "AAECAwQFBgcICQoLDA0ODw=="
#define CONN "HostName=h.example.net:8443;SharedAccessKeyName=owner;SharedAccessKey=" KEY

static char home[] = "/tmp/muster-sign-in-XXXXXX";
static struct clock now;

static int
set_up(void **state)
{
	struct err e = {0};
	char path[128];
	now = clock_fake(AT_MS);
	snprintf(path, sizeof(path), "%s/hub.conn", home);
	return file_write(path, SPAN_LIT(CONN "\n"), 0600, &e);
}

static int
make_home(void **state)
{
	return mkdtemp(home) ? 0 : -1;
}

static int
remove_home(void **state)
{
	struct err e = {0};
	return file_remove_tree(home, &e);
}

static const struct targets_row row = {.name = "bench",
    .kind = TARGETS_AZURE,
    .sign_in = TARGETS_CONNECTION_STRING,
    .ca = "",
    .hub_connection = "hub.conn",
    .dps_connection = ""};

static void
a_token_is_made_of_a_connection_string(void **state)
{
	struct err e = {0};
	const char *text;
	bool fresh;
	struct sas t;
	uint8_t key[16];
	for (int i = 0; i < 16; i++)
		key[i] = (uint8_t)i;
	auto_(loop_free) struct loop *l = loop_new(&now, &e);
	auto_(sign_in_free) struct sign_in *s = sign_in_new(l, &row, home, &e);
	assert_ok(s ? 0 : -1, &e);
	assert_string_equal(sign_in_host(s, SIGN_IN_HUB), "h.example.net:8443");
	assert_string_equal(sign_in_host(s, SIGN_IN_DPS), "");
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	assert_true(fresh);
	assert_ok(sas_parse(span_str(text), &t, &e), &e);
	assert_string_equal(t.resource, "h.example.net");
	assert_string_equal(t.policy, "owner");
	assert_int_equal(t.se_s, AT_MS / 1000 + 3600);
	assert_int_equal(
	    sas_key_verify(&t, span_of(key, sizeof(key)), SPAN_NONE), SAS_KEY_PRIMARY);
}

static void
a_token_is_kept_until_shortly_before_its_end(void **state)
{
	struct err e = {0};
	const char *text;
	bool fresh;
	auto_(loop_free) struct loop *l = loop_new(&now, &e);
	auto_(sign_in_free) struct sign_in *s = sign_in_new(l, &row, home, &e);
	assert_ok(s ? 0 : -1, &e);
	assert_null(sign_in_ready(s, SIGN_IN_HUB));
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	now.skew_ms = AT_MS + 54 * 60000;
	assert_string_equal(sign_in_ready(s, SIGN_IN_HUB), text);
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	assert_false(fresh);
	now.skew_ms = AT_MS + 56 * 60000;
	assert_null(sign_in_ready(s, SIGN_IN_HUB));
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	assert_true(fresh);
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	assert_false(fresh);
	sign_in_forget(s, SIGN_IN_HUB);
	assert_null(sign_in_ready(s, SIGN_IN_HUB));
	assert_ok(sign_in_authorization(s, SIGN_IN_HUB, &text, &fresh, &e), &e);
	assert_true(fresh);
}

static void
a_connection_string_is_for_its_own_plane(void **state)
{
	struct err e = {0};
	const char *text;
	bool fresh;
	auto_(loop_free) struct loop *l = loop_new(&now, &e);
	auto_(sign_in_free) struct sign_in *s = sign_in_new(l, &row, home, &e);
	assert_ok(s ? 0 : -1, &e);
	assert_int_equal(sign_in_authorization(s, SIGN_IN_DPS, &text, &fresh, &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.text, "dps_connection"));
	assert_int_equal(sign_in_authorization(s, SIGN_IN_ARM, &text, &fresh, &e), -1);
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "service-principal"));
}

static void
a_secret_that_others_may_read_is_refused(void **state)
{
	struct err e = {0};
	char path[128];
	snprintf(path, sizeof(path), "%s/hub.conn", home);
	assert_int_equal(chmod(path, 0640), 0);
	auto_(loop_free) struct loop *l = loop_new(&now, &e);
	assert_null(sign_in_new(l, &row, home, &e));
	assert_int_equal(e.code, ERR_PERM);
	assert_non_null(strstr(e.text, "chmod"));
	assert_null(strstr(e.text, KEY));
}

/* The one address beyond loopback that is spoken with in the clear, and only as such. */
static void
plain_http_is_for_loopback_and_the_machines_own_endpoint(void **state)
{
	static const struct {
		const char *base;
		bool metadata, good;
	} rows[] = {
	    {"http://169.254.169.254", true, true},
	    {"http://169.254.169.254:80/", true, true},
	    {"http://169.254.169.254", false, false},
	    {"http://169.254.169.254.example.net", true, false},
	    {"http://169.254.169.254@example.net", true, false},
	    {"http://169.254.169.254:80@example.net", true, false},
	    {"http://127.0.0.1:80@example.net", false, false},
	    {"https://127.0.0.1@example.net", false, false},
	    {"http://10.0.0.1", true, false},
	    {"http://127.0.0.1:40342", true, true},
	    {"ftp://169.254.169.254", true, false},
	    {"https://identity.example.net", true, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		const struct rest_opts o = {.base = rows[i].base,
		    .timeout_ms = 1000,
		    .conns_max = 1,
		    .metadata = rows[i].metadata};
		auto_(loop_free) struct loop *l = loop_new(&clock_system, &e);
		auto_(rest_free) struct rest *r = rest_new(l, &o, &e);
		if ((r != NULL) != rows[i].good)
			fail_msg("%s: %s", rows[i].base, r ? "taken" : e.text);
	}
}

static void
an_answer_gives_a_token_and_its_life(void **state)
{
	static const struct {
		const char *text;
		int64_t life_s; /* -1: refused */
	} rows[] = {
	    {"{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"a.b-c\"}",
		3599},
	    {"{\"expires_in\":\"86399\",\"access_token\":\"a.b-c\",\"client_id\":\"x\"}",
		86399},
	    {"{\"expires_in\":1,\"access_token\":\"a.b-c\"}", 1},
	    {"{\"expires_in\":0,\"access_token\":\"a.b-c\"}", -1},
	    {"{\"expires_in\":-5,\"access_token\":\"a.b-c\"}", -1},
	    {"{\"access_token\":\"a.b-c\"}", -1},
	    {"{\"expires_in\":\"soon\",\"access_token\":\"a.b-c\"}", -1},
	    {"{\"expires_in\":1,\"access_token\":\"\"}", -1},
	    {"{\"expires_in\":1,\"access_token\":\"a\\r\\nX: y\"}", -1},
	    {"{\"expires_in\":1,\"access_token\":5}", -1},
	    {"<html>", -1},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		auto_buf b = BUF_INIT(1024);
		int64_t life_s = -1;
		int rc = sign_in_read_token(span_str(rows[i].text), &b, &life_s, &e);
		assert_int_equal(rc, rows[i].life_s < 0 ? -1 : 0);
		assert_int_equal(life_s, rows[i].life_s);
		assert_string_equal(buf_text(&b), rc ? "" : "a.b-c");
	}
}

static void
a_refusal_is_its_first_line(void **state)
{
	char out[64];
	sign_in_read_refusal(
	    SPAN_LIT("{\"error\":\"invalid_client\",\"error_description\":"
		     "\"AADSTS7000215: Invalid\\u001b secret.\\r\\nTrace"
		     "\"}"),
	    out, sizeof(out));
	assert_string_equal(out, "AADSTS7000215: Invalid? secret.");
	sign_in_read_refusal(SPAN_LIT("{\"error\":\"slow_down\"}"), out, sizeof(out));
	assert_string_equal(out, "slow_down");
	sign_in_read_refusal(SPAN_LIT("no JSON"), out, sizeof(out));
	assert_string_equal(out, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(a_token_is_made_of_a_connection_string, set_up),
	    cmocka_unit_test_setup(a_token_is_kept_until_shortly_before_its_end, set_up),
	    cmocka_unit_test_setup(a_connection_string_is_for_its_own_plane, set_up),
	    cmocka_unit_test_setup(a_secret_that_others_may_read_is_refused, set_up),
	    cmocka_unit_test(plain_http_is_for_loopback_and_the_machines_own_endpoint),
	    cmocka_unit_test(an_answer_gives_a_token_and_its_life),
	    cmocka_unit_test(a_refusal_is_its_first_line),
	};
	return cmocka_run_group_tests(tests, make_home, remove_home);
}
