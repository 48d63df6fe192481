/*
 * OCSP requests: as OpenSSL and GnuTLS send them, and everything that is none.
 */
#include "../test.h"

#include "base/hex.h"
#include "codec/der.h"
#include "codec/ext.h"
#include "codec/ocsp_req.h"

#define OID_NONCE SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01\x02")
#define OID_OTHER SPAN_LIT("\x2b\x06\x01\x05\x05\x07\x30\x01\x7f")

static struct span
bytes(const char *hex)
{
	static uint8_t out[OCSP_REQ_MAX];
	struct err e = {0};
	size_t n = strlen(hex) / 2;
	assert_true(n <= sizeof(out));
	assert_ok(hex_parse(span_str(hex), out, n, &e), &e);
	return span_of(out, n);
}

static void
request_of_gnutls_is_read(void **state)
{
	struct err e = {0};
	struct ocsp_req r;
	assert_ok(ocsp_req_parse(
		      bytes("30433041303f303d303b300906052b0e03021a0500041496fd4f4177342d"
			    "09de0cdf7b4532508a2a9d63a204142a4b44ef044ab9f1c579a70b5f9491"
			    "1474919a7902026543"),
		      &r, &e),
	    &e);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.ids[0].hash, OCSP_REQ_SHA1);
	assert_int_equal(r.ids[0].name.len, 20);
	assert_int_equal(r.ids[0].name.p[0], 0x96);
	assert_int_equal(r.ids[0].key.p[19], 0x79);
	assert_true(span_eq(r.ids[0].serial, SPAN_LIT("\x65\x43")));
	assert_null(r.nonce.p);
	assert_false(r.is_signed);
}

static void
request_of_openssl_with_a_nonce_is_read(void **state)
{
	struct err e = {0};
	struct ocsp_req r;
	assert_ok(
	    ocsp_req_parse(
		bytes("308193308190306930673065300d060960864801650304020105000420997296"
		      "2410db10402ef70df9869d8cde127359993571a4acebb1fcdfb5b5670d04208b"
		      "d3121be6f83332bb701c7458724d6e2f982bfd6ff7e814be05e8b273cba33e02"
		      "107f00112233445566778899aabbccddeea2233021301f06092b060105050730"
		      "0102041204106ef2962c2cefde863763cb0ed07e96a7"),
		&r, &e),
	    &e);
	assert_int_equal(r.n, 1);
	assert_int_equal(r.ids[0].hash, OCSP_REQ_SHA256);
	assert_int_equal(r.ids[0].serial.len, 16);
	assert_int_equal(r.nonce.len, 16);
	assert_int_equal(r.nonce.p[0], 0x6e);
}

/* --- requests built here, with one thing different --- */

struct shape {
	int version;   /* of [0]; -1: absent */
	bool name;     /* requestorName */
	size_t ids;    /* CertIDs */
	size_t hash;   /* octets in the hashes; 0: 20 */
	size_t serial; /* octets in it; 0: 1 */
	bool no_null;  /* the algorithm's parameters are absent */
	bool wrong_params;
	bool nonce; /* there is one, of nonce_len */
	size_t nonce_len;
	bool nonce_twice, nonce_raw;
	bool other, other_critical, other_in_single;
	bool sig;
	bool behind; /* a byte after everything */
};

static void
put_other(struct buf *b, const struct shape *s)
{
	struct ext_mark m = ext_begin(b, OID_OTHER, s->other_critical);
	der_put_null(b);
	ext_end(b, m);
}

static void
put_id(struct buf *b, const struct shape *s)
{
	static const uint8_t hash[64], serial[64] = {1};
	size_t single = der_begin(b, DER_SEQUENCE), id = der_begin(b, DER_SEQUENCE);
	size_t alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, ocsp_req_hash_oid(OCSP_REQ_SHA1));
	if (s->wrong_params)
		der_put_int(b, 1);
	else if (!s->no_null)
		der_put_null(b);
	der_end(b, alg);
	der_put(b, DER_OCTET_STRING, span_of(hash, s->hash ? s->hash : 20));
	der_put(b, DER_OCTET_STRING, span_of(hash, 20));
	der_put(b, DER_INTEGER, span_of(serial, s->serial ? s->serial : 1));
	der_end(b, id);
	if (s->other_in_single) {
		size_t x = der_begin(b, DER_EXPLICIT(0)), l = der_begin(b, DER_SEQUENCE);
		put_other(b, s);
		der_end(b, l);
		der_end(b, x);
	}
	der_end(b, single);
}

static void
put_nonce(struct buf *b, const struct shape *s)
{
	static const uint8_t nonce[256] = {7};
	struct ext_mark m = ext_begin(b, OID_NONCE, false);
	if (s->nonce_raw)
		buf_put(b, nonce, s->nonce_len);
	else
		der_put(b, DER_OCTET_STRING, span_of(nonce, s->nonce_len));
	ext_end(b, m);
}

static void
put_extensions(struct buf *b, const struct shape *s)
{
	if (!s->nonce && !s->other)
		return;
	size_t x = der_begin(b, DER_EXPLICIT(2)), l = der_begin(b, DER_SEQUENCE);
	if (s->nonce)
		put_nonce(b, s);
	if (s->nonce_twice)
		put_nonce(b, s);
	if (s->other)
		put_other(b, s);
	der_end(b, l);
	der_end(b, x);
}

static int
parse(struct shape s, struct ocsp_req *ret, struct err *e)
{
	static uint8_t room[2 * OCSP_REQ_MAX];
	auto_buf b = BUF_INIT(sizeof(room));
	size_t req = der_begin(&b, DER_SEQUENCE), tbs = der_begin(&b, DER_SEQUENCE);
	if (s.version >= 0) {
		size_t v = der_begin(&b, DER_EXPLICIT(0));
		der_put_int(&b, s.version);
		der_end(&b, v);
	}
	if (s.name)
		der_put(&b, DER_EXPLICIT(1), SPAN_LIT("\x82\x01x"));
	size_t list = der_begin(&b, DER_SEQUENCE);
	for (size_t i = 0; i < s.ids; i++)
		put_id(&b, &s);
	der_end(&b, list);
	put_extensions(&b, &s);
	der_end(&b, tbs);
	if (s.sig)
		der_put(&b, DER_EXPLICIT(0), SPAN_LIT("\x30\x00"));
	der_end(&b, req);
	if (s.behind)
		buf_u8(&b, 0);
	assert_false(b.bad);
	memcpy(room, b.p, b.len);
	return ocsp_req_parse(span_of(room, b.len), ret, e);
}

static void
what_a_request_may_have_is_taken(void **state)
{
	static const struct shape good[] = {
	    {.version = -1, .ids = 1},
	    {.version = 0, .ids = 1, .name = true},
	    {.version = -1, .ids = OCSP_REQ_IDS_MAX},
	    {.version = -1, .ids = 1, .no_null = true, .sig = true},
	    {.version = -1, .ids = 1, .serial = 20},
	    {.version = -1, .ids = 1, .nonce = true, .nonce_len = 1},
	    {.version = -1, .ids = 1, .nonce = true, .nonce_len = OCSP_REQ_NONCE_MAX},
	    {.version = -1, .ids = 1, .other = true},
	    {.version = -1, .ids = 2, .other_in_single = true},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct err e = {0};
		struct ocsp_req r;
		assert_ok(parse(good[i], &r, &e), &e);
		assert_int_equal(r.n, good[i].ids);
		assert_int_equal(r.nonce.len, good[i].nonce_len);
		assert_int_equal(r.is_signed, good[i].sig);
		assert_int_equal(
		    r.ids[0].serial.len, good[i].serial ? good[i].serial : 1);
	}
}

static void
malformed_requests_are_refused(void **state)
{
	static const struct shape bad[] = {
	    {.version = 1, .ids = 1},
	    {.version = -1, .ids = 0},
	    {.version = -1, .ids = 1, .hash = 19},
	    {.version = -1, .ids = 1, .wrong_params = true},
	    {.version = -1, .ids = 1, .nonce = true, .nonce_len = 0},
	    {.version = -1, .ids = 1, .nonce = true, .nonce_len = OCSP_REQ_NONCE_MAX + 1},
	    {.version = -1,
		.ids = 1,
		.nonce = true,
		.nonce_len = 16,
		.nonce_twice = true},
	    {.version = -1, .ids = 1, .nonce = true, .nonce_len = 16, .nonce_raw = true},
	    {.version = -1, .ids = 1, .other = true, .other_critical = true},
	    {.version = -1, .ids = 1, .other_in_single = true, .other_critical = true},
	    {.version = -1, .ids = 1, .behind = true},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		struct ocsp_req r;
		assert_fails(parse(bad[i], &r, &e), &e, PARSE);
	}
}

static void
requests_past_a_cap_are_refused(void **state)
{
	struct err e = {0};
	struct ocsp_req r;
	static uint8_t huge[OCSP_REQ_MAX + 1];
	assert_fails(
	    parse((struct shape){.version = -1, .ids = OCSP_REQ_IDS_MAX + 1}, &r, &e), &e,
	    LIMIT);
	assert_fails(parse((struct shape){.version = -1, .ids = 1, .serial = 21}, &r, &e),
	    &e, LIMIT);
	assert_fails(ocsp_req_parse(span_of(huge, sizeof(huge)), &r, &e), &e, LIMIT);
}

static void
request_cut_anywhere_is_refused(void **state)
{
	struct err e = {0};
	struct ocsp_req r;
	struct span whole =
	    bytes("30433041303f303d303b300906052b0e03021a0500041496fd4f4177342d09de0cdf"
		  "7b4532508a2a9d63a204142a4b44ef044ab9f1c579a70b5f94911474919a790202654"
		  "3");
	for (size_t n = 0; n < whole.len; n++)
		assert_fails(ocsp_req_parse(span_head(whole, n), &r, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(request_of_gnutls_is_read),
	    cmocka_unit_test(request_of_openssl_with_a_nonce_is_read),
	    cmocka_unit_test(what_a_request_may_have_is_taken),
	    cmocka_unit_test(malformed_requests_are_refused),
	    cmocka_unit_test(requests_past_a_cap_are_refused),
	    cmocka_unit_test(request_cut_anywhere_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
