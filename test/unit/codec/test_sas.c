/*
 * SAS tokens in the orders and encodings of the SDKs (protocol/device.md 1.9, 3.3).
 */
#include "../test.h"

#include <stdio.h>

#include "codec/sas.h"

/* 32 bytes 0xc8...: base64 with '+' and '/' in it */
#define SIG_RAW "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc="
#define SIG_ENC "yMnKy8zNzs%2FQ0dLT1NXW19jZ2tvc3d7f4OHi4%2BTl5uc%3D"
#define SIG_LOW "yMnKy8zNzs%2fQ0dLT1NXW19jZ2tvc3d7f4OHi4%2bTl5uc%3d"

static void
every_order_and_encoding_reads_the_same(void **state)
{
	static const char *const tokens[] = {
	    "SharedAccessSignature sr=h%2Fdevices%2Fd&sig=" SIG_ENC "&se=1795325000",
	    "SharedAccessSignature sig=" SIG_LOW "&se=1795325000&sr=h%2fdevices%2fd",
	    "SharedAccessSignature sr=h/devices/d&sig=" SIG_RAW "&skn=&se=1795325000",
	    "sharedaccesssignature SE=1795325000&Sr=h/devices/d&SIG=" SIG_ENC "&x=y",
	};
	struct err e = {0};
	for (size_t i = 0; i < 4; i++) {
		struct sas s;
		assert_ok(sas_parse(span_str(tokens[i]), &s, &e), &e);
		assert_string_equal(s.resource, "h/devices/d");
		assert_string_equal(s.policy, "");
		assert_int_equal(s.se_s, 1795325000);
		for (size_t j = 0; j < SAS_SIG_LEN; j++)
			assert_int_equal(s.sig[j], 0xc8 + j);
	}
}

static void
signed_text_is_what_was_sent(void **state)
{
	struct err e = {0};
	struct sas s;
	assert_ok(
	    sas_parse(SPAN_LIT("SharedAccessSignature sr=H%2fdevices%2Fd&sig=" SIG_ENC
			       "&se=001795325000&skn=registration"),
		&s, &e),
	    &e);
	assert_string_equal(s.policy, "registration");
	auto_buf b = BUF_INIT(256);
	sas_write_to_sign(&b, s.sr, s.se);
	assert_string_equal(buf_text(&b), "H%2fdevices%2Fd\n001795325000");
}

static void
malformed_tokens_are_refused_without_being_quoted(void **state)
{
	static const char *const bad[] = {
	    "",
	    "Bearer x",
	    "SharedAccessSignature",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC,
	    "SharedAccessSignature sr=leak&se=1",
	    "SharedAccessSignature sig=" SIG_ENC "&se=1",
	    "SharedAccessSignature sr=&sig=" SIG_ENC "&se=1",
	    "SharedAccessSignature sr=leak&sr=leak&sig=" SIG_ENC "&se=1",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC "&se=1&SE=2",
	    "SharedAccessSignature sr=leak&sig=bGVhaw==&se=1",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC "AAAA&se=1",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC "&se=-1",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC "&se=1e9",
	    "SharedAccessSignature sr=leak&sig=" SIG_ENC "&se=99999999999999999999",
	    "SharedAccessSignature sr=leak%&sig=" SIG_ENC "&se=1",
	    "SharedAccessSignature sr=leak%00&sig=" SIG_ENC "&se=1",
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		struct sas s;
		assert_fails(sas_parse(span_str(bad[i]), &s, &e), &e, PARSE);
		assert_null(strstr(e.text, "leak"));
		assert_null(strstr(e.text, "yMnK"));
	}
}

static void
sizes_are_bounded(void **state)
{
	struct err e = {0};
	struct sas s;
	auto_buf b = BUF_INIT(8192);
	buf_str(&b, "SharedAccessSignature sig=" SIG_ENC "&se=1&sr=");
	while (b.len < 60 + SAS_RESOURCE_MAX + 40)
		buf_u8(&b, 'a');
	assert_fails(sas_parse(buf_span(&b), &s, &e), &e, PARSE);
	while (b.len <= SAS_MAX)
		buf_u8(&b, 'a');
	assert_fails(sas_parse(buf_span(&b), &s, &e), &e, PARSE);
}

static void
written_token_is_encoded_once(void **state)
{
	uint8_t sig[SAS_SIG_LEN];
	for (size_t i = 0; i < sizeof(sig); i++)
		sig[i] = (uint8_t)(0xc8 + i);
	auto_buf b = BUF_INIT(1024);
	sas_write(&b, SPAN_LIT("h%2Fdevices%2Fd"), sig, 1795325000, SPAN_NONE);
	assert_string_equal(buf_text(&b),
	    "SharedAccessSignature sr=h%2Fdevices%2Fd&sig=" SIG_ENC "&se=1795325000");
	buf_reset(&b);
	sas_write(&b, SPAN_LIT("h"), sig, 1, SPAN_LIT("iothubowner"));
	assert_string_equal(buf_text(&b),
	    "SharedAccessSignature sr=h&sig=" SIG_ENC "&se=1&skn=iothubowner");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_order_and_encoding_reads_the_same),
	    cmocka_unit_test(signed_text_is_what_was_sent),
	    cmocka_unit_test(malformed_tokens_are_refused_without_being_quoted),
	    cmocka_unit_test(sizes_are_bounded),
	    cmocka_unit_test(written_token_is_encoded_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
