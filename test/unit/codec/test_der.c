/*
 * DER out, compared byte for byte, and in, where only the one right encoding passes; and
 * public keys as OpenSSL writes them.
 */
#include "../test.h"

#include "base/hex.h"
#include "codec/der.h"
#include "codec/spki.h"

static struct span
bytes(const char *hex)
{
	static uint8_t out[2048];
	struct err e = {0};
	size_t n = strlen(hex) / 2;
	assert_true(n <= sizeof(out));
	assert_ok(hex_parse(span_str(hex), out, n, &e), &e);
	return span_of(out, n);
}

static void
assert_hex(struct buf *b, const char *want)
{
	auto_buf got = BUF_INIT(8192);
	assert_false(b->bad);
	hex_put(&got, buf_span(b));
	assert_string_equal(buf_text(&got), want);
	buf_reset(b);
}

static void
integers_are_minimal(void **state)
{
	static const struct {
		int64_t v;
		const char *hex;
	} rows[] = {{0, "020100"}, {127, "02017f"}, {128, "02020080"}, {256, "02020100"},
	    {-1, "0201ff"}, {-128, "020180"}, {-129, "0202ff7f"},
	    {INT64_MAX, "02087fffffffffffffff"}, {INT64_MIN, "02088000000000000000"}};
	auto_buf b = BUF_INIT(64);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		der_put_int(&b, rows[i].v);
		assert_hex(&b, rows[i].hex);
	}
	der_put_unsigned(&b, SPAN_LIT("\x00\x00\x80\x01"));
	assert_hex(&b, "0203008001");
	der_put_unsigned(&b, SPAN_LIT("\x00"));
	assert_hex(&b, "020100");
	der_put_unsigned(&b, SPAN_NONE);
	assert_hex(&b, "020100");
}

static void
lengths_grow_as_content_does(void **state)
{
	static const size_t sizes[] = {0, 127, 128, 255, 256, 65535, 65536};
	static const char *const heads[] = {
	    "0400", "047f", "048180", "0481ff", "04820100", "0482ffff", "0483010000"};
	static uint8_t content[65536];
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		auto_buf b = BUF_INIT(1 << 20);
		der_put(&b, DER_OCTET_STRING, span_of(content, sizes[i]));
		size_t head = strlen(heads[i]) / 2;
		assert_int_equal(b.len, head + sizes[i]);
		b.len = head;
		assert_hex(&b, heads[i]);
	}
}

static void
nested_values_are_closed_inside_out(void **state)
{
	auto_buf b = BUF_INIT(1024);
	size_t seq = der_begin(&b, DER_SEQUENCE);
	size_t tagged = der_begin(&b, DER_EXPLICIT(3));
	uint8_t long_text[130] = {0};
	der_put(&b, DER_IMPLICIT(2), span_of(long_text, sizeof(long_text)));
	der_end(&b, tagged);
	der_put_bool(&b, true);
	der_put_null(&b);
	der_put_oid(&b, SPAN_LIT("\x55\x1d\x0f"));
	der_end(&b, seq);
	struct err e = {0};
	struct span in = buf_span(&b), out, inner, v;
	assert_ok(der_expect(&in, DER_SEQUENCE, &out, &e), &e);
	assert_ok(der_finish(in, "all", &e), &e);
	assert_ok(der_expect(&out, DER_EXPLICIT(3), &inner, &e), &e);
	assert_ok(der_expect(&inner, DER_IMPLICIT(2), &v, &e), &e);
	assert_int_equal(v.len, 130);
	assert_true(span_eq(out, SPAN_LIT("\x01\x01\xff\x05\x00\x06\x03\x55\x1d\x0f")));
}

static void
times_turn_general_in_2050(void **state)
{
	static const struct {
		int64_t at_s;
		const char *tag, *text;
	} rows[] = {
	    {1795325283, "\x17\x0d", "261122052803Z"},
	    {-1, "\x17\x0d", "691231235959Z"},
	    {-631152000, "\x17\x0d", "500101000000Z"},
	    {2147483648, "\x17\x0d", "380119031408Z"},
	    {2524607999, "\x17\x0d", "491231235959Z"},
	    {2524608000, "\x18\x0f", "20500101000000Z"},
	    {253402300799, "\x18\x0f", "99991231235959Z"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf b = BUF_INIT(64);
		der_put_time(&b, rows[i].at_s);
		assert_true(span_starts(buf_span(&b), span_str(rows[i].tag)));
		assert_string_equal((const char *)b.p + 2, rows[i].text);
	}
	auto_buf b = BUF_INIT(64);
	der_put_generalized_time(&b, 1795325283);
	assert_string_equal((const char *)b.p + 2, "20261122052803Z");
	der_put_time(&b, INT64_C(253402300800));
	assert_true(b.bad);
}

/* The C library's calendar is the judge. */
static void
times_of_every_year_go_out_and_back(void **state)
{
	auto_buf b = BUF_INIT(64);
	struct err e = {0};
	int64_t first = INT64_C(-631152000), last = INT64_C(253402300799), got = 0;
	for (int64_t t = first; t <= last; t += 40 * 86400 + 12345) {
		char want[40];
		struct tm tm;
		time_t at = (time_t)t;
		assert_non_null(gmtime_r(&at, &tm));
		strftime(want, sizeof(want), "%Y%m%d%H%M%SZ", &tm);
		der_put_generalized_time(&b, t);
		assert_memory_equal(b.p + 2, want, 15);
		der_put_time(&b, t);
		struct span in = buf_span(&b);
		assert_ok(der_expect_time(&in, &got, &e), &e);
		assert_int_equal(got, t);
		assert_ok(der_expect_time(&in, &got, &e), &e);
		assert_int_equal(got, t);
		assert_int_equal(in.len, 0);
		buf_reset(&b);
	}
}

static void
dates_that_are_none_are_refused(void **state)
{
	static const char *const good[] = {"240229000000Z", "20000229235959Z",
	    "491231235959Z", "500101000000Z", "99991231235959Z"};
	static const char *const bad[] = {"230229000000Z", "19000229000000Z",
	    "240431000000Z", "240001000000Z", "241301000000Z", "240100000000Z",
	    "240132000000Z", "240101240000Z", "240101006000Z", "240101000060Z",
	    "240101000000X", "2401010000Z", "24010100000:Z", "19491231235959Z",
	    "20240101000000.5Z", "240101000000+0100", ""};
	struct err e = {0};
	auto_buf b = BUF_INIT(64);
	int64_t at;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct span s = span_str(good[i]);
		buf_reset(&b);
		der_put(&b, s.len == 13 ? DER_UTC_TIME : DER_GENERALIZED_TIME, s);
		struct span in = buf_span(&b);
		assert_ok(der_expect_time(&in, &at, &e), &e);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct span s = span_str(bad[i]);
		buf_reset(&b);
		der_put(&b, s.len == 15 ? DER_GENERALIZED_TIME : DER_UTC_TIME, s);
		struct span in = buf_span(&b);
		assert_fails(der_expect_time(&in, &at, &e), &e, PARSE);
	}
}

static void
bit_lists_drop_trailing_zeros(void **state)
{
	auto_buf b = BUF_INIT(64);
	der_put_named_bits(&b, 1 << 0); /* digitalSignature */
	assert_hex(&b, "03020780");
	der_put_named_bits(&b, 1 << 5 | 1 << 6); /* keyCertSign, cRLSign */
	assert_hex(&b, "03020106");
	der_put_named_bits(&b, 1 << 0 | 1 << 8); /* decipherOnly is bit 8 */
	assert_hex(&b, "0303078080");
	der_put_named_bits(&b, 0);
	assert_hex(&b, "030100");
	der_put_bits(&b, SPAN_LIT("\x04\x01"), 0);
	assert_hex(&b, "0303000401");
}

static void
strings_outside_their_set_turn_the_buffer_bad(void **state)
{
	auto_buf good = BUF_INIT(64), star = BUF_INIT(64), ill = BUF_INIT(64);
	der_put_printable(&good, SPAN_LIT("muster 1"));
	assert_hex(&good, "13086d75737465722031");
	der_put_printable(&star, SPAN_LIT("a*"));
	assert_true(star.bad);
	der_put_utf8(&ill, SPAN_LIT("\xff"));
	assert_true(ill.bad);
}

static void
writer_past_its_cap_stays_bad(void **state)
{
	struct err e = {0};
	auto_buf b = BUF_INIT(130);
	size_t mark = der_begin(&b, DER_SEQUENCE);
	uint8_t content[128] = {0};
	buf_put(&b, content, sizeof(content));
	der_end(&b, mark); /* the second length byte does not fit */
	assert_fails(buf_check(&b, "DER", &e), &e, LIMIT);
}

static void
reader_takes_only_the_one_right_encoding(void **state)
{
	static const char *const bad[] = {"", "04", "0402aa", "0480aa0000", "048101aa",
	    "04820001aa", "0485000000000100", "1f0100", "04ff", "0484ffffffff"};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct der_tlv t;
		struct span in = bytes(bad[i]);
		assert_fails(der_next(&in, &t, &e), &e, PARSE);
	}
	static const char *const numbers[] = {"0200", "0201ff", "02020001", "0202ff80"};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct span v, in = bytes(numbers[i]);
		assert_fails(der_expect_unsigned(&in, &v, &e), &e, PARSE);
	}
	struct span v, in = bytes("03020700");
	assert_fails(der_expect_bits(&in, &v, &e), &e, PARSE);
	in = bytes("0400");
	assert_fails(der_expect(&in, DER_NULL, &v, &e), &e, PARSE);
	assert_int_equal(in.len, 2); /* nothing taken */
}

static const char p256[] = "3059301306072a8648ce3d020106082a8648ce3d030107034200042c050f"
			   "7fa8676d0883a8ccc95caee93b133147920d8f0fccc292d8af24298483e2"
			   "8aeccdfffbcf5d51a9ee0a5dcebb76ed0eb8574d099487ea4d0508709b19"
			   "7f";
static const char p384[] = "3076301006072a8648ce3d020106052b81040022036200047d48e9cc47c9"
			   "fb8aa0167cf75c46c77ea2d4c36c5b794bc06646e1c9696899d3f83890cf"
			   "53dd72e501cf4827b772b9dfa90be6cb1b1ff3bd30f86882b57bbb2ab0c3"
			   "c85dccff11699db80e148e2fde639aa2f806e3c233d01a368bef0d9299a7";
static const char rsa2048[] =
    "30820122300d06092a864886f70d01010105000382010f003082010a0282"
    "010100bef34acc57fc7a6b72a03661ea8317d34e09829b1284cfed771876"
    "581bb3d36e5a4d4256b72df6c000f4aa98a943f77553ddd67a11b0ee22cb"
    "fc7854e1fc4f7708accad0555d80fca687698bd5b7588e0ca951fbf5732d"
    "3ffe334441bd80a7b8ef1cc69674a34d5938f6731de2b837fb2f51cddcfd"
    "6d1867a16ce72e01f91d3027d0be98e7c4d5e238dbd8f17dc74491f85464"
    "47fb0ec3783ebe867feff03e2ee9be32fcd09316a9337d4bc6caf8fe4556"
    "d46b0001a75c8a2ac95dd52df3df8582e8dfe4b1097c1cd016122d695bef"
    "8f2a082debf9cdb26d208321c60c9a0d9a6cc7eed988281a4f99a91ae7e2"
    "3eac1c761c359a6ac530d6e1eecb3f547e88250203010001";

static void
public_keys_of_openssl_are_understood(void **state)
{
	struct err e = {0};
	struct spki k;
	assert_ok(spki_parse(bytes(p256), &k, &e), &e);
	assert_int_equal(k.kind, SPKI_EC_P256);
	assert_int_equal(k.point.len, 65);
	assert_ok(spki_parse(bytes(p384), &k, &e), &e);
	assert_int_equal(k.kind, SPKI_EC_P384);
	assert_int_equal(k.bits, 384);
	assert_ok(spki_parse(bytes(rsa2048), &k, &e), &e);
	assert_int_equal(k.kind, SPKI_RSA);
	assert_int_equal(k.bits, 2048);
	assert_true(span_eq(k.exponent, SPAN_LIT("\x01\x00\x01")));
}

static void
public_key_with_a_byte_cut_or_added_is_refused(void **state)
{
	struct err e = {0};
	struct spki k;
	uint8_t more[512] = {0};
	struct span key = bytes(p256);
	memcpy(more, key.p, key.len);
	for (size_t n = 0; n < key.len; n++)
		assert_fails(spki_parse(span_of(more, n), &k, &e), &e, PARSE);
	assert_fails(spki_parse(span_of(more, key.len + 1), &k, &e), &e, PARSE);
}

static void
other_curves_and_compressed_points_are_refused(void **state)
{
	struct err e = {0};
	struct spki k;
	uint8_t key[91];
	memcpy(key, bytes(p256).p, sizeof(key));
	key[26] = 2; /* the point's first byte */
	assert_fails(spki_parse(span_of(key, sizeof(key)), &k, &e), &e, PARSE);
	key[26] = 4;
	key[22] = 8; /* the curve's last byte */
	assert_fails(spki_parse(span_of(key, sizeof(key)), &k, &e), &e, UNSUPPORTED);
	key[12] = 2; /* the algorithm's last byte */
	assert_fails(spki_parse(span_of(key, sizeof(key)), &k, &e), &e, UNSUPPORTED);
}

/* An RSA SPKI of a modulus of n bytes with the given ends, and an exponent. */
static void
rsa_key(struct buf *b, size_t n, uint8_t first, uint8_t last, struct span exponent)
{
	uint8_t modulus[1024] = {0};
	modulus[0] = first;
	modulus[n - 1] = last;
	size_t spki = der_begin(b, DER_SEQUENCE), alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"));
	der_put_null(b);
	der_end(b, alg);
	size_t bits = der_begin(b, DER_BIT_STRING);
	buf_u8(b, 0);
	size_t key = der_begin(b, DER_SEQUENCE);
	der_put_unsigned(b, span_of(modulus, n));
	der_put_unsigned(b, exponent);
	der_end(b, key);
	der_end(b, bits);
	der_end(b, spki);
}

static void
rsa_keys_out_of_bounds_are_refused(void **state)
{
	static const struct {
		size_t n;
		uint8_t first, last;
		struct span exponent;
		bool ok;
	} rows[] = {
	    {256, 0x80, 1, {(const uint8_t *)"\1\0\1", 3}, true},
	    {1024, 0x80, 1, {(const uint8_t *)"\1\0\1", 3}, true},
	    {256, 0x7f, 1, {(const uint8_t *)"\1\0\1", 3}, false}, /* 2,047 bits */
	    {256, 0x80, 2, {(const uint8_t *)"\1\0\1", 3}, false}, /* even */
	    {256, 0x80, 1, {(const uint8_t *)"\3", 1}, false},
	    {256, 0x80, 1, {(const uint8_t *)"\1\0\2", 3}, false},
	    {256, 0x80, 1, {(const uint8_t *)"\1\0\0\0\0\0\0\0\1", 9}, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_buf b = BUF_INIT(4096);
		struct err e = {0};
		struct spki k;
		rsa_key(&b, rows[i].n, rows[i].first, rows[i].last, rows[i].exponent);
		assert_int_equal(spki_parse(buf_span(&b), &k, &e), rows[i].ok ? 0 : -1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers_are_minimal),
	    cmocka_unit_test(lengths_grow_as_content_does),
	    cmocka_unit_test(nested_values_are_closed_inside_out),
	    cmocka_unit_test(times_turn_general_in_2050),
	    cmocka_unit_test(times_of_every_year_go_out_and_back),
	    cmocka_unit_test(dates_that_are_none_are_refused),
	    cmocka_unit_test(bit_lists_drop_trailing_zeros),
	    cmocka_unit_test(strings_outside_their_set_turn_the_buffer_bad),
	    cmocka_unit_test(writer_past_its_cap_stays_bad),
	    cmocka_unit_test(reader_takes_only_the_one_right_encoding),
	    cmocka_unit_test(public_keys_of_openssl_are_understood),
	    cmocka_unit_test(public_key_with_a_byte_cut_or_added_is_refused),
	    cmocka_unit_test(other_curves_and_compressed_points_are_refused),
	    cmocka_unit_test(rsa_keys_out_of_bounds_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
