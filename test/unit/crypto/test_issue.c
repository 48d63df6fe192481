/*
 * What our issuers write: profiles, dates, serials, the CA's material, PKCS#7; each read
 * back by OpenSSL.
 */
#include "forge.h"

#include <openssl/asn1.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

#include "crypto/ca.h"
#include "crypto/csr.h"
#include "crypto/p7.h"

/* A root and the two issuing CAs under it. */
struct trio {
	struct cert *root;
	struct issuer *by_root, *device, *service;
	struct key *root_key;
	struct buf root_pem, device_pem, service_pem;
};

static void
trio_done(struct trio *t)
{
	cert_free(t->root);
	issuer_free(t->by_root);
	issuer_free(t->device);
	issuer_free(t->service);
	key_free(t->root_key);
	buf_done(&t->root_pem);
	buf_done(&t->device_pem);
	buf_done(&t->service_pem);
}

static struct issuer *
make_issuing(struct issuer *root, enum key_alg alg, const char *cn, struct buf *pem)
{
	struct err e = {0};
	const struct ca_subject who = {.cn = cn, .org = "Example"};
	auto_(key_free) struct key *key = key_generate(alg, &e);
	*pem = BUF_INIT(CERT_PEM_MAX);
	assert_ok(ca_make_issuing(root, key_spki(key), &who, NOW_S, pem, &e), &e);
	struct issuer *i = issuer_new(buf_span(pem), key, &e);
	assert_non_null(i);
	assert_ok(issuer_self_check(i, NOW_S, &e), &e);
	return i;
}

static struct trio
make_ca(enum key_alg root, enum key_alg issuing)
{
	struct err e = {0};
	struct trio t = {.root_key = key_generate(root, &e)};
	const struct ca_subject who = {.cn = "Root", .org = "Example"};
	t.root_pem = BUF_INIT(CERT_PEM_MAX);
	assert_ok(ca_make_root(t.root_key, &who, NOW_S, &t.root_pem, &e), &e);
	t.by_root = issuer_new(buf_span(&t.root_pem), t.root_key, &e);
	assert_non_null(t.by_root);
	t.root = cert_ref((struct cert *)issuer_cert(t.by_root));
	t.device =
	    make_issuing(t.by_root, issuing, "muster Device Issuing CA", &t.device_pem);
	t.service =
	    make_issuing(t.by_root, issuing, "muster Service Issuing CA", &t.service_pem);
	return t;
}

static struct cert *
issue(struct issuer *i, struct issuer_request r, struct issuer_result *ret)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(CERT_MAX);
	if (!r.now_s)
		r.now_s = NOW_S;
	assert_ok(issuer_sign(i, &r, &der, ret, &e), &e);
	struct cert *c = cert_parse(buf_span(&der), &e);
	if (!c)
		fail_msg("%s", e.text);
	assert_memory_equal(c->sha256, ret->sha256, DIGEST_SHA256);
	return c;
}

/* OpenSSL, strict, from the root down, for that purpose. */
static void
assert_verifies(
    struct trio *ca, struct cert *leaf, struct issuer *by, int purpose, bool want)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *middle = sk_X509_new_null();
	X509_STORE_add_cert(store, ca->root->x509);
	sk_X509_push(middle, issuer_cert(by)->x509);
	X509_STORE_CTX_init(ctx, store, leaf->x509, middle);
	X509_STORE_CTX_set_time(ctx, 0, NOW_S);
	X509_STORE_CTX_set_flags(
	    ctx, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
	X509_STORE_CTX_set_purpose(ctx, purpose);
	int ok = X509_verify_cert(ctx), code = X509_STORE_CTX_get_error(ctx);
	if ((ok == 1) != want)
		fail_msg("%s", X509_verify_cert_error_string(code));
	sk_X509_free(middle);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
}

static bool
is_critical(const struct cert *c, int nid)
{
	int at = X509_get_ext_by_NID(c->x509, nid, -1);
	return at >= 0 && X509_EXTENSION_get_critical(X509_get_ext(c->x509, at));
}

static void
device_leaf_is_exactly_its_profile(void **state)
{
	struct trio ca = make_ca(KEY_P384, KEY_P256);
	for (int alg = 0; alg <= KEY_RSA2048; alg++) {
		struct err e = {0};
		struct issuer_result res;
		auto_(key_free) struct key *k = key_generate((enum key_alg)alg, &e);
		auto_(cert_free) struct cert *c = issue(ca.device,
		    (struct issuer_request){.profile = PROFILE_DEVICE,
			.cn = "dev-17",
			.org = "Example",
			.spki = key_spki(k)},
		    &res);
		unsigned rsa = alg == KEY_RSA2048 ? CERT_KEY_ENCIPHERMENT : 0;
		assert_int_equal(c->version, 3);
		assert_string_equal(c->cn, "dev-17");
		assert_false(c->is_ca);
		assert_true(is_critical(c, NID_basic_constraints));
		assert_true(is_critical(c, NID_key_usage));
		assert_int_equal(c->usage, CERT_DIGITAL_SIGNATURE | rsa);
		assert_int_equal(c->eku, CERT_CLIENT_AUTH);
		assert_int_equal(X509_get_ext_count(c->x509), 5);
		assert_true(span_eq(c->aki, issuer_cert(ca.device)->ski));
		assert_int_equal(c->ski.len, PUBKEY_ID);
		assert_true(span_eq(c->spki, key_spki(k)));
		assert_int_equal(res.not_after_s, NOW_S + 90 * FORGE_DAY);
		assert_int_equal(c->not_before_ms, issuer_cert(ca.device)->not_before_ms);
		struct cert_info info;
		cert_info(c, &info);
		assert_string_equal(info.subject, "CN=dev-17, O=Example");
		assert_string_equal(
		    info.issuer, "CN=muster Device Issuing CA, O=Example");
		assert_verifies(&ca, c, ca.device, X509_PURPOSE_SSL_CLIENT, true);
		assert_verifies(&ca, c, ca.device, X509_PURPOSE_SSL_SERVER, false);
	}
	trio_done(&ca);
}

static void
server_leaf_names_hosts_and_addresses(void **state)
{
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	static const char *const san[] = {"hub.example.net", "127.0.0.1", "::1"};
	struct issuer_result res;
	auto_(cert_free) struct cert *c = issue(ca.service,
	    (struct issuer_request){.profile = PROFILE_SERVER,
		.cn = "hub.example.net",
		.san = san,
		.n_san = 3,
		.spki = key_spki(issuer_key(ca.device))},
	    &res);
	assert_int_equal(c->eku, CERT_SERVER_AUTH);
	assert_int_equal(X509_check_host(c->x509, "hub.example.net", 0, 0, NULL), 1);
	assert_int_equal(X509_check_ip_asc(c->x509, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(c->x509, "::1", 0), 1);
	assert_int_equal(X509_check_ip_asc(c->x509, "127.0.0.2", 0), 0);
	assert_verifies(&ca, c, ca.service, X509_PURPOSE_SSL_SERVER, true);
	trio_done(&ca);
}

static int
try_issue(struct issuer *i, struct issuer_request r, struct err *e)
{
	struct issuer_result res;
	auto_buf der = BUF_INIT(CERT_MAX);
	if (!r.now_s)
		r.now_s = NOW_S;
	if (!r.spki.p)
		r.spki = key_spki(issuer_key(i));
	return issuer_sign(i, &r, &der, &res, e);
}

static void
issuer_refuses_names_and_lives_its_profile_does_not_allow(void **state)
{
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	static const char *const bad_ids[] = {"", "a+b", "a#b", "a/b", "a b", "dev\n",
	    "0123456789012345678901234567890123456789012345678901234567890123456"};
	static const char *const san[] = {"not a host"};
	struct err e = {0};
	for (size_t i = 0; i < sizeof(bad_ids) / sizeof(bad_ids[0]); i++)
		assert_fails(try_issue(ca.device,
				 (struct issuer_request){
				     .profile = PROFILE_DEVICE, .cn = bad_ids[i]},
				 &e),
		    &e, PARSE);
	assert_fails(
	    try_issue(ca.device,
		(struct issuer_request){
		    .profile = PROFILE_DEVICE, .cn = "d", .life_s = 3651 * FORGE_DAY},
		&e),
	    &e, USAGE);
	assert_fails(
	    try_issue(ca.device,
		(struct issuer_request){
		    .profile = PROFILE_DEVICE, .cn = "d", .san = san, .n_san = 1},
		&e),
	    &e, USAGE);
	assert_fails(
	    try_issue(ca.service,
		(struct issuer_request){.profile = PROFILE_SERVER, .cn = "h"}, &e),
	    &e, USAGE);
	assert_fails(
	    try_issue(ca.service,
		(struct issuer_request){
		    .profile = PROFILE_SERVER, .cn = "h", .san = san, .n_san = 1},
		&e),
	    &e, PARSE);
	assert_fails(
	    try_issue(ca.device,
		(struct issuer_request){
		    .profile = PROFILE_DEVICE, .cn = "d", .spki = SPAN_LIT("\x30\x00")},
		&e),
	    &e, PARSE);
	assert_fails(
	    try_issue(ca.device,
		(struct issuer_request){.profile = PROFILE_INTERMEDIATE, .cn = "d"}, &e),
	    &e, DENIED);
	assert_fails(try_issue(ca.device,
			 (struct issuer_request){.profile = PROFILE_ROOT, .cn = "d"}, &e),
	    &e, USAGE);
	trio_done(&ca);
}

static void
leaf_never_outlives_its_issuer_and_is_never_older(void **state)
{
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	const struct cert *by = issuer_cert(ca.device);
	int64_t last_s = by->not_after_ms / 1000;
	struct issuer_request r = {.profile = PROFILE_DEVICE,
	    .cn = "d",
	    .spki = key_spki(issuer_key(ca.service)),
	    .now_s = NOW_S + 1000 * FORGE_DAY};
	struct issuer_result res;
	struct err e = {0};
	auto_(cert_free) struct cert *mid = issue(ca.device, r, &res);
	assert_false(res.clamped);
	assert_int_equal(res.not_before_s, r.now_s - 3600);
	assert_true(mid->not_before_ms > by->not_before_ms);
	r.now_s = last_s - FORGE_DAY;
	auto_(cert_free) struct cert *late = issue(ca.device, r, &res);
	assert_true(res.clamped);
	assert_int_equal(late->not_after_ms, by->not_after_ms);
	assert_fails((r.now_s = last_s + 1, try_issue(ca.device, r, &e)), &e, DENIED);
	assert_fails(
	    (r.now_s = by->not_before_ms / 1000 - 1, try_issue(ca.device, r, &e)), &e,
	    DENIED);
	assert_non_null(strstr(e.text, "not valid yet"));
	trio_done(&ca);
}

/* reliability row 40 */
static void
validity_crosses_2038_2049_2050_and_9999(void **state)
{
	static const struct {
		int64_t at_s;
		int type;
	} borders[] = {
	    {INT64_C(2147483647), V_ASN1_UTCTIME}, /* 2038-01-19T03:14:07Z */
	    {INT64_C(2147483648), V_ASN1_UTCTIME},
	    {INT64_C(2524607999), V_ASN1_UTCTIME},         /* 2049-12-31T23:59:59Z */
	    {INT64_C(2524608000), V_ASN1_GENERALIZEDTIME}, /* 2050-01-01T00:00:00Z */
	    {TBS_NO_EXPIRY_S, V_ASN1_GENERALIZEDTIME},
	};
	struct err e = {0};
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	const struct tbs_issuer by = {.alg = KEY_P256};
	for (size_t i = 0; i < sizeof(borders) / sizeof(borders[0]); i++) {
		struct tbs_fields f = {.profile = PROFILE_ROOT,
		    .cn = "Border",
		    .spki = key_spki(k),
		    .not_before_s = borders[i].at_s - 1,
		    .not_after_s = borders[i].at_s};
		uint8_t sig[KEY_SIG_MAX];
		size_t len;
		auto_buf tbs = BUF_INIT(TBS_MAX), der = BUF_INIT(CERT_MAX);
		tbs_serial(f.serial);
		assert_ok(tbs_build(&f, &by, &tbs, &e), &e);
		assert_ok(key_sign(k, buf_span(&tbs), sig, &len, &e), &e);
		tbs_finish(buf_span(&tbs), KEY_P256, span_of(sig, len), &der);
		auto_(cert_free) struct cert *c = cert_parse(buf_span(&der), &e);
		assert_non_null(c);
		assert_int_equal(c->not_after_ms, borders[i].at_s * 1000);
		assert_int_equal(c->not_before_ms, (borders[i].at_s - 1) * 1000);
		assert_int_equal(
		    ASN1_STRING_type(X509_get0_notAfter(c->x509)), borders[i].type);
		assert_true(c->self_signed);
		assert_true(cert_valid_at(c, borders[i].at_s * 1000));
	}
	struct tbs_fields past = {.profile = PROFILE_ROOT,
	    .cn = "Past",
	    .spki = key_spki(k),
	    .serial = {1},
	    .not_after_s = TBS_NO_EXPIRY_S + 1};
	auto_buf tbs = BUF_INIT(TBS_MAX);
	assert_fails(tbs_build(&past, &by, &tbs, &e), &e, USAGE);
}

/* reliability row 4 */
static void
serials_are_positive_short_and_every_bit_is_random(void **state)
{
	enum {
		N = 200000
	}; /* sigma 0.11 %; first octet: 64 of 127, as zero is left out */
	static unsigned ones[TBS_SERIAL * 8];
	uint8_t s[TBS_SERIAL];
	for (int i = 0; i < N; i++) {
		tbs_serial(s);
		for (size_t b = 0; b < TBS_SERIAL * 8; b++)
			ones[b] += s[b / 8] >> (7 - b % 8) & 1;
	}
	assert_int_equal(ones[0], 0);
	for (size_t b = 1; b < TBS_SERIAL * 8; b++)
		if (ones[b] < N * 49 / 100 || ones[b] > N * 51 / 100)
			fail_msg("bit %zu is set in %u of %d", b, ones[b], N);
}

static void
tbs_refuses_zero_and_negative_serials(void **state)
{
	struct err e = {0};
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	const struct tbs_issuer by = {.alg = KEY_P256};
	struct tbs_fields f = {.profile = PROFILE_ROOT,
	    .cn = "R",
	    .spki = key_spki(k),
	    .not_after_s = NOW_S};
	auto_buf tbs = BUF_INIT(TBS_MAX);
	assert_fails(tbs_build(&f, &by, &tbs, &e), &e, USAGE);
	f.serial[0] = 0x80;
	assert_fails(tbs_build(&f, &by, &tbs, &e), &e, USAGE);
}

static void
issuer_of_every_algorithm_passes_its_self_check(void **state)
{
	for (int alg = 0; alg < KEY_ALG_N; alg++) {
		struct err e = {0};
		auto_(key_free) struct key *k = key_generate((enum key_alg)alg, &e);
		auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
		assert_ok(issuer_self_sign(k, "Root", NULL, NOW_S, 0, &der, &e), &e);
		cert_write_pem(buf_span(&der), &pem);
		auto_(issuer_free) struct issuer *i = issuer_new(buf_span(&pem), k, &e);
		if (!i)
			fail_msg("%s", e.text);
		assert_ok(issuer_self_check(i, NOW_S, &e), &e);
		auto_(issuer_free) struct issuer *other = issuer_clone(i, &e);
		assert_ok(issuer_self_check(other, NOW_S, &e), &e);
	}
}

static void
issuer_check_names_what_differs_from_the_profile(void **state)
{
	struct err e = {0};
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	struct issuer_result res;
	auto_(cert_free) struct cert *c = issue(ca.service,
	    (struct issuer_request){.profile = PROFILE_OPERATOR,
		.cn = "alice",
		.spki = key_spki(issuer_key(ca.device))},
	    &res);
	assert_ok(issuer_check(ca.service, PROFILE_OPERATOR, c->der, &e), &e);
	assert_fails(issuer_check(ca.service, PROFILE_SERVER, c->der, &e), &e, CRYPTO);
	assert_non_null(strstr(e.text, "extendedKeyUsage"));
	assert_fails(issuer_check(ca.device, PROFILE_OPERATOR, c->der, &e), &e, CRYPTO);
	assert_non_null(strstr(e.text, "issuer name"));
	trio_done(&ca);
}

static void
issuer_refuses_a_key_that_is_not_its_certificates(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("Root");
	auto_party leaf = forge_leaf("dev", &root);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(root.cert->der, &pem);
	assert_null(issuer_new(buf_span(&pem), leaf.key, &e));
	assert_int_equal(e.code, ERR_CRYPTO);
	buf_reset(&pem);
	cert_write_pem(leaf.cert->der, &pem);
	assert_null(issuer_new(buf_span(&pem), leaf.key, &e));
	assert_int_equal(e.code, ERR_USAGE);
}

/* --- where to ask about a certificate --- */

static void
leaf_says_where_to_ask_about_it(void **state)
{
	struct err e = {0};
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	uint8_t serial[TBS_SERIAL];
	tbs_serial(serial);
	struct issuer_request r = {.profile = PROFILE_DEVICE,
	    .cn = "dev-17",
	    .spki = key_spki(issuer_key(ca.service)),
	    .now_s = NOW_S,
	    .serial = serial,
	    .crl_url = "http://pki/3.crl",
	    .freshest_url = "http://pki/3-delta.crl",
	    .ocsp_url = "http://pki/ocsp",
	    .issuers_url = "http://pki/device-ca.cer"};
	assert_ok(issuer_sign(ca.device, &r, &der, &res, &e), &e);
	assert_memory_equal(res.serial, serial, sizeof(serial));
	assert_ok(issuer_check_request(ca.device, &r, buf_span(&der), &e), &e);
	auto_(cert_free) struct cert *c = cert_parse(buf_span(&der), &e);
	assert_int_equal(X509_get_ext_count(c->x509), 8);
	assert_false(is_critical(c, NID_crl_distribution_points));
	STACK_OF(OPENSSL_STRING) *ocsp = X509_get1_ocsp(c->x509);
	assert_int_equal(sk_OPENSSL_STRING_num(ocsp), 1);
	assert_string_equal(sk_OPENSSL_STRING_value(ocsp, 0), "http://pki/ocsp");
	X509_email_free(ocsp);
	assert_verifies(&ca, c, ca.device, X509_PURPOSE_SSL_CLIENT, true);
	trio_done(&ca);
}

static void
issuer_check_names_the_url_that_differs(void **state)
{
	struct err e = {0};
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	const struct issuer_request r = {.profile = PROFILE_DEVICE,
	    .cn = "dev-17",
	    .spki = key_spki(issuer_key(ca.service)),
	    .now_s = NOW_S,
	    .crl_url = "http://pki/3.crl",
	    .ocsp_url = "http://pki/ocsp"};
	assert_ok(issuer_sign(ca.device, &r, &der, &res, &e), &e);
	struct {
		struct issuer_request r;
		const char *says;
	} rows[] = {{r, "cRLDistributionPoints"}, {r, "cRLDistributionPoints"},
	    {r, "freshestCRL"}, {r, "authorityInfoAccess"}, {r, "authorityInfoAccess"},
	    {r, "authorityInfoAccess"}};
	rows[0].r.crl_url = "http://pki/4.crl";
	rows[1].r.crl_url = NULL;
	rows[2].r.freshest_url = "http://pki/3-delta.crl";
	rows[3].r.ocsp_url = NULL;
	rows[4].r.ocsp_url = "http://pki/other";
	rows[5].r.issuers_url = "http://pki/ca.cer";
	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		assert_fails(
		    issuer_check_request(ca.device, &rows[n].r, buf_span(&der), &e), &e,
		    CRYPTO);
		assert_non_null(strstr(e.text, rows[n].says));
	}
	trio_done(&ca);
}

static void
url_that_is_none_or_in_a_ca_is_refused(void **state)
{
	struct err e = {0};
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	auto_party root = forge_root("Root");
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(root.cert->der, &pem);
	auto_(issuer_free) struct issuer *i = issuer_new(buf_span(&pem), root.key, &e);
	assert_fails(try_issue(ca.device,
			 (struct issuer_request){.profile = PROFILE_DEVICE,
			     .cn = "d",
			     .ocsp_url = "file:///etc/passwd"},
			 &e),
	    &e, PARSE);
	assert_fails(try_issue(i,
			 (struct issuer_request){.profile = PROFILE_INTERMEDIATE,
			     .cn = "CA",
			     .crl_url = "http://pki/0.crl"},
			 &e),
	    &e, USAGE);
	trio_done(&ca);
}

static void
ocsp_delegate_signs_answers_and_nothing_else(void **state)
{
	struct trio ca = make_ca(KEY_P256, KEY_P256);
	struct issuer_result res;
	auto_(cert_free) struct cert *c = issue(ca.device,
	    (struct issuer_request){.profile = PROFILE_OCSP,
		.cn = "OCSP 1",
		.spki = key_spki(issuer_key(ca.service))},
	    &res);
	assert_int_equal(c->eku, CERT_OCSP_SIGNING);
	assert_int_equal(c->usage, CERT_DIGITAL_SIGNATURE);
	assert_false(is_critical(c, NID_ext_key_usage));
	assert_true(X509_get_ext_by_NID(c->x509, NID_id_pkix_OCSP_noCheck, -1) >= 0);
	assert_false(is_critical(c, NID_id_pkix_OCSP_noCheck));
	assert_int_equal(res.not_after_s, NOW_S + 14 * FORGE_DAY);
	assert_verifies(&ca, c, ca.device, X509_PURPOSE_OCSP_HELPER, true);
	assert_verifies(&ca, c, ca.device, X509_PURPOSE_SSL_CLIENT, false);
	trio_done(&ca);
}

/* --- CAs of others: intermediates by CSR, cross certificates --- */

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

static void
root_signs_an_intermediate_whose_key_it_never_saw(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("Ceremony Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	auto_(key_free) struct key *k = key_generate(KEY_P384, &e);
	auto_buf csr_der = BUF_INIT(CSR_MAX);
	struct csr csr;
	struct issuer_result res;
	assert_ok(csr_write(k, "Device CA 2", NULL, &csr_der, &e), &e);
	assert_ok(csr_parse(buf_span(&csr_der), &csr, &e), &e);
	auto_(cert_free) struct cert *c = issue(i,
	    (struct issuer_request){
		.profile = PROFILE_INTERMEDIATE, .cn = csr.cn, .spki = csr.spki},
	    &res);
	assert_ok(issuer_check(i, PROFILE_INTERMEDIATE, c->der, &e), &e);
	assert_string_equal(c->cn, "Device CA 2");
	assert_true(key_is_spki(k, c->spki));
	auto_(issuer_free) struct issuer *under =
	    issuer_of(&(struct party){.key = k, .cert = c});
	assert_ok(issuer_self_check(under, NOW_S, &e), &e);
	csr_done(&csr);
}

/* OpenSSL's verdict on leaf, trust being the only anchor and middle the only help. */
static bool
path_holds(const struct cert *trust, const struct cert *middle, const struct cert *leaf)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	STACK_OF(X509) *help = sk_X509_new_null();
	X509_STORE_add_cert(store, trust->x509);
	if (middle)
		sk_X509_push(help, middle->x509);
	X509_STORE_CTX_init(ctx, store, leaf->x509, help);
	X509_STORE_CTX_set_time(ctx, 0, NOW_S + 1);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_X509_STRICT);
	bool ok = X509_verify_cert(ctx) == 1;
	sk_X509_free(help);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

static struct cert *
cross(struct issuer *by, const struct cert *ca, struct issuer_result *ret)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(CERT_MAX);
	assert_ok(issuer_cross(by, ca, NOW_S, 0, &der, ret, &e), &e);
	assert_ok(issuer_check_cross(by, ca, buf_span(&der), &e), &e);
	struct cert *c = cert_parse(buf_span(&der), &e);
	assert_non_null(c);
	return c;
}

/* Both roots' leaves are good to who trusts only the other root. */
static void
roots_cross_each_other(void **state)
{
	auto_party old = forge_root("Root 1"), new = forge_root("Root 2");
	auto_(issuer_free) struct issuer *i_old = issuer_of(&old),
					 *i_new = issuer_of(&new);
	struct issuer_result res;
	auto_(cert_free) struct cert *new_with_old = cross(i_old, new.cert, &res);
	assert_true(res.clamped); /* the roots live 30 days */
	assert_int_equal(new_with_old->not_after_ms, old.cert->not_after_ms);
	auto_(cert_free) struct cert *old_with_new = cross(i_new, old.cert, &res);
	auto_party old_leaf = forge_leaf("dev-1", &old),
		   new_leaf = forge_leaf("dev-2", &new);
	assert_true(span_eq(new_with_old->subject, new.cert->subject));
	assert_true(span_eq(new_with_old->spki, new.cert->spki));
	assert_true(span_eq(new_with_old->ski, new.cert->ski));
	assert_true(span_eq(new_with_old->aki, old.cert->ski));
	assert_false(new_with_old->self_signed);
	assert_false(path_holds(old.cert, NULL, new_leaf.cert));
	assert_true(path_holds(old.cert, new_with_old, new_leaf.cert));
	assert_true(path_holds(new.cert, old_with_new, old_leaf.cert));
	assert_false(path_holds(new.cert, new_with_old, old_leaf.cert));
}

static void
cross_certificate_keeps_the_path_length(void **state)
{
	struct err e = {0};
	auto_party a = forge_root("Root 1"), b = forge_root("Root 2");
	auto_party ca = forge_ca("Issuing", &a);
	auto_(issuer_free) struct issuer *i = issuer_of(&b), *i_ca = issuer_of(&ca);
	struct issuer_result res;
	auto_(cert_free) struct cert *c = cross(i, ca.cert, &res);
	assert_int_equal(c->pathlen, 0);
	auto_party leaf = forge_leaf("dev-1", &ca);
	assert_true(path_holds(b.cert, c, leaf.cert));
	auto_buf der = BUF_INIT(CERT_MAX);
	assert_fails(issuer_cross(i_ca, b.cert, NOW_S, 0, &der, &res, &e), &e, DENIED);
	assert_fails(issuer_check_cross(i, a.cert, c->der, &e), &e, CRYPTO);
	assert_fails(issuer_check(i, PROFILE_CROSS, c->der, &e), &e, CRYPTO);
}

static void
cross_of_a_leaf_of_itself_or_by_request_is_refused(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("Root"), leaf = forge_leaf("dev", &root);
	auto_party expired = forge(&(struct forge){.cn = "Gone",
	    .basic = "critical,CA:TRUE",
	    .usage = "critical,keyCertSign,cRLSign",
	    .from_s = NOW_S - 2 * FORGE_DAY,
	    .to_s = NOW_S - FORGE_DAY});
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	auto_buf der = BUF_INIT(CERT_MAX);
	struct issuer_result res;
	assert_fails(issuer_cross(i, leaf.cert, NOW_S, 0, &der, &res, &e), &e, USAGE);
	assert_fails(issuer_cross(i, root.cert, NOW_S, 0, &der, &res, &e), &e, USAGE);
	assert_fails(issuer_cross(i, expired.cert, NOW_S, 0, &der, &res, &e), &e, DENIED);
	assert_fails(
	    try_issue(
		i, (struct issuer_request){.profile = PROFILE_CROSS, .cn = "Any CA"}, &e),
	    &e, USAGE);
	assert_int_equal(der.len, 0);
}

/* --- the CAs of a home --- */

static void
ca_makes_roots_and_issuing_cas_of_their_profiles(void **state)
{
	struct trio t = make_ca(KEY_P256, KEY_P256);
	assert_int_equal(issuer_cert(t.device)->pathlen, 0);
	assert_int_equal(t.root->pathlen, -1);
	assert_int_equal((t.root->not_after_ms / 1000 - NOW_S) / FORGE_DAY, 7300);
	assert_int_equal(ca_purpose_of(PROFILE_DEVICE), CA_DEVICE);
	assert_int_equal(ca_purpose_of(PROFILE_OPERATOR), CA_SERVICE);
	assert_int_equal(ca_purpose_of(PROFILE_SERVER), CA_SERVICE);
	assert_int_equal(ca_purpose_of(PROFILE_INTERMEDIATE), CA_PURPOSE_N);
	assert_int_equal(ca_purpose_of(PROFILE_OCSP), CA_PURPOSE_N);
	trio_done(&t);
}

static int
add(struct ca *ca, enum ca_purpose purpose, const char *name, const struct buf *pem,
    struct key *key, struct err *e)
{
	struct ca_conf_row row = {.purpose = purpose, .cert = "x.pem"};
	snprintf(row.name, sizeof(row.name), "%s", name);
	return ca_add(ca, &row, buf_span(pem), key, e);
}

/* t's three, with root's certificate in place of its own. */
static struct ca
home_of(const struct trio *t, const struct buf *root)
{
	struct err e = {0};
	struct ca ca = {.n = 0};
	assert_ok(add(&ca, CA_ROOT, "root", root, NULL, &e), &e);
	assert_ok(
	    add(&ca, CA_DEVICE, "device-ca", &t->device_pem, issuer_key(t->device), &e),
	    &e);
	assert_ok(add(&ca, CA_SERVICE, "service-ca", &t->service_pem,
		      issuer_key(t->service), &e),
	    &e);
	return ca;
}

static void
ca_tells_what_does_not_fit(void **state)
{
	struct err e = {0};
	struct trio t = make_ca(KEY_P256, KEY_P256), other = make_ca(KEY_P256, KEY_P256);
	auto_ca ca = home_of(&t, &t.root_pem), orphan = home_of(&t, &other.root_pem);
	auto_ca twins = {.n = 0}, one = {.n = 0};
	assert_ok(ca_check(&ca, NOW_S, &e), &e);
	assert_fails(ca_check(&ca, NOW_S + 1826 * FORGE_DAY, &e), &e, DENIED);
	assert_fails(ca_check(&ca, NOW_S - FORGE_DAY, &e), &e, DENIED);
	assert_non_null(strstr(e.text, "clock"));
	assert_fails(ca_check(&orphan, NOW_S, &e), &e, CRYPTO);
	assert_fails(
	    add(&ca, CA_DEVICE, "x", &other.device_pem, issuer_key(t.device), &e), &e,
	    CORRUPT);
	assert_fails(add(&ca, CA_ROOT, "x", &other.device_pem, NULL, &e), &e, CORRUPT);
	assert_fails(add(&ca, CA_DEVICE, "x", &other.root_pem, NULL, &e), &e, CORRUPT);
	assert_fails(add(&ca, CA_ROOT, "x", &t.root_pem, NULL, &e), &e, CORRUPT);
	auto_buf rubbish = BUF_INIT(64);
	buf_str(&rubbish, "rubbish");
	assert_fails(add(&ca, CA_ROOT, "x", &rubbish, NULL, &e), &e, PARSE);
	assert_int_equal(ca.n, 3);
	/* a device CA that is the service CA as well */
	assert_ok(add(&twins, CA_ROOT, "root", &t.root_pem, NULL, &e), &e);
	assert_ok(
	    add(&twins, CA_SERVICE, "s", &t.service_pem, issuer_key(t.service), &e), &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	const struct ca_subject who = {.cn = "Other", .org = "Example"};
	assert_ok(ca_make_issuing(
		      t.by_root, key_spki(issuer_key(t.service)), &who, NOW_S, &pem, &e),
	    &e);
	assert_ok(add(&twins, CA_DEVICE, "d", &pem, issuer_key(t.service), &e), &e);
	assert_fails(ca_check(&twins, NOW_S, &e), &e, CORRUPT);
	/* no service CA, or one without its key */
	assert_ok(add(&one, CA_ROOT, "root", &t.root_pem, NULL, &e), &e);
	assert_ok(add(&one, CA_DEVICE, "d", &t.device_pem, issuer_key(t.device), &e), &e);
	assert_fails(ca_check(&one, NOW_S, &e), &e, NOT_FOUND);
	assert_ok(add(&one, CA_SERVICE, "s", &t.service_pem, NULL, &e), &e);
	assert_fails(ca_check(&one, NOW_S, &e), &e, NOT_FOUND);
	trio_done(&t);
	trio_done(&other);
}

static void
ca_goes_on_with_a_second_issuing_ca_when_the_first_has_ended(void **state)
{
	struct err e = {0};
	struct trio t = make_ca(KEY_P256, KEY_P256);
	auto_ca ca = home_of(&t, &t.root_pem);
	int64_t later = NOW_S + 1820 * FORGE_DAY;
	for (int i = 0; i < 2; i++) {
		const struct ca_subject who = {.cn = i ? "Service CA 2" : "Device CA 2"};
		auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
		auto_buf pem = BUF_INIT(CERT_PEM_MAX);
		assert_ok(
		    ca_make_issuing(t.by_root, key_spki(key), &who, later, &pem, &e), &e);
		assert_ok(
		    add(&ca, i ? CA_SERVICE : CA_DEVICE, i ? "s2" : "d2", &pem, key, &e),
		    &e);
	}
	assert_ok(ca_check(&ca, NOW_S + 1830 * FORGE_DAY, &e), &e);
	assert_string_equal(ca_first(&ca, CA_DEVICE)->name, "device-ca");
	assert_string_equal(ca_by_name(&ca, SPAN_LIT("d2"))->name, "d2");
	assert_ptr_equal(ca_find(&ca, span_of(ca.v[4].cert->sha256, 32)), &ca.v[4]);
	assert_null(ca_by_name(&ca, SPAN_LIT("d3")));
	trio_done(&t);
}

/* --- certificates read --- */

static void
cert_list_refuses_keys_and_emptiness(void **state)
{
	struct err e = {0};
	auto_cert_list l = {.n = 0};
	auto_party root = forge_root("Root");
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	cert_write_pem(root.cert->der, &pem);
	assert_ok(key_write(root.key, &pem, &e), &e);
	assert_fails(cert_list_parse(buf_span(&pem), "f", &l, &e), &e, PARSE);
	assert_non_null(strstr(e.text, "PRIVATE KEY"));
	assert_fails(cert_list_parse(SPAN_LIT("hello"), "f", &l, &e), &e, PARSE);
	assert_int_equal(l.n, 0);
}

static void
cert_parse_survives_every_truncation_and_flip(void **state)
{
	auto_party root = forge_root("Root");
	auto_party leaf = forge_leaf("dev", &root);
	struct span der = leaf.cert->der;
	uint8_t copy[2048];
	for (size_t n = 0; n < der.len; n++) {
		struct cert *c = cert_parse(span_head(der, n), NULL);
		assert_null(c);
	}
	for (size_t n = 0; n < der.len; n++) {
		memcpy(copy, der.p, der.len);
		copy[n] ^= 0x81;
		cert_free(cert_parse(span_of(copy, der.len), NULL));
	}
	memcpy(copy, der.p, der.len);
	copy[der.len] = 0;
	assert_null(cert_parse(span_of(copy, der.len + 1), NULL));
}

static void
cert_days_left_counts_down_past_zero(void **state)
{
	struct cert c = {.not_before_ms = 0, .not_after_ms = 10 * FORGE_DAY * 1000};
	assert_int_equal(cert_days_left(&c, 0), 10);
	assert_int_equal(cert_days_left(&c, 1), 9);
	assert_int_equal(cert_days_left(&c, c.not_after_ms), 0);
	assert_int_equal(cert_days_left(&c, c.not_after_ms + 1), -1);
	assert_int_equal(cert_days_left(&c, 12 * FORGE_DAY * 1000), -2);
}

/* --- PKCS#7 --- */

static void
p7_goes_through_openssl_and_back(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("Root");
	auto_party leaf = forge_leaf("dev", &root);
	const struct span certs[] = {leaf.cert->der, root.cert->der};
	auto_buf der = BUF_INIT(P7_MAX);
	assert_ok(p7_write(certs, 2, &der, &e), &e);
	const unsigned char *at = der.p;
	PKCS7 *p = d2i_PKCS7(NULL, &at, (long)der.len);
	assert_non_null(p);
	assert_true(PKCS7_type_is_signed(p));
	assert_int_equal(sk_X509_num(p->d.sign->cert), 2);
	unsigned char *again = NULL;
	int n = i2d_PKCS7(p, &again);
	struct span got[P7_CERTS_MAX];
	size_t n_got = 0;
	assert_ok(p7_parse(span_of(again, (size_t)n), got, P7_CERTS_MAX, &n_got, &e), &e);
	assert_int_equal(n_got, 2);
	assert_true(span_eq(got[0], leaf.cert->der) || span_eq(got[1], leaf.cert->der));
	assert_fails(p7_parse(span_of(again, (size_t)n), got, 1, &n_got, &e), &e, LIMIT);
	assert_fails(
	    p7_parse(span_of(again, (size_t)n - 1), got, 2, &n_got, &e), &e, PARSE);
	OPENSSL_free(again);
	PKCS7_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(device_leaf_is_exactly_its_profile),
	    cmocka_unit_test(server_leaf_names_hosts_and_addresses),
	    cmocka_unit_test(issuer_refuses_names_and_lives_its_profile_does_not_allow),
	    cmocka_unit_test(leaf_never_outlives_its_issuer_and_is_never_older),
	    cmocka_unit_test(validity_crosses_2038_2049_2050_and_9999),
	    cmocka_unit_test(serials_are_positive_short_and_every_bit_is_random),
	    cmocka_unit_test(tbs_refuses_zero_and_negative_serials),
	    cmocka_unit_test(issuer_of_every_algorithm_passes_its_self_check),
	    cmocka_unit_test(issuer_check_names_what_differs_from_the_profile),
	    cmocka_unit_test(issuer_refuses_a_key_that_is_not_its_certificates),
	    cmocka_unit_test(leaf_says_where_to_ask_about_it),
	    cmocka_unit_test(issuer_check_names_the_url_that_differs),
	    cmocka_unit_test(url_that_is_none_or_in_a_ca_is_refused),
	    cmocka_unit_test(ocsp_delegate_signs_answers_and_nothing_else),
	    cmocka_unit_test(root_signs_an_intermediate_whose_key_it_never_saw),
	    cmocka_unit_test(roots_cross_each_other),
	    cmocka_unit_test(cross_certificate_keeps_the_path_length),
	    cmocka_unit_test(cross_of_a_leaf_of_itself_or_by_request_is_refused),
	    cmocka_unit_test(ca_makes_roots_and_issuing_cas_of_their_profiles),
	    cmocka_unit_test(ca_tells_what_does_not_fit),
	    cmocka_unit_test(
		ca_goes_on_with_a_second_issuing_ca_when_the_first_has_ended),
	    cmocka_unit_test(cert_list_refuses_keys_and_emptiness),
	    cmocka_unit_test(cert_parse_survives_every_truncation_and_flip),
	    cmocka_unit_test(cert_days_left_counts_down_past_zero),
	    cmocka_unit_test(p7_goes_through_openssl_and_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
