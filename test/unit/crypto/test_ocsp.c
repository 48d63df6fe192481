/*
 * OCSP answers as OpenSSL sees them: status, times, nonce, who signed; and what a
 * responder refuses to say.
 */
#include "forge.h"

#include <openssl/ocsp.h>

#include "base/hex.h"
#include "crypto/ocsp.h"

#define HOUR INT64_C(3600000)

/* A CA with its delegated responder. */
struct stage {
	struct party ca;
	struct issuer *issuer;
	struct key *key;
	struct cert *delegate;
	struct ocsp_responder *responder;
};

static struct issuer *
issuer_of(const struct party *p)
{
	struct err e = {0};
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(p->cert->der, &pem);
	struct issuer *i = issuer_new(buf_span(&pem), p->key, &e);
	if (!i)
		fail_msg("%s", e.text);
	return i;
}

static struct cert *
issue(struct issuer *i, enum profile_id profile, struct key *k, int64_t now_s)
{
	struct err e = {0};
	struct issuer_result res;
	const struct issuer_request r = {
	    .profile = profile, .cn = "responder", .spki = key_spki(k), .now_s = now_s};
	auto_buf der = BUF_INIT(CERT_MAX);
	assert_ok(issuer_sign(i, &r, &der, &res, &e), &e);
	assert_ok(issuer_check(i, profile, buf_span(&der), &e), &e);
	struct cert *c = cert_parse(buf_span(&der), &e);
	assert_non_null(c);
	return c;
}

static struct ocsp_responder *
responder(
    const struct cert *delegate, struct key *k, const struct cert *ca, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(delegate->der, &pem);
	return ocsp_responder_new(buf_span(&pem), k, ca, e);
}

static struct stage
set(enum key_alg alg)
{
	struct err e = {0};
	struct stage s = {.ca = forge_root("OCSP CA"), .key = key_generate(alg, &e)};
	s.issuer = issuer_of(&s.ca);
	s.delegate = issue(s.issuer, PROFILE_OCSP, s.key, NOW_S);
	s.responder = responder(s.delegate, s.key, s.ca.cert, &e);
	if (!s.responder)
		fail_msg("%s", e.text);
	return s;
}

static void
stage_done(struct stage *s)
{
	ocsp_responder_free(s->responder);
	cert_free(s->delegate);
	key_free(s->key);
	issuer_free(s->issuer);
	party_done(&s->ca);
}
#define auto_stage __attribute__((cleanup(stage_done))) struct stage

static struct ocsp_single
single(uint8_t serial, enum ocsp_status status)
{
	return (struct ocsp_single){.hash = OCSP_REQ_SHA256,
	    .serial = {serial},
	    .serial_len = 1,
	    .status = status,
	    .reason = CRL_KEY_COMPROMISE,
	    .revoked_ms = NOW_MS - HOUR,
	    .this_ms = NOW_MS,
	    .next_ms = NOW_MS + 12 * HOUR};
}

/* The answer, verified by OpenSSL with the CA as its only trust. */
static OCSP_BASICRESP *
verified(const struct stage *s, struct span der, bool want)
{
	const unsigned char *at = der.p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
	assert_non_null(r);
	assert_ptr_equal(at, der.p + der.len);
	assert_int_equal(OCSP_response_status(r), OCSP_RESPONSE_STATUS_SUCCESSFUL);
	OCSP_BASICRESP *b = OCSP_response_get1_basic(r);
	assert_non_null(b);
	OCSP_RESPONSE_free(r);
	X509_STORE *store = X509_STORE_new();
	X509_STORE_add_cert(store, s->ca.cert->x509);
	X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store), NOW_S);
	assert_int_equal(OCSP_basic_verify(b, NULL, store, 0) == 1, want);
	X509_STORE_free(store);
	return b;
}

/* What b says of that serial number under md; -1: nothing. */
static int
status_of(const struct stage *s, OCSP_BASICRESP *b, const EVP_MD *md, long serial,
    int *ret_reason)
{
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	ASN1_GENERALIZEDTIME *revoked, *this, *next;
	int status = -1;
	ASN1_INTEGER_set(n, serial);
	OCSP_CERTID *id = OCSP_cert_id_new(md, X509_get_subject_name(s->ca.cert->x509),
	    X509_get0_pubkey_bitstr(s->ca.cert->x509), n);
	if (OCSP_resp_find_status(b, id, &status, ret_reason, &revoked, &this, &next) !=
	    1)
		status = -1;
	OCSP_CERTID_free(id);
	ASN1_INTEGER_free(n);
	return status;
}

static void
answers_say_good_revoked_and_unknown_under_either_hash(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	struct ocsp_single v[] = {single(5, OCSP_GOOD), single(0x85, OCSP_REVOKED),
	    single(7, OCSP_UNKNOWN), single(8, OCSP_REVOKED)};
	v[0].hash = OCSP_REQ_SHA1;
	v[3].reason = CRL_UNSPECIFIED;
	const struct ocsp_fields f = {.produced_ms = NOW_MS, .singles = v, .n = 4};
	auto_buf der = BUF_INIT(OCSP_MAX);
	int reason = 0;
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	OCSP_BASICRESP *b = verified(&s, buf_span(&der), true);
	assert_int_equal(OCSP_resp_count(b), 4);
	assert_int_equal(
	    status_of(&s, b, EVP_sha1(), 5, &reason), V_OCSP_CERTSTATUS_GOOD);
	assert_int_equal(status_of(&s, b, EVP_sha256(), 5, &reason), -1);
	assert_int_equal(
	    status_of(&s, b, EVP_sha256(), 0x85, &reason), V_OCSP_CERTSTATUS_REVOKED);
	assert_int_equal(reason, OCSP_REVOKED_STATUS_KEYCOMPROMISE);
	assert_int_equal(
	    status_of(&s, b, EVP_sha256(), 7, &reason), V_OCSP_CERTSTATUS_UNKNOWN);
	assert_int_equal(
	    status_of(&s, b, EVP_sha256(), 8, &reason), V_OCSP_CERTSTATUS_REVOKED);
	assert_int_equal(reason, OCSP_REVOKED_STATUS_NOSTATUS);
	OCSP_BASICRESP_free(b);
}

static void
every_algorithm_signs_and_the_delegate_is_named_by_key(void **state)
{
	for (int alg = 0; alg <= KEY_RSA2048; alg++) {
		struct err e = {0};
		auto_stage s = set((enum key_alg)alg);
		const struct ocsp_single one = single(5, OCSP_GOOD);
		const struct ocsp_fields f = {
		    .produced_ms = NOW_MS, .singles = &one, .n = 1};
		auto_buf der = BUF_INIT(OCSP_MAX);
		const ASN1_OCTET_STRING *id;
		const X509_NAME *name;
		uint8_t sha1[20];
		assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
		OCSP_BASICRESP *b = verified(&s, buf_span(&der), true);
		assert_int_equal(OCSP_resp_get0_id(b, &id, &name), 1);
		assert_null(name);
		assert_int_equal(
		    X509_pubkey_digest(s.delegate->x509, EVP_sha1(), sha1, NULL), 1);
		assert_memory_equal(ASN1_STRING_get0_data(id), sha1, 20);
		assert_int_equal(sk_X509_num(OCSP_resp_get0_certs(b)), 1);
		OCSP_BASICRESP_free(b);
	}
}

static void
nonce_comes_back_at_every_length(void **state)
{
	auto_stage s = set(KEY_P256);
	uint8_t nonce[OCSP_REQ_NONCE_MAX];
	memset(nonce, 0xa5, sizeof(nonce));
	const struct ocsp_single one = single(5, OCSP_GOOD);
	static const size_t lens[] = {1, 16, 32, OCSP_REQ_NONCE_MAX};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct err e = {0};
		const struct ocsp_fields f = {.produced_ms = NOW_MS,
		    .singles = &one,
		    .n = 1,
		    .nonce = span_of(nonce, lens[i])};
		auto_buf der = BUF_INIT(OCSP_MAX);
		assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
		OCSP_BASICRESP *b = verified(&s, buf_span(&der), true);
		OCSP_REQUEST *q = OCSP_REQUEST_new();
		OCSP_request_add1_nonce(q, nonce, (int)lens[i]);
		assert_int_equal(OCSP_check_nonce(q, b), 1);
		OCSP_REQUEST_free(q);
		OCSP_BASICRESP_free(b);
	}
}

static void
serial_zero_and_of_twenty_octets_are_answered(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	struct ocsp_single v[] = {single(0, OCSP_UNKNOWN), single(0xff, OCSP_UNKNOWN)};
	v[0].serial_len = 0;
	v[1].serial_len = CRL_SERIAL_MAX;
	const struct ocsp_fields f = {.produced_ms = NOW_MS, .singles = v, .n = 2};
	auto_buf der = BUF_INIT(OCSP_MAX);
	int reason;
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	OCSP_BASICRESP *b = verified(&s, buf_span(&der), true);
	assert_int_equal(
	    status_of(&s, b, EVP_sha256(), 0, &reason), V_OCSP_CERTSTATUS_UNKNOWN);
	OCSP_BASICRESP_free(b);
}

static void
largest_answer_fits(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_RSA2048);
	struct ocsp_single v[OCSP_REQ_IDS_MAX];
	uint8_t nonce[OCSP_REQ_NONCE_MAX] = {1};
	for (size_t n = 0; n < OCSP_REQ_IDS_MAX; n++) {
		v[n] = single(0xff, OCSP_REVOKED);
		v[n].serial_len = CRL_SERIAL_MAX;
		v[n].serial[1] = (uint8_t)n;
	}
	const struct ocsp_fields f = {.produced_ms = NOW_MS,
	    .singles = v,
	    .n = OCSP_REQ_IDS_MAX,
	    .nonce = span_of(nonce, sizeof(nonce))};
	auto_buf der = BUF_INIT(OCSP_MAX);
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	OCSP_BASICRESP_free(verified(&s, buf_span(&der), true));
}

static void
batch_is_the_answers_one_by_one(void **state)
{
	enum { N = 256 };
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	auto_(ocsp_responder_free) struct ocsp_responder *r =
	    ocsp_responder_clone(s.responder, &e);
	struct ocsp_single v[N];
	struct ocsp_fields f[N];
	size_t ends[N], start = 0;
	auto_buf out = BUF_INIT(N * OCSP_MAX);
	for (size_t n = 0; n < N; n++) {
		v[n] = single((uint8_t)(n % 127 + 1), OCSP_GOOD);
		f[n] =
		    (struct ocsp_fields){.produced_ms = NOW_MS, .singles = &v[n], .n = 1};
	}
	assert_non_null(r);
	assert_ok(ocsp_build_many(r, f, N, &out, ends, &e), &e);
	assert_int_equal(ends[N - 1], out.len);
	for (size_t n = 0; n < N; n++) {
		int reason;
		struct span one = span_of(out.p + start, ends[n] - start);
		OCSP_BASICRESP *b = verified(&s, one, true);
		assert_int_equal(
		    status_of(&s, b, EVP_sha256(), (long)(n % 127 + 1), &reason),
		    V_OCSP_CERTSTATUS_GOOD);
		OCSP_BASICRESP_free(b);
		start = ends[n];
	}
	v[N - 1].next_ms = 0;
	size_t before = out.len;
	assert_fails(ocsp_build_many(r, f, N, &out, ends, &e), &e, USAGE);
	assert_int_equal(out.len, before);
	assert_non_null(strstr(e.text, "256 of 256"));
}

static void
errors_are_openssls_statuses(void **state)
{
	static const enum ocsp_error all[] = {
	    OCSP_MALFORMED, OCSP_INTERNAL, OCSP_TRY_LATER, OCSP_UNAUTHORIZED};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct span der = ocsp_error(all[i]);
		const unsigned char *at = der.p;
		OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &at, (long)der.len);
		assert_non_null(r);
		assert_int_equal(OCSP_response_status(r), (int)all[i]);
		OCSP_RESPONSE_free(r);
	}
}

static void
requests_of_openssl_name_our_ca_and_no_other(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	auto_party other_name = forge_root("Another CA");
	auto_party other_key = forge_root("OCSP CA");
	const EVP_MD *const mds[] = {EVP_sha1(), EVP_sha256(), EVP_sha384()};
	struct ocsp_issuer ours, named, keyed;
	assert_ok(ocsp_issuer_of(s.ca.cert, &ours, &e), &e);
	assert_ok(ocsp_issuer_of(other_name.cert, &named, &e), &e);
	assert_ok(ocsp_issuer_of(other_key.cert, &keyed, &e), &e);
	for (size_t i = 0; i < sizeof(mds) / sizeof(mds[0]); i++) {
		OCSP_REQUEST *q = OCSP_REQUEST_new();
		OCSP_request_add0_id(
		    q, OCSP_cert_to_id(mds[i], s.delegate->x509, s.ca.cert->x509));
		unsigned char *der = NULL;
		int len = i2d_OCSP_REQUEST(q, &der);
		struct ocsp_req r;
		assert_ok(ocsp_req_parse(span_of(der, (size_t)len), &r, &e), &e);
		assert_int_equal(ocsp_issuer_is(&ours, &r.ids[0]), i < 2);
		assert_false(ocsp_issuer_is(&named, &r.ids[0]));
		assert_false(ocsp_issuer_is(&keyed, &r.ids[0]));
		char hex[2 * CERT_SERIAL_MAX + 1];
		hex_write(r.ids[0].serial, hex);
		assert_true(span_ieq_str(span_str(hex), s.delegate->serial));
		OPENSSL_free(der);
		OCSP_REQUEST_free(q);
	}
}

/* --- refusals: reliability row 68 from the side that signs --- */

static void
responder_without_the_right_is_refused(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	auto_party other = forge_root("Another CA");
	auto_(cert_free) struct cert *client =
	    issue(s.issuer, PROFILE_OPERATOR, s.key, NOW_S);
	assert_null(responder(client, s.key, s.ca.cert, &e));
	assert_int_equal(e.code, ERR_USAGE);
	assert_null(responder(s.ca.cert, s.ca.key, s.ca.cert, &e));
	assert_int_equal(e.code, ERR_USAGE);
	assert_null(responder(s.delegate, other.key, s.ca.cert, &e));
	assert_int_equal(e.code, ERR_CRYPTO);
	assert_null(responder(s.delegate, s.key, other.cert, &e));
	assert_int_equal(e.code, ERR_CRYPTO);
}

static void
delegate_answers_nothing_past_its_end(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	struct ocsp_single one = single(5, OCSP_GOOD);
	struct ocsp_fields f = {.produced_ms = NOW_MS, .singles = &one, .n = 1};
	auto_buf der = BUF_INIT(OCSP_MAX);
	one.next_ms = s.delegate->not_after_ms;
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	one.next_ms += 1000;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, DENIED);
	one.next_ms = s.delegate->not_after_ms;
	f.produced_ms = s.delegate->not_after_ms + 1000;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, DENIED);
}

static void
fields_that_say_nothing_are_refused(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	const struct ocsp_single good = single(5, OCSP_REVOKED);
	struct ocsp_single v[OCSP_REQ_IDS_MAX + 1];
	for (size_t n = 0; n <= OCSP_REQ_IDS_MAX; n++)
		v[n] = good;
	struct ocsp_fields f = {.produced_ms = NOW_MS, .singles = v};
	auto_buf der = BUF_INIT(OCSP_MAX);
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	f.n = OCSP_REQ_IDS_MAX + 1;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	f.n = 1;
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	size_t before = der.len;
	v[0].hash = OCSP_REQ_OTHER;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	v[0] = good;
	v[0].reason = 7;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	v[0].reason = CRL_REMOVE;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	v[0] = good;
	v[0].serial_len = CRL_SERIAL_MAX + 1;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	v[0] = good;
	v[0].next_ms = v[0].this_ms;
	assert_fails(ocsp_build(s.responder, &f, &der, &e), &e, USAGE);
	assert_int_equal(der.len, before);
}

static void
answer_turned_from_good_to_unknown_does_not_verify(void **state)
{
	struct err e = {0};
	auto_stage s = set(KEY_P256);
	const struct ocsp_single one = single(5, OCSP_GOOD);
	const struct ocsp_fields f = {.produced_ms = NOW_MS, .singles = &one, .n = 1};
	auto_buf der = BUF_INIT(OCSP_MAX);
	assert_ok(ocsp_build(s.responder, &f, &der, &e), &e);
	static const uint8_t good[] = {0x80, 0x00, 0x18, 0x0f}; /* [0], thisUpdate */
	uint8_t *at = memmem(der.p, der.len, good, sizeof(good));
	assert_non_null(at);
	*at = 0x82; /* unknown */
	OCSP_BASICRESP_free(verified(&s, buf_span(&der), false));
}

static void
queries_unpack_as_they_were_packed_and_nothing_else_does(void **state)
{
	struct err e = {0};
	struct ocsp_single got, one = {.hash = OCSP_REQ_SHA256,
				    .serial = {0x7a, 1, 2},
				    .serial_len = 3,
				    .status = OCSP_REVOKED,
				    .reason = CRL_KEY_COMPROMISE,
				    .revoked_ms = 1790000000000};
	auto_buf b = BUF_INIT(2 * OCSP_PACKED_MAX);
	ocsp_single_pack(&one, &b);
	ocsp_single_pack(&one, &b);
	struct span rest = buf_span(&b);
	for (int i = 0; i < 2; i++) {
		assert_ok(ocsp_single_unpack(&rest, &got, &e), &e);
		assert_int_equal(got.hash, one.hash);
		assert_int_equal(got.serial_len, one.serial_len);
		assert_memory_equal(got.serial, one.serial, one.serial_len);
		assert_int_equal(got.status, one.status);
		assert_int_equal(got.reason, one.reason);
		assert_int_equal(got.revoked_ms, one.revoked_ms);
	}
	assert_int_equal(rest.len, 0);
	for (size_t n = 0; n < b.len / 2; n++) {
		rest = span_head(buf_span(&b), n);
		assert_fails(ocsp_single_unpack(&rest, &got, &e), &e, PARSE);
		assert_int_equal(rest.len, n);
	}
	static const struct {
		size_t at;
		uint8_t value;
	} bad[] = {{0, 0}, {0, 21}, {4, OCSP_REQ_OTHER}, {5, 3}, {6, 7}, {7, 0xff}};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t was = b.p[bad[i].at];
		b.p[bad[i].at] = bad[i].value;
		rest = buf_span(&b);
		assert_fails(ocsp_single_unpack(&rest, &got, &e), &e, PARSE);
		b.p[bad[i].at] = was;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(queries_unpack_as_they_were_packed_and_nothing_else_does),
	    cmocka_unit_test(answers_say_good_revoked_and_unknown_under_either_hash),
	    cmocka_unit_test(every_algorithm_signs_and_the_delegate_is_named_by_key),
	    cmocka_unit_test(nonce_comes_back_at_every_length),
	    cmocka_unit_test(serial_zero_and_of_twenty_octets_are_answered),
	    cmocka_unit_test(largest_answer_fits),
	    cmocka_unit_test(batch_is_the_answers_one_by_one),
	    cmocka_unit_test(errors_are_openssls_statuses),
	    cmocka_unit_test(requests_of_openssl_name_our_ca_and_no_other),
	    cmocka_unit_test(responder_without_the_right_is_refused),
	    cmocka_unit_test(delegate_answers_nothing_past_its_end),
	    cmocka_unit_test(fields_that_say_nothing_are_refused),
	    cmocka_unit_test(answer_turned_from_good_to_unknown_does_not_verify),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
