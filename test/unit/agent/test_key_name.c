/*
 * Names of keys in tokens and TPMs.
 */
#include "kit.h"

#include <string.h>

#include "agent/key_name.h"
#include "codec/key_uri.h"

static struct key_uri
named(const char *base, const char *id, int number, int attempt)
{
	struct err e;
	struct key_uri u;
	auto_buf text = BUF_INIT(KEY_URI_MAX);
	assert_ok(key_name_write(base, id, number, attempt, &text, &e), &e);
	assert_ok(key_uri_parse(buf_span(&text), &u, &e), &e);
	return u;
}

static void
an_object_is_named_after_device_and_generation(void **state)
{
	static const char base[] =
	    "pkcs11:token=t;id=%01?module-path=/m.so&pin-source=file:pin";
	struct key_uri u = named(base, "dev-17", 3, 0);
	assert_string_equal(u.p11.object, "dev-17-0003");
	assert_string_equal(u.p11.token, "t");
	assert_string_equal(u.p11.module, "/m.so");
	assert_string_equal(u.secret, "pin");
	assert_int_equal(u.p11.id_len, 0); /* one for each */
	assert_string_equal(named(base, "dev-17", 3, 2).p11.object, "dev-17-0003.2");
	u = named("pkcs11:token=t;object=pump", "dev-17", 12, 0);
	assert_string_equal(u.p11.object, "pump-0012");
}

static void
the_longest_device_id_fits(void **state)
{
	char id[129];
	memset(id, 'x', 128);
	id[128] = '\0';
	struct key_uri a = named("pkcs11:token=t", id, 9999, 15);
	assert_true(span_ends(span_str(a.p11.object), SPAN_LIT("-9999.15")));
}

static void
handles_go_round_their_range(void **state)
{
	assert_int_equal(named("tpm2:", "d", 1, 0).tpm.handle, 0x81010000);
	assert_int_equal(
	    named("tpm2:handle=0x81020000", "d", 2, 0).tpm.handle, 0x81020001);
	assert_int_equal(
	    named("tpm2:handle=0x81020000", "d", 2, 3).tpm.handle, 0x81020004);
	assert_int_equal(
	    named("tpm2:handle=0x81020000", "d", 65, 0).tpm.handle, 0x81020000);
	assert_int_equal(
	    named("tpm2:handle=0x81020000;nv=0x01c10000", "d", 7, 0).tpm.nv, 0x01c10000);
}

static void
a_file_is_no_place_for_generations(void **state)
{
	struct err e;
	auto_buf text = BUF_INIT(KEY_URI_MAX);
	assert_fails(key_name_write("file:/k", "d", 1, 0, &text, &e), &e, USAGE);
	assert_int_equal(text.len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_object_is_named_after_device_and_generation),
	    cmocka_unit_test(the_longest_device_id_fits),
	    cmocka_unit_test(handles_go_round_their_range),
	    cmocka_unit_test(a_file_is_no_place_for_generations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
