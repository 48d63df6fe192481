/*
 * What anybody may ask: lists from an edge's cache, OCSP by GET in every spelling, and
 * nothing else in the clear.
 */
#include "rig.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/rand.h"
#include "codec/der.h"
#include "codec/ocsp_req.h"
#include "codec/uri.h"
#include "proto/pki/crl_cache.h"

/* ---- the cache ------------------------------------------------------------------------
 */

static struct crl_key
key(const char *issuer, int64_t shard, bool delta)
{
	struct crl_key k = {.shard = shard, .delta = delta};
	snprintf(k.issuer, sizeof(k.issuer), "%s", issuer);
	return k;
}

static void
put(struct crl_cache *c, const struct crl_key *k, int64_t number, size_t len)
{
	uint8_t *der = own_alloc(len);
	memset(der, (int)number, len);
	const struct ipc_crl l = {.number = number, .der = span_of(der, len)};
	crl_cache_put(c, k, &l, 5);
	free(der);
}

static void
a_list_is_found_by_issuer_shard_and_kind(void **state)
{
	(void)state;
	auto_(crl_cache_free) struct crl_cache *c = crl_cache_new(100000);
	const struct crl_key full = key("a", 1, false), delta = key("a", 1, true),
			     other = key("b", 1, false), next = key("a", 2, false);
	put(c, &full, 1, 10);
	put(c, &delta, 2, 20);
	assert_int_equal(crl_cache_get(c, &full)->number, 1);
	assert_int_equal(crl_cache_get(c, &delta)->der.len, 20);
	assert_null(crl_cache_get(c, &other));
	assert_null(crl_cache_get(c, &next));
	put(c, &full, 3, 30);
	assert_int_equal(crl_cache_get(c, &full)->number, 3);
	assert_int_equal(crl_cache_get(c, &full)->der.len, 30);
}

static void
the_longest_unused_goes_first_and_the_bound_holds(void **state)
{
	(void)state;
	auto_(crl_cache_free) struct crl_cache *c = crl_cache_new(10000);
	struct crl_key k[4];
	for (int i = 0; i < 4; i++)
		k[i] = key("a", i, false);
	for (int i = 0; i < 3; i++)
		put(c, &k[i], i + 1, 2800);
	assert_non_null(crl_cache_get(c, &k[0]));
	put(c, &k[3], 4, 2800);
	assert_null(crl_cache_get(c, &k[1]));
	assert_non_null(crl_cache_get(c, &k[0]));
	assert_non_null(crl_cache_get(c, &k[3]));
	put(c, &k[1], 9, 20000); /* larger than all of it: not kept */
	assert_null(crl_cache_get(c, &k[1]));
	assert_non_null(crl_cache_get(c, &k[3]));
}

/* ---- OCSP in a path -------------------------------------------------------------------
 */

/* An OCSPRequest for a serial number (RFC 6960 4.1.1). */
static void
write_request(struct span serial, struct buf *out)
{
	static const uint8_t hash[20] = {1};
	size_t all = der_begin(out, DER_SEQUENCE), tbs = der_begin(out, DER_SEQUENCE);
	size_t list = der_begin(out, DER_SEQUENCE), one = der_begin(out, DER_SEQUENCE);
	size_t id = der_begin(out, DER_SEQUENCE), alg = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, ocsp_req_hash_oid(OCSP_REQ_SHA1));
	der_put_null(out);
	der_end(out, alg);
	der_put(out, DER_OCTET_STRING, span_of(hash, sizeof(hash)));
	der_put(out, DER_OCTET_STRING, span_of(hash, sizeof(hash)));
	der_put_unsigned(out, serial);
	der_end(out, id);
	der_end(out, one);
	der_end(out, list);
	der_end(out, tbs);
	der_end(out, all);
}

/* As an edge reads it: decoded, then base64. */
static void
read_back(struct span path, struct span serial)
{
	struct err e;
	struct ocsp_req r;
	auto_buf text = BUF_INIT(8192), der = BUF_INIT(OCSP_REQ_MAX);
	assert_ok(uri_decode(path, &text, &e), &e);
	assert_ok(base64_parse(buf_span(&text), &der, &e), &e);
	assert_ok(ocsp_req_parse(buf_span(&der), &r, &e), &e);
	assert_int_equal(r.n, 1);
	assert_true(span_eq(r.ids[0].serial, serial));
}

/* Reliability row 22: of 10,000 requests some have "//", "+" and "=", raw and encoded. */
static void
ten_thousand_serials_are_read_from_paths_in_both_spellings(void **state)
{
	size_t slashes = 0, plus = 0, equals = 0;
	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint8_t serial[16];
		auto_buf der = BUF_INIT(512), raw = BUF_INIT(1024), enc = BUF_INIT(4096);
		rand_bytes(serial, sizeof(serial));
		serial[0] = (uint8_t)(serial[0] % 127 + 1);
		size_t n = 1 + (size_t)i % sizeof(serial);
		write_request(span_of(serial, n), &der);
		base64_put(&raw, buf_span(&der));
		uri_encode(&enc, buf_span(&raw));
		slashes += strstr(buf_text(&raw), "//") != NULL;
		plus += strchr(buf_text(&raw), '+') != NULL;
		equals += strchr(buf_text(&raw), '=') != NULL;
		read_back(buf_span(&raw), span_of(serial, n));
		read_back(buf_span(&enc), span_of(serial, n));
	}
	assert_true(slashes && plus && equals);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_list_is_found_by_issuer_shard_and_kind),
	    cmocka_unit_test(the_longest_unused_goes_first_and_the_bound_holds),
	    cmocka_unit_test(ten_thousand_serials_are_read_from_paths_in_both_spellings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
