/*
 * X.509 extensions: the frame of an extension, and distribution points that are URLs.
 */
#include "../test.h"

#include "base/hex.h"
#include "codec/der.h"
#include "codec/ext.h"

static struct span
bytes(const char *hex)
{
	static uint8_t out[512];
	struct err e = {0};
	size_t n = strlen(hex) / 2;
	assert_ok(hex_parse(span_str(hex), out, n, &e), &e);
	return span_of(out, n);
}

static void
extension_is_written_and_read_back(void **state)
{
	struct err e = {0};
	auto_buf b = BUF_INIT(256);
	for (int critical = 0; critical < 2; critical++) {
		struct ext_mark m = ext_begin(&b, EXT_CRL_NUMBER, critical);
		der_put_int(&b, 7);
		ext_end(&b, m);
	}
	struct span in = buf_span(&b);
	for (int critical = 0; critical < 2; critical++) {
		struct ext x;
		assert_ok(ext_next(&in, &x, &e), &e);
		assert_true(span_eq(x.oid, EXT_CRL_NUMBER));
		assert_int_equal(x.critical, critical);
		assert_true(span_eq(x.value, SPAN_LIT("\x02\x01\x07")));
	}
	assert_int_equal(in.len, 0);
}

static void
extension_with_an_explicit_false_is_taken(void **state)
{
	struct err e = {0};
	struct ext x;
	struct span in = bytes("300a0603551d140101000400");
	assert_ok(ext_next(&in, &x, &e), &e);
	assert_false(x.critical);
	assert_int_equal(x.value.len, 0);
}

static void
malformed_extensions_are_refused(void **state)
{
	static const char *const bad[] = {
	    "3000",                       /* empty */
	    "30050603551d14",             /* no value */
	    "300a0603551d140102000400",   /* a flag of no byte that fits */
	    "30080603551d140101ff",       /* a flag and no value */
	    "300b0603551d140101ff040000", /* a byte behind */
	    "30070603551d140500",         /* NULL for a value */
	};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ext x;
		struct span in = bytes(bad[i]);
		assert_fails(ext_next(&in, &x, &e), &e, PARSE);
	}
}

static void
points_are_those_openssl_writes(void **state)
{
	auto_buf b = BUF_INIT(256), hex = BUF_INIT(512);
	ext_put_points(&b, EXT_CRL_POINTS, SPAN_LIT("http://a/1.crl"));
	hex_put(&hex, buf_span(&b));
	assert_string_equal(buf_text(&hex),
	    "301f0603551d1f041830163014a012a010860e687474703a2f2f612f312e63726c");
}

static void
point_name_comes_back_when_it_is_one_url(void **state)
{
	struct err e = {0};
	struct span url = SPAN_NONE;
	auto_buf b = BUF_INIT(256);
	ext_put_point_name(&b, SPAN_LIT("http://a/1.crl"));
	assert_ok(ext_read_point_name(span_skip(buf_span(&b), 2), &url, &e), &e);
	assert_true(span_eq_str(url, "http://a/1.crl"));
	/* nameRelativeToCRLIssuer; a dNSName; two URLs */
	static const char *const other[] = {"a1028600", "a00382016a",
	    "a0068601618601"
	    "62"};
	for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
		assert_fails(
		    ext_read_point_name(bytes(other[i]), &url, &e), &e, UNSUPPORTED);
	assert_fails(ext_read_point_name(bytes("a0"), &url, &e), &e, PARSE);
}

static void
urls_are_http_printable_and_have_a_host(void **state)
{
	static const char *const good[] = {"http://h/x.crl", "https://h", "HTTP://h:80/"};
	static const char *const bad[] = {"", "http://", "http:///x", "ftp://h/x",
	    "http://h/a b", "http://h/\x7f", "http://h/\xc3\xa9", "ldap://h"};
	char longest[EXT_URL_MAX + 2] = "http://h/";
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(ext_is_url(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(ext_is_url(span_str(bad[i])));
	memset(longest + 9, 'x', EXT_URL_MAX - 9);
	assert_true(ext_is_url(span_str(longest)));
	longest[EXT_URL_MAX] = 'x';
	assert_false(ext_is_url(span_str(longest)));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(extension_is_written_and_read_back),
	    cmocka_unit_test(extension_with_an_explicit_false_is_taken),
	    cmocka_unit_test(malformed_extensions_are_refused),
	    cmocka_unit_test(points_are_those_openssl_writes),
	    cmocka_unit_test(point_name_comes_back_when_it_is_one_url),
	    cmocka_unit_test(urls_are_http_printable_and_have_a_host),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
