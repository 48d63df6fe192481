/*
 * Revocation lists: what is built is read back by us and by OpenSSL, and OpenSSL's path
 * validation believes it; what does not belong is refused, each with its reason.
 */
#include "forge.h"

#include <openssl/x509v3.h>

#include "codec/der.h"
#include "crypto/crl.h"

#define URL   "http://pki.example.net/crl/3.crl"
#define DELTA "http://pki.example.net/crl/3-delta.crl"
#define HOUR  INT64_C(3600000)

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

static struct crl_entry
entry(const char *serial, size_t len, unsigned reason)
{
	struct err e = {0};
	struct crl_entry en;
	assert_ok(
	    crl_entry_set(&en, span_of(serial, len), reason, NOW_MS - 5 * HOUR, &e), &e);
	return en;
}

/* A full list of one shard; entries ascending. */
static struct crl_fields
full(const struct crl_entry *entries, size_t n)
{
	return (struct crl_fields){.number = 7,
	    .this_ms = NOW_MS,
	    .next_ms = NOW_MS + 24 * HOUR,
	    .url = URL,
	    .only_user = true,
	    .freshest = DELTA,
	    .entries = entries,
	    .n = n};
}

static X509_CRL *
openssls(struct span der)
{
	const unsigned char *at = der.p;
	X509_CRL *x = d2i_X509_CRL(NULL, &at, (long)der.len);
	assert_non_null(x);
	assert_ptr_equal(at, der.p + der.len);
	return x;
}

/* --- reasons, entries, shards --- */

static void
reasons_have_the_words_of_rfc_5280(void **state)
{
	struct err e = {0};
	enum crl_reason r;
	for (unsigned i = 0; i < 256; i++) {
		const char *name = crl_reason_name(i);
		assert_int_equal(name != NULL, i <= 10 && i != 7);
		if (!name)
			continue;
		assert_ok(crl_reason_parse(span_str(name), &r, &e), &e);
		assert_int_equal(r, i);
	}
	assert_ok(crl_reason_parse(SPAN_LIT("KEYCOMPROMISE"), &r, &e), &e);
	assert_int_equal(r, CRL_KEY_COMPROMISE);
	assert_fails(crl_reason_parse(SPAN_LIT("lost"), &r, &e), &e, PARSE);
	assert_non_null(strstr(e.text, "certificateHold"));
}

static void
entries_are_packed_and_unpacked(void **state)
{
	struct err e = {0};
	static const uint8_t longest[CRL_SERIAL_MAX] = {0xff, 1, 2, 3};
	auto_buf b = BUF_INIT(256);
	struct crl_entry in[2], out;
	assert_ok(crl_entry_set(&in[0], SPAN_LIT("\0\0\x05"), CRL_HOLD, 1, &e), &e);
	assert_ok(
	    crl_entry_set(&in[1], span_of(longest, sizeof(longest)), 0, NOW_MS, &e), &e);
	assert_int_equal(in[0].serial_len, 1);
	crl_entry_pack(&in[0], &b);
	assert_int_equal(b.len, 11);
	crl_entry_pack(&in[1], &b);
	assert_int_equal(b.len, 11 + CRL_PACKED_MAX);
	struct span rest = buf_span(&b);
	for (int i = 0; i < 2; i++) {
		assert_ok(crl_entry_unpack(&rest, &out, &e), &e);
		assert_memory_equal(&out, &in[i], sizeof(out));
	}
	assert_int_equal(rest.len, 0);
	for (size_t n = 0; n < 11; n++) {
		rest = span_head(buf_span(&b), n);
		assert_fails(crl_entry_unpack(&rest, &out, &e), &e, PARSE);
	}
}

static void
packed_entries_out_of_bounds_are_refused(void **state)
{
	static const struct span bad[] = {
	    SPAN_LIT("\0\0\0\0\0\0\0\0\0\0"),                 /* no serial */
	    SPAN_LIT("\1\0\0\0\0\0\0\0\0\0\1"),               /* serial zero */
	    SPAN_LIT("\2\0\5\0\0\0\0\0\0\0\0\1"),             /* a zero in front */
	    SPAN_LIT("\1\5\7\0\0\0\0\0\0\0\1"),               /* reason 7 */
	    SPAN_LIT("\1\5\1\xff\xff\xff\xff\xff\xff\xff\1"), /* before 1970 */
	    SPAN_LIT("\x15"
		     "123456789012345678901\1\0\0\0\0\0\0\0\1"), /* 21 octets */
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		struct crl_entry en;
		struct span in = bad[i];
		assert_fails(crl_entry_unpack(&in, &en, &e), &e, PARSE);
		assert_ptr_equal(in.p, bad[i].p);
	}
}

static void
shards_split_in_two_when_their_number_doubles(void **state)
{
	uint8_t serial[TBS_SERIAL];
	unsigned hits[16] = {0};
	for (int i = 0; i < 16000; i++) {
		tbs_serial(serial);
		struct span s = span_of(serial, sizeof(serial));
		unsigned of16 = crl_shard(s, 16);
		assert_int_equal(of16, crl_shard(span_skip(s, 1), 16));
		assert_int_equal(crl_shard(s, 32) % 16, of16);
		assert_int_equal(crl_shard(s, 1), 0);
		hits[of16]++;
	}
	for (int i = 0; i < 16; i++)
		assert_in_range(hits[i], 800, 1200);
}

/* --- what is built --- */

static void
full_list_reads_back_in_our_eyes(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	const struct crl_entry entries[] = {entry("\x05", 1, CRL_UNSPECIFIED),
	    entry("\x80", 1, CRL_KEY_COMPROMISE), entry("\x01\x02", 2, CRL_HOLD)};
	const struct crl_fields f = full(entries, 3);
	auto_buf der = BUF_INIT(CRL_MAX);
	struct crl c;
	assert_ok(crl_build(i, &f, &der, &e), &e);
	assert_ok(crl_parse(buf_span(&der), &c, &e), &e);
	assert_true(span_eq(c.issuer, root.cert->subject));
	assert_true(span_eq(c.aki, root.cert->ski));
	assert_true(c.has_number && c.number == 7 && c.base == 0);
	assert_int_equal(c.this_ms, NOW_MS);
	assert_int_equal(c.next_ms, NOW_MS + 24 * HOUR);
	assert_true(span_eq_str(c.url, URL));
	assert_true(c.only_user && !c.only_ca);
	assert_int_equal(c.n, 3);
	struct span rest = c.entries;
	struct crl_entry en;
	for (int n = 0; n < 3; n++) {
		assert_true(crl_next(&rest, &en));
		assert_memory_equal(&en, &entries[n], sizeof(en));
	}
	assert_false(crl_next(&rest, &en));
	assert_true(crl_find(&c, SPAN_LIT("\0\x80"), &en));
	assert_int_equal(en.reason, CRL_KEY_COMPROMISE);
	assert_false(crl_find(&c, SPAN_LIT("\x81"), &en));
	assert_ok(crl_verify(&c, root.cert, &e), &e);
	assert_ok(crl_fits(&c, root.cert, URL, 6, &e), &e);
}

static void
full_list_reads_back_in_openssls_eyes(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	const struct crl_entry entries[] = {
	    entry("\x05", 1, CRL_UNSPECIFIED), entry("\x06", 1, CRL_KEY_COMPROMISE)};
	const struct crl_fields f = full(entries, 2);
	auto_buf der = BUF_INIT(CRL_MAX);
	assert_ok(crl_build(i, &f, &der, &e), &e);
	X509_CRL *x = openssls(buf_span(&der));
	assert_int_equal(X509_CRL_get_version(x), X509_CRL_VERSION_2);
	assert_int_equal(X509_CRL_verify(x, key_evp(root.key)), 1);
	assert_int_equal(X509_CRL_get_ext_count(x), 4);
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(x);
	assert_int_equal(sk_X509_REVOKED_num(all), 2);
	const X509_REVOKED *none = sk_X509_REVOKED_value(all, 0),
			   *one = sk_X509_REVOKED_value(all, 1);
	assert_null(X509_REVOKED_get0_extensions(none));
	ASN1_ENUMERATED *why = X509_REVOKED_get_ext_d2i(one, NID_crl_reason, NULL, NULL);
	assert_int_equal(ASN1_ENUMERATED_get(why), CRL_KEY_COMPROMISE);
	ASN1_ENUMERATED_free(why);
	int at = X509_CRL_get_ext_by_NID(x, NID_issuing_distribution_point, -1);
	assert_true(at >= 0 && X509_EXTENSION_get_critical(X509_CRL_get_ext(x, at)));
	X509_CRL_free(x);
}

static void
list_of_nobody_has_no_entries_and_deltas_say_so(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	struct crl_fields f = full(NULL, 0);
	f.base = 5;
	f.freshest = NULL;
	auto_buf der = BUF_INIT(CRL_MAX);
	struct crl c;
	assert_ok(crl_build(i, &f, &der, &e), &e);
	assert_ok(crl_parse(buf_span(&der), &c, &e), &e);
	assert_int_equal(c.base, 5);
	assert_int_equal(c.n, 0);
	X509_CRL *x = openssls(buf_span(&der));
	assert_null(X509_CRL_get_REVOKED(x));
	int at = X509_CRL_get_ext_by_NID(x, NID_delta_crl, -1);
	assert_true(at >= 0 && X509_EXTENSION_get_critical(X509_CRL_get_ext(x, at)));
	X509_CRL_free(x);
}

static void
every_algorithm_signs_lists_and_dates_past_2050_fit(void **state)
{
	for (int alg = 0; alg <= KEY_RSA2048; alg++) {
		struct err e = {0};
		auto_(key_free) struct key *k = key_generate((enum key_alg)alg, &e);
		auto_buf der = BUF_INIT(CERT_MAX), pem = BUF_INIT(CERT_PEM_MAX);
		int64_t at_s = INT64_C(2556144000); /* 2051 */
		assert_ok(issuer_self_sign(k, "Root", NULL, at_s, 0, &der, &e), &e);
		cert_write_pem(buf_span(&der), &pem);
		auto_(issuer_free) struct issuer *i = issuer_new(buf_span(&pem), k, &e);
		assert_non_null(i);
		const struct crl_fields f = {.number = UINT64_MAX,
		    .this_ms = at_s * 1000,
		    .next_ms = at_s * 1000 + HOUR};
		auto_buf list = BUF_INIT(CRL_MAX);
		struct crl c;
		assert_ok(crl_build(i, &f, &list, &e), &e);
		assert_ok(crl_parse(buf_span(&list), &c, &e), &e);
		assert_true(c.number == UINT64_MAX);
		assert_int_equal(c.this_ms, f.this_ms);
		assert_ok(crl_verify(&c, issuer_cert(i), &e), &e);
		X509_CRL *x = openssls(buf_span(&list));
		assert_int_equal(X509_CRL_verify(x, key_evp(k)), 1);
		X509_CRL_free(x);
	}
}

/* --- OpenSSL's path validation with our lists --- */

static struct cert *
leaf_with_urls(struct issuer *i, const char *crl_url, const char *freshest)
{
	struct err e = {0};
	struct issuer_result res;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	const struct issuer_request r = {.profile = PROFILE_DEVICE,
	    .cn = "dev-1",
	    .spki = key_spki(k),
	    .now_s = NOW_S,
	    .life_s = 10 * FORGE_DAY,
	    .crl_url = crl_url,
	    .freshest_url = freshest};
	auto_buf der = BUF_INIT(CERT_MAX);
	assert_ok(issuer_sign(i, &r, &der, &res, &e), &e);
	assert_ok(issuer_check_request(i, &r, buf_span(&der), &e), &e);
	struct cert *c = cert_parse(buf_span(&der), &e);
	assert_non_null(c);
	return c;
}

static struct crl_entry
entry_of(const struct cert *c, unsigned reason)
{
	struct err e = {0};
	struct crl_entry en;
	uint8_t serial[CERT_SERIAL_MAX];
	const ASN1_INTEGER *n = X509_get0_serialNumber(c->x509);
	size_t len = (size_t)ASN1_STRING_length(n);
	memcpy(serial, ASN1_STRING_get0_data(n), len);
	assert_ok(crl_entry_set(&en, span_of(serial, len), reason, NOW_MS, &e), &e);
	return en;
}

struct lists {
	struct buf der[2];
	size_t n;
};

static void
add(struct lists *l, struct issuer *i, struct crl_fields f)
{
	struct err e = {0};
	l->der[l->n] = BUF_INIT(CRL_MAX);
	assert_ok(crl_build(i, &f, &l->der[l->n], &e), &e);
	l->n++;
}

/* OpenSSL's verdict on leaf with those lists; frees them. */
static int
verdict(const struct party *root, const struct cert *leaf, struct lists *l,
    unsigned long flags)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE_add_cert(store, root->cert->x509);
	while (l->n) {
		X509_CRL *x = openssls(buf_span(&l->der[--l->n]));
		X509_STORE_add_crl(store, x);
		X509_CRL_free(x);
		buf_done(&l->der[l->n]);
	}
	X509_STORE_CTX_init(ctx, store, leaf->x509, NULL);
	X509_STORE_CTX_set_time(ctx, 0, NOW_S + 60);
	X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_CRL_CHECK | flags);
	int ok = X509_verify_cert(ctx), code = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok == 1 ? X509_V_OK : code;
}

static void
openssl_finds_a_leaf_revoked_by_the_list_of_its_shard(void **state)
{
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	auto_(cert_free) struct cert *leaf = leaf_with_urls(i, URL, NULL);
	const struct crl_entry en = entry_of(leaf, CRL_SUPERSEDED);
	struct lists l = {.n = 0};
	add(&l, i, full(NULL, 0));
	assert_int_equal(verdict(&root, leaf, &l, 0), X509_V_OK);
	add(&l, i, full(&en, 1));
	assert_int_equal(verdict(&root, leaf, &l, 0), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(verdict(&root, leaf, &l, 0), X509_V_ERR_UNABLE_TO_GET_CRL);
}

static void
openssl_takes_no_list_of_another_shard(void **state)
{
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	auto_(cert_free) struct cert *leaf =
	    leaf_with_urls(i, "http://pki.example.net/crl/4.crl", NULL);
	struct lists l = {.n = 0};
	add(&l, i, full(NULL, 0));
	assert_int_equal(verdict(&root, leaf, &l, 0), X509_V_ERR_DIFFERENT_CRL_SCOPE);
}

static void
openssl_follows_deltas_to_revocation_and_release(void **state)
{
	const unsigned long deltas =
	    X509_V_FLAG_USE_DELTAS | X509_V_FLAG_EXTENDED_CRL_SUPPORT;
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	auto_(cert_free) struct cert *leaf = leaf_with_urls(i, URL, DELTA);
	const struct crl_entry gone = entry_of(leaf, CRL_KEY_COMPROMISE),
			       hold = entry_of(leaf, CRL_HOLD),
			       back = entry_of(leaf, CRL_REMOVE);
	struct crl_fields delta = full(&gone, 1);
	struct lists l = {.n = 0};
	delta.base = delta.number;
	delta.number++;
	delta.freshest = NULL;
	add(&l, i, full(NULL, 0));
	add(&l, i, delta);
	assert_int_equal(verdict(&root, leaf, &l, deltas), X509_V_ERR_CERT_REVOKED);
	add(&l, i, full(&hold, 1));
	assert_int_equal(verdict(&root, leaf, &l, deltas), X509_V_ERR_CERT_REVOKED);
	add(&l, i, full(&hold, 1));
	delta.entries = &back;
	add(&l, i, delta);
	assert_int_equal(verdict(&root, leaf, &l, deltas), X509_V_OK);
}

/* --- refusals --- */

static void
fields_that_contradict_each_other_are_refused(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	struct crl_entry up[] = {entry("\x05", 1, 0), entry("\x01\x00", 2, 0)};
	struct crl_entry down[] = {up[1], up[0]}, twice[] = {up[0], up[0]};
	struct crl_entry remove = entry("\x05", 1, CRL_REMOVE), odd = up[0], zero = up[0];
	odd.reason = 7;
	zero.serial[0] = 0;
	struct crl_fields bad[12];
	size_t n = 0;
	bad[n++] = full(down, 2);
	bad[n++] = full(twice, 2);
	bad[n++] = full(&remove, 1);
	bad[n++] = full(&odd, 1);
	bad[n++] = full(&zero, 1);
	bad[n] = full(up, 2);
	bad[n++].number = 0;
	bad[n] = full(up, 2);
	bad[n++].base = 7;
	bad[n] = full(up, 2);
	bad[n++].base = 6; /* with a freshest URL */
	bad[n] = full(up, 2);
	bad[n++].next_ms = NOW_MS;
	bad[n] = full(up, 2);
	bad[n++].url = "ldap://x";
	bad[n] = full(up, 2);
	bad[n++].freshest = "";
	auto_buf der = BUF_INIT(CRL_MAX);
	for (size_t k = 0; k < n; k++) {
		assert_fails(crl_build(i, &bad[k], &der, &e), &e, USAGE);
		assert_int_equal(der.len, 0);
	}
	struct crl_fields good = full(up, 2);
	assert_ok(crl_build(i, &good, &der, &e), &e);
}

static void
list_that_does_not_fit_its_buffer_leaves_nothing(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	const struct crl_fields f = full(NULL, 0);
	auto_buf der = BUF_INIT(100);
	buf_str(&der, "before");
	assert_fails(crl_build(i, &f, &der, &e), &e, LIMIT);
	assert_int_equal(der.len, 6);
}

static void
issuer_that_may_not_sign_lists_is_refused(void **state)
{
	struct err e = {0};
	auto_party no_crl = forge(&(struct forge){
	    .cn = "No CRLs", .basic = "critical,CA:TRUE", .usage = "keyCertSign"});
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&no_crl),
					 *good = issuer_of(&root);
	struct crl_fields f = full(NULL, 0);
	struct crl c;
	auto_buf der = BUF_INIT(CRL_MAX);
	assert_fails(crl_build(i, &f, &der, &e), &e, DENIED);
	assert_ok(crl_build(good, &f, &der, &e), &e);
	assert_ok(crl_parse(buf_span(&der), &c, &e), &e);
	assert_fails(crl_verify(&c, no_crl.cert, &e), &e, DENIED);
	f.this_ms = NOW_MS + 400 * FORGE_DAY * 1000;
	f.next_ms = f.this_ms + HOUR;
	assert_fails(crl_build(good, &f, &der, &e), &e, DENIED);
}

/* reliability row 25 */
static void
list_of_another_issuer_key_shard_or_time_does_not_fit(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_party other_name = forge_root("Other Root");
	auto_party other_key = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	const struct crl_fields f = full(NULL, 0);
	auto_buf der = BUF_INIT(CRL_MAX);
	struct crl c;
	assert_ok(crl_build(i, &f, &der, &e), &e);
	assert_ok(crl_parse(buf_span(&der), &c, &e), &e);
	assert_ok(crl_fits(&c, root.cert, URL, 0, &e), &e);
	assert_fails(crl_fits(&c, other_name.cert, URL, 0, &e), &e, CONFLICT);
	assert_non_null(strstr(e.text, "another issuer"));
	assert_fails(crl_fits(&c, other_key.cert, URL, 0, &e), &e, CONFLICT);
	assert_non_null(strstr(e.text, "another key"));
	assert_fails(crl_verify(&c, other_key.cert, &e), &e, CRYPTO);
	assert_fails(crl_fits(&c, root.cert, DELTA, 0, &e), &e, CONFLICT);
	assert_fails(crl_fits(&c, root.cert, NULL, 0, &e), &e, CONFLICT);
	assert_non_null(strstr(e.text, URL));
	assert_fails(crl_fits(&c, root.cert, URL, 7, &e), &e, CONFLICT);
	assert_non_null(strstr(e.text, "number"));
}

static void
no_flipped_bit_of_a_list_verifies(void **state)
{
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	const struct crl_entry en = entry("\x05", 1, CRL_HOLD);
	const struct crl_fields f = full(&en, 1);
	auto_buf der = BUF_INIT(CRL_MAX);
	struct crl c;
	assert_ok(crl_build(i, &f, &der, &e), &e);
	for (size_t n = 0; n < der.len; n++) {
		assert_int_equal(crl_parse(span_head(buf_span(&der), n), &c, NULL), -1);
		der.p[n] ^= 1;
		if (crl_parse(buf_span(&der), &c, NULL) == 0)
			assert_int_equal(crl_verify(&c, root.cert, NULL), -1);
		der.p[n] ^= 1;
	}
}

/* --- lists of others --- */

/* An OpenSSL list with one more extension; DER appended to out. */
static void
foreign(const struct party *by, const char *ext, const char *value, struct buf *out)
{
	X509_CRL *x = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, NOW_S);
	X509V3_CTX c;
	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, by->cert->x509, NULL, NULL, x, 0);
	X509_CRL_set_version(x, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(x, X509_get_subject_name(by->cert->x509));
	X509_CRL_set1_lastUpdate(x, t);
	ASN1_TIME_set(t, NOW_S + 3600);
	X509_CRL_set1_nextUpdate(x, t);
	ASN1_TIME_free(t);
	if (ext) {
		X509_EXTENSION *made = X509V3_EXT_nconf(NULL, &c, ext, value);
		assert_non_null(made);
		X509_CRL_add_ext(x, made, -1);
		X509_EXTENSION_free(made);
	}
	assert_true(X509_CRL_sign(x, key_evp(by->key), EVP_sha384()) > 0);
	unsigned char *der = NULL;
	int len = i2d_X509_CRL(x, &der);
	buf_put(out, der, (size_t)len);
	OPENSSL_free(der);
	X509_CRL_free(x);
}

static void
lists_of_openssl_are_read_and_what_we_cannot_honour_is_refused(void **state)
{
	static const struct {
		const char *ext, *value;
		bool taken;
	} rows[] = {
	    {NULL, NULL, true},
	    {"crlNumber", "DER:02080102030405060708", true},
	    {"crlNumber", "DER:0209010203040506070809", false},
	    {"authorityKeyIdentifier", "keyid:always", true},
	    {"issuerAltName", "URI:http://x/", true},
	    {"issuerAltName", "critical,URI:http://x/", false},
	    {"1.2.3.4", "critical,DER:0500", false},
	    {"1.2.3.4", "DER:0500", true},
	    {"deltaCRL", "critical,DER:020103", true},
	    {"issuingDistributionPoint", "critical,DER:3000", true},
	    {"issuingDistributionPoint", "critical,DER:30038201ff", true},
	    {"issuingDistributionPoint", "critical,DER:3004830206c0", false},
	    {"issuingDistributionPoint", "critical,DER:30038401ff", false},
	    {"issuingDistributionPoint", "critical,DER:30038501ff", false},
	};
	auto_party root = forge_root("Foreign Root");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		struct crl c;
		auto_buf der = BUF_INIT(CRL_MAX);
		foreign(&root, rows[i].ext, rows[i].value, &der);
		int got = crl_parse(buf_span(&der), &c, &e);
		if ((got == 0) != rows[i].taken)
			fail_msg("%s=%s: %s", rows[i].ext, rows[i].value, e.text);
		if (got == 0)
			assert_ok(crl_verify(&c, root.cert, &e), &e);
		else
			assert_int_equal(e.code, ERR_UNSUPPORTED);
	}
}

/* --- size --- */

static void
hundred_thousand_entries_are_built_and_found(void **state)
{
	enum { N = 100000 };
	struct err e = {0};
	auto_party root = forge_root("CRL Root");
	auto_(issuer_free) struct issuer *i = issuer_of(&root);
	struct crl_entry *all = own_alloc(N * sizeof(*all)), en;
	for (size_t n = 0; n < N; n++) {
		uint8_t serial[TBS_SERIAL];
		tbs_serial(serial);
		assert_ok(crl_entry_set(&all[n], span_of(serial, sizeof(serial)),
			      (unsigned)(n % 7), NOW_MS - (int64_t)n * 1000, &e),
		    &e);
	}
	qsort(all, N, sizeof(*all), crl_entry_cmp);
	const struct crl_fields f = full(all, N);
	auto_buf der = BUF_INIT(CRL_MAX);
	struct crl c;
	assert_ok(crl_build(i, &f, &der, &e), &e);
	assert_ok(crl_parse(buf_span(&der), &c, &e), &e);
	assert_int_equal(c.n, N);
	assert_true(crl_find(&c, span_of(all[N - 1].serial, all[N - 1].serial_len), &en));
	assert_memory_equal(&en, &all[N - 1], sizeof(en));
	X509_CRL *x = openssls(buf_span(&der));
	assert_int_equal(sk_X509_REVOKED_num(X509_CRL_get_REVOKED(x)), N);
	assert_int_equal(X509_CRL_verify(x, key_evp(root.key)), 1);
	X509_CRL_free(x);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(reasons_have_the_words_of_rfc_5280),
	    cmocka_unit_test(entries_are_packed_and_unpacked),
	    cmocka_unit_test(packed_entries_out_of_bounds_are_refused),
	    cmocka_unit_test(shards_split_in_two_when_their_number_doubles),
	    cmocka_unit_test(full_list_reads_back_in_our_eyes),
	    cmocka_unit_test(full_list_reads_back_in_openssls_eyes),
	    cmocka_unit_test(list_of_nobody_has_no_entries_and_deltas_say_so),
	    cmocka_unit_test(every_algorithm_signs_lists_and_dates_past_2050_fit),
	    cmocka_unit_test(openssl_finds_a_leaf_revoked_by_the_list_of_its_shard),
	    cmocka_unit_test(openssl_takes_no_list_of_another_shard),
	    cmocka_unit_test(openssl_follows_deltas_to_revocation_and_release),
	    cmocka_unit_test(fields_that_contradict_each_other_are_refused),
	    cmocka_unit_test(list_that_does_not_fit_its_buffer_leaves_nothing),
	    cmocka_unit_test(issuer_that_may_not_sign_lists_is_refused),
	    cmocka_unit_test(list_of_another_issuer_key_shard_or_time_does_not_fit),
	    cmocka_unit_test(no_flipped_bit_of_a_list_verifies),
	    cmocka_unit_test(
		lists_of_openssl_are_read_and_what_we_cannot_honour_is_refused),
	    cmocka_unit_test(hundred_thousand_entries_are_built_and_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
