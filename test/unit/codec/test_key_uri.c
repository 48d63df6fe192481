/*
 * Key URIs: RFC 7512's examples, ours, and what is refused.
 */
#include "../test.h"

#include "codec/key_uri.h"

static struct key_uri
parsed(const char *text)
{
	struct err e = {0};
	struct key_uri u;
	assert_ok(key_uri_parse(span_str(text), &u, &e), &e);
	return u;
}

static void
files_are_paths_and_file_uris(void **state)
{
	static const char *const rows[][2] = {
	    {"/etc/key.pem", "/etc/key.pem"},
	    {"ca/root.key", "ca/root.key"},
	    {"file:/etc/key.pem", "/etc/key.pem"},
	    {"FILE:///etc/key.pem", "/etc/key.pem"},
	    {"file:ca/root.key", "ca/root.key"},
	    {"./odd:name", "./odd:name"},
	    {"file:odd:name", "odd:name"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct key_uri u = parsed(rows[i][0]);
		assert_int_equal(u.kind, KEY_URI_FILE);
		assert_string_equal(u.path, rows[i][1]);
	}
}

static void
pkcs11_attributes_are_decoded(void **state)
{
	struct key_uri u =
	    parsed("pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;"
		   "manufacturer=Snake%20Oil,%20Inc.;model=1.0;serial=4711;slot-id=327;"
		   "object=my-certificate;type=private;id=%69%95%3E%00%f4"
		   "?pin-source=file:/etc/token_pin&module-path=/usr/lib/x.so");
	assert_int_equal(u.kind, KEY_URI_PKCS11);
	assert_string_equal(u.p11.token, "The Software PKCS#11 Softtoken");
	assert_string_equal(u.p11.manufacturer, "Snake Oil, Inc.");
	assert_string_equal(u.p11.model, "1.0");
	assert_string_equal(u.p11.serial, "4711");
	assert_true(u.p11.has_slot);
	assert_int_equal(u.p11.slot, 327);
	assert_string_equal(u.p11.object, "my-certificate");
	assert_int_equal(u.p11.id_len, 5);
	assert_memory_equal(u.p11.id, "\x69\x95\x3e\x00\xf4", 5);
	assert_string_equal(u.secret, "/etc/token_pin");
	assert_string_equal(u.p11.module, "/usr/lib/x.so");
}

static void
tpm_handles_have_a_default_index(void **state)
{
	struct key_uri u = parsed("tpm2:handle=0x81010001");
	assert_int_equal(u.kind, KEY_URI_TPM2);
	assert_int_equal(u.tpm.handle, 0x81010001);
	assert_int_equal(u.tpm.nv, 0x01c00002);
	assert_string_equal(u.tpm.tcti, "");
	u = parsed("tpm2:handle=0x81010001;nv=0x01C0000A"
		   "?tcti=swtpm:host=127.0.0.1,port=2321&auth-source=auth");
	assert_int_equal(u.tpm.nv, 0x01c0000a);
	assert_string_equal(u.tpm.tcti, "swtpm:host=127.0.0.1,port=2321");
	assert_string_equal(u.secret, "auth");
}

static void
what_is_no_key_uri_is_refused(void **state)
{
	static const struct {
		const char *text;
		enum err_code code;
	} rows[] = {
	    {"", ERR_PARSE},
	    {"file:", ERR_PARSE},
	    {"file://host/path", ERR_UNSUPPORTED},
	    {"https://vault/key", ERR_UNSUPPORTED},
	    {"pkcs11:token=a;token=b", ERR_PARSE},
	    {"pkcs11:token", ERR_PARSE},
	    {"pkcs11:token=a%2", ERR_PARSE},
	    {"pkcs11:token=a%zz", ERR_PARSE},
	    {"pkcs11:token=a%00b", ERR_PARSE},
	    {"pkcs11:token=a b", ERR_PARSE},
	    {"pkcs11:token=123456789012345678901234567890123", ERR_LIMIT},
	    {"pkcs11:colour=red", ERR_UNSUPPORTED},
	    {"pkcs11:slot-description=a", ERR_UNSUPPORTED},
	    {"pkcs11:slot-id=-1", ERR_PARSE},
	    {"pkcs11:type=cert", ERR_UNSUPPORTED},
	    {"pkcs11:?module-name=x", ERR_UNSUPPORTED},
	    {"pkcs11:?pin-source=|cat%20pin", ERR_UNSUPPORTED},
	    {"pkcs11:?pin-source=https://pin", ERR_UNSUPPORTED},
	    {"pkcs11:?pin-source=", ERR_PARSE},
	    {"tpm2:handle=81010001", ERR_PARSE},
	    {"tpm2:handle=0x8101001", ERR_PARSE},
	    {"tpm2:handle=0x80000001", ERR_PARSE},
	    {"tpm2:nv=0x81010001", ERR_PARSE},
	    {"tpm2:token=x", ERR_UNSUPPORTED},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		struct key_uri u = {.path = "untouched"};
		assert_int_equal(key_uri_parse(span_str(rows[i].text), &u, &e), -1);
		if (e.code != rows[i].code)
			fail_msg("%s: %s", rows[i].text, e.text);
		assert_string_equal(u.path, "untouched");
	}
}

static void
a_pin_in_a_uri_is_refused_and_not_repeated(void **state)
{
	struct err e = {0};
	struct key_uri u;
	assert_fails(key_uri_parse(SPAN_LIT("pkcs11:token=a?pin-value=hush9"), &u, &e),
	    &e, UNSUPPORTED);
	assert_non_null(strstr(e.text, "pin-source=file:"));
	assert_null(strstr(e.text, "hush9"));
}

static void
writing_is_canonical_and_reads_back(void **state)
{
	static const char *const rows[][2] = {
	    {"/etc/key.pem", "/etc/key.pem"},
	    {"file:odd:name", "file:odd:name"},
	    {"pkcs11:object=b%3b;token=a%20b;id=%01?pin-source=p&module-path=m.so",
		"pkcs11:token=a%20b;object=b%3B;id=%01?module-path=m.so&pin-source=file:"
		"p"},
	    {"pkcs11:", "pkcs11:"},
	    {"tpm2:nv=0x01c00002;handle=0x81010001", "tpm2:handle=0x81010001"},
	    {"tpm2:nv=0x01C00003?auth-source=file:/a%26b&tcti=device:/dev/tpmrm0",
		"tpm2:nv=0x01c00003?tcti=device:/dev/tpmrm0&auth-source=file:/a%26b"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf out = BUF_INIT(KEY_URI_MAX);
		struct key_uri u = parsed(rows[i][0]), again;
		struct err e = {0};
		key_uri_write(&u, &out);
		assert_string_equal(buf_text(&out), rows[i][1]);
		assert_ok(key_uri_parse(buf_span(&out), &again, &e), &e);
		assert_memory_equal(&u, &again, sizeof(u));
	}
}

static void
file_names_are_resolved_against_a_base(void **state)
{
	static const char *const rows[][2] = {
	    {"ca/root.key", "/srv/x/ca/root.key"},
	    {"/abs", "/abs"},
	    {"pkcs11:token=a?module-path=libp.so&pin-source=pin",
		"pkcs11:token=a?module-path=libp.so&pin-source=file:/srv/x/pin"},
	    {"pkcs11:?module-path=lib/p.so", "pkcs11:?module-path=/srv/x/lib/p.so"},
	    {"tpm2:handle=0x81010001?auth-source=a",
		"tpm2:handle=0x81010001?auth-source=file:/srv/x/a"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf out = BUF_INIT(KEY_URI_MAX);
		struct err e = {0};
		assert_ok(key_uri_resolve(span_str(rows[i][0]), "/srv/x", &out, &e), &e);
		assert_string_equal(buf_text(&out), rows[i][1]);
	}
	char base[KEY_URI_PATH_MAX];
	struct err e = {0};
	auto_buf out = BUF_INIT(KEY_URI_MAX);
	memset(base, 'b', sizeof(base) - 1);
	base[sizeof(base) - 1] = 0;
	assert_fails(key_uri_resolve(SPAN_LIT("a"), base, &out, &e), &e, LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(files_are_paths_and_file_uris),
	    cmocka_unit_test(pkcs11_attributes_are_decoded),
	    cmocka_unit_test(tpm_handles_have_a_default_index),
	    cmocka_unit_test(what_is_no_key_uri_is_refused),
	    cmocka_unit_test(a_pin_in_a_uri_is_refused_and_not_repeated),
	    cmocka_unit_test(writing_is_canonical_and_reads_back),
	    cmocka_unit_test(file_names_are_resolved_against_a_base),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
