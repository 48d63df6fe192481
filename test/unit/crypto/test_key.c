/*
 * Digests, shared access keys, private keys, public key policy, names, requests.
 */
#include "../test.h"

#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/hex.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "codec/sas.h"
#include "codec/spki.h"
#include "crypto/csr.h"
#include "crypto/sas_key.h"

/* --- digests --- */

static void
digests_give_the_published_vectors(void **state)
{
	uint8_t out[32];
	char text[65];
	digest_sha256(SPAN_LIT("abc"), out); /* FIPS 180-4 */
	hex_write(span_of(out, 32), text);
	assert_string_equal(
	    text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	const struct span parts[] = {SPAN_LIT("a"), SPAN_NONE, SPAN_LIT("bc")};
	uint8_t again[32];
	digest_sha256v(parts, 3, again);
	assert_memory_equal(out, again, 32);
	digest_sha1(SPAN_LIT("abc"), out);
	hex_write(span_of(out, 20), text);
	assert_string_equal(text, "a9993e364706816aba3e25717850c26c9cd0d89d");
	digest_hmac_sha256(SPAN_LIT("Jefe"), SPAN_LIT("what do ya want for nothing?"),
	    out); /* RFC 4231 4.3 */
	hex_write(span_of(out, 32), text);
	assert_string_equal(
	    text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* --- shared access keys --- */

#define GROUP_KEY                                                                        \
	"8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/"                                          \
	"lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqO"                                   \
	"S9Egw=="

static void
sas_key_derives_the_documented_device_key(void **state)
{
	struct err e = {0};
	auto_buf key = BUF_INIT(SAS_KEY_MAX), text = BUF_INIT(64);
	uint8_t device[SAS_KEY_DERIVED];
	assert_ok(sas_key_parse(SPAN_LIT(GROUP_KEY), &key, &e), &e);
	sas_key_derive(
	    buf_span(&key), SPAN_LIT("sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"), device);
	base64_put(&text, span_of(device, sizeof(device)));
	assert_string_equal(
	    buf_text(&text), "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=");
}

static void
sas_key_refuses_short_long_and_foreign_text_without_repeating_it(void **state)
{
	static const char *const bad[] = {
	    "", "c2VjcmV0", "!!!!", "c2VjcmV0c2VjcmV0c2VjcmV0=", GROUP_KEY "AAAA"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		auto_buf key = BUF_INIT(SAS_KEY_MAX);
		assert_fails(sas_key_parse(span_str(bad[i]), &key, &e), &e, PARSE);
		assert_null(bad[i][0] ? strstr(e.text, bad[i]) : NULL);
	}
}

static void
sas_key_verifies_what_it_signs_with_primary_then_secondary(void **state)
{
	struct err e = {0};
	uint8_t a[SAS_KEY_MAX], b[SAS_KEY_MAX];
	sas_key_generate(a);
	sas_key_generate(b);
	assert_memory_not_equal(a, b, sizeof(a));
	struct span ka = span_of(a, sizeof(a)), kb = span_of(b, sizeof(b));
	auto_buf text = BUF_INIT(SAS_KEY_TOKEN_MAX);
	struct sas t;
	assert_ok(sas_key_sign(SPAN_LIT("hub.example.net/devices/dev 1"), ka, 1795300000,
		      "device", &text, &e),
	    &e);
	assert_ok(sas_parse(buf_span(&text), &t, &e), &e);
	assert_string_equal(t.resource, "hub.example.net/devices/dev 1");
	assert_string_equal(t.policy, "device");
	assert_int_equal(t.se_s, 1795300000);
	assert_int_equal(sas_key_verify(&t, ka, kb), SAS_KEY_PRIMARY);
	assert_int_equal(sas_key_verify(&t, kb, ka), SAS_KEY_SECONDARY);
	assert_int_equal(sas_key_verify(&t, SPAN_NONE, ka), SAS_KEY_SECONDARY);
	assert_int_equal(sas_key_verify(&t, kb, SPAN_NONE), SAS_KEY_NONE);
	t.sig[31] ^= 1;
	assert_int_equal(sas_key_verify(&t, ka, kb), SAS_KEY_NONE);
}

static void
sas_key_never_matches_an_absent_key(void **state)
{
	/* a token signed with the empty key must not open an identity without keys */
	uint8_t mac[32];
	digest_hmac_sha256(SPAN_NONE, SPAN_LIT("host%2Fdevices%2Fd\n9999999999"), mac);
	auto_buf text = BUF_INIT(SAS_KEY_TOKEN_MAX);
	sas_write(&text, SPAN_LIT("host%2Fdevices%2Fd"), mac, 9999999999, SPAN_NONE);
	struct sas t;
	struct err e = {0};
	assert_ok(sas_parse(buf_span(&text), &t, &e), &e);
	assert_int_equal(sas_key_verify(&t, SPAN_NONE, SPAN_LIT("")), SAS_KEY_NONE);
}

/* --- private keys --- */

static int
say(void *arg, const char *what, char *buf, size_t size)
{
	if (!arg)
		return -1;
	return snprintf(buf, size, "%s", (const char *)arg);
}

static void
key_of_every_algorithm_writes_reads_signs_and_verifies(void **state)
{
	for (int alg = 0; alg < KEY_RSA3072; alg++) {
		struct err e = {0};
		auto_(key_free) struct key *k = key_generate((enum key_alg)alg, &e);
		assert_non_null(k);
		auto_buf pem = BUF_INIT(KEY_PEM_MAX);
		assert_ok(key_write(k, &pem, &e), &e);
		auto_(key_free) struct key *again =
		    key_parse(buf_span(&pem), NULL, NULL, "k", &e);
		if (!again)
			fail_msg("%s", e.text);
		assert_int_equal(key_algorithm(again), alg);
		assert_true(key_is_spki(again, key_spki(k)));
		assert_memory_equal(key_fingerprint(again), key_fingerprint(k), 32);
		uint8_t sig[KEY_SIG_MAX];
		size_t len;
		assert_ok(key_sign(again, SPAN_LIT("hello"), sig, &len, &e), &e);
		enum key_hash h = key_alg_hash((enum key_alg)alg);
		assert_ok(
		    key_verify(key_spki(k), h, SPAN_LIT("hello"), span_of(sig, len), &e),
		    &e);
		assert_fails(
		    key_verify(key_spki(k), h, SPAN_LIT("hullo"), span_of(sig, len), &e),
		    &e, CRYPTO);
	}
}

static void
key_rsa_generation_makes_keys_openssl_finds_consistent(void **state)
{
	struct err e = {0};
	auto_(key_free) struct key *k = key_generate(KEY_RSA2048, &e);
	assert_non_null(k);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(k), NULL);
	assert_int_equal(EVP_PKEY_check(c), 1);
	EVP_PKEY_CTX_free(c);
	assert_int_equal(EVP_PKEY_get_bits(key_evp(k)), 2048);
	/* our own SPKI is OpenSSL's */
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(key_evp(k), &der);
	assert_true(span_eq(span_of(der, (size_t)n), key_spki(k)));
	OPENSSL_free(der);
}

static void
key_maker_makes_distinct_keys_that_openssl_checks(void **state)
{
	struct err e = {0};
	auto_(key_maker_free) struct key_maker *m = key_maker_new(KEY_P256, &e);
	uint8_t last[32] = {0};
	for (int i = 0; i < 20; i++) {
		auto_(key_free) struct key *k = key_maker_make(m, &e);
		assert_memory_not_equal(key_fingerprint(k), last, 32);
		memcpy(last, key_fingerprint(k), 32);
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(k), NULL);
		assert_int_equal(EVP_PKEY_check(c), 1);
		EVP_PKEY_CTX_free(c);
	}
}

static void
key_maker_writes_pairs_that_openssl_reads_and_checks(void **state)
{
	static const enum key_alg algs[] = {KEY_P256, KEY_P256, KEY_P384, KEY_RSA2048};
	struct span last = SPAN_NONE;
	uint8_t last_spki[SPKI_MAX];
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		struct err e = {0};
		auto_(key_maker_free) struct key_maker *m = key_maker_new(algs[i], &e);
		auto_buf spki = BUF_INIT(SPKI_MAX), pem = BUF_INIT(KEY_PEM_MAX);
		pem.secret = true;
		assert_ok(key_maker_write(m, &spki, &pem, &e), &e);
		auto_(key_free) struct key *k =
		    key_parse(buf_span(&pem), NULL, NULL, "pair", &e);
		assert_non_null(k);
		assert_int_equal(key_algorithm(k), algs[i]);
		assert_true(key_is_spki(k, buf_span(&spki)));
		assert_false(span_eq(buf_span(&spki), last));
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key_evp(k), NULL);
		assert_int_equal(EVP_PKEY_check(c), 1);
		EVP_PKEY_CTX_free(c);
		memcpy(last_spki, spki.p, spki.len);
		last = span_of(last_spki, spki.len);
	}
}

static void
key_encrypted_needs_its_passphrase(void **state)
{
	static char right[] = "correct horse", wrong[] = "wrong horse";
	struct err e = {0};
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	assert_fails(key_write_encrypted(k, SPAN_LIT("short"), &pem, &e), &e, USAGE);
	assert_ok(key_write_encrypted(k, SPAN_LIT("correct horse"), &pem, &e), &e);
	assert_non_null(strstr(buf_text(&pem), "BEGIN ENCRYPTED PRIVATE KEY"));
	struct span text = buf_span(&pem);
	assert_null(key_parse(text, NULL, NULL, "root.key", &e));
	assert_int_equal(e.code, ERR_DENIED);
	assert_null(key_parse(text, say, NULL, "root.key", &e));
	assert_int_equal(e.code, ERR_DENIED);
	assert_null(key_parse(text, say, wrong, "root.key", &e));
	assert_int_equal(e.code, ERR_DENIED);
	assert_null(strstr(e.text, "horse"));
	auto_(key_free) struct key *again = key_parse(text, say, right, "root.key", &e);
	assert_non_null(again);
	assert_true(key_is_spki(again, key_spki(k)));
}

static struct key *
parse_openssl_key(EVP_PKEY *p, struct err *e)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *text;
	assert_int_equal(
	    PEM_write_bio_PrivateKey_traditional(b, p, NULL, NULL, 0, NULL, NULL), 1);
	long n = BIO_get_mem_data(b, &text);
	struct key *k = key_parse(span_of(text, (size_t)n), NULL, NULL, "k", e);
	BIO_free(b);
	EVP_PKEY_free(p);
	return k;
}

static void
key_parse_takes_sec1_and_pkcs1_and_refuses_other_kinds(void **state)
{
	struct err e = {0};
	auto_(key_free) struct key *ec =
	    parse_openssl_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-384"), &e);
	assert_int_equal(key_algorithm(ec), KEY_P384);
	auto_(key_free) struct key *rsa =
	    parse_openssl_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048), &e);
	assert_int_equal(key_algorithm(rsa), KEY_RSA2048);
	assert_null(
	    parse_openssl_key(EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024), &e));
	assert_int_equal(e.code, ERR_PARSE);
	assert_null(parse_openssl_key(EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521"), &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_null(key_parse(SPAN_LIT("no key"), NULL, NULL, "k", &e));
	assert_int_equal(e.code, ERR_PARSE);
	assert_null(key_parse(SPAN_NONE, NULL, NULL, "k", &e));
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void
key_open_refuses_files_others_can_reach_and_unknown_schemes(void **state)
{
	struct err e = {0};
	char dir[] = "/tmp/muster-key-XXXXXX", path[64], uri[80];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/dev.key", dir);
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	assert_ok(key_write(k, &pem, &e), &e);
	static const char *const prefixes[] = {"", "file:", "file://", "FILE:"};
	write_file(path, buf_text(&pem), 0600);
	for (size_t i = 0; i < 4; i++) {
		snprintf(uri, sizeof(uri), "%s%s", prefixes[i], path);
		auto_(key_free) struct key *again = key_open(uri, NULL, NULL, &e);
		if (!again)
			fail_msg("%s", e.text);
		assert_true(key_is_spki(again, key_spki(k)));
	}
	static const mode_t open_modes[] = {0640, 0604, 0660, 0601};
	for (size_t i = 0; i < 4; i++) {
		write_file(path, buf_text(&pem), open_modes[i]);
		assert_null(key_open(path, NULL, NULL, &e));
		assert_int_equal(e.code, ERR_PERM);
		assert_non_null(strstr(e.text, "chmod 600"));
	}
	unlink(path);
	assert_null(key_open(path, NULL, NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_null(key_open(path, NULL, NULL, &e));
	assert_int_equal(e.code, ERR_PERM);
	unlink(path);
	rmdir(dir);
	assert_null(key_open("https://vault/key", NULL, NULL, &e));
	assert_int_equal(e.code, ERR_UNSUPPORTED);
	assert_non_null(strstr(e.text, "pkcs11:"));
}

/* --- public key policy --- */

static void
put_rsa_spki(struct buf *b, const BIGNUM *n, uint64_t exponent)
{
	uint8_t bytes[1024];
	int len = BN_bn2bin(n, bytes);
	auto_buf inner = BUF_INIT(2048);
	size_t seq = der_begin(&inner, DER_SEQUENCE);
	der_put_unsigned(&inner, span_of(bytes, (size_t)len));
	der_put_int(&inner, (int64_t)exponent);
	der_end(&inner, seq);
	size_t outer = der_begin(b, DER_SEQUENCE), alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01"));
	der_put_null(b);
	der_end(b, alg);
	der_put_bits(b, buf_span(&inner), 0);
	der_end(b, outer);
}

static void
assert_rsa(const BIGNUM *n, uint64_t exponent, enum err_code want)
{
	struct err e = {0};
	struct spki k;
	auto_buf der = BUF_INIT(4096);
	put_rsa_spki(&der, n, exponent);
	int got = pubkey_parse(buf_span(&der), &k, &e);
	if ((got < 0 ? e.code : ERR_OK) != want)
		fail_msg("%s, wanted %s", got < 0 ? e.text : "ok", err_row(want)->name);
}

/* k * M + 65537^a mod M, as Infineon's library made its primes (Nemec and others, 2017).
 */
static BIGNUM *
roca_prime(int bits, BN_CTX *c)
{
	BIGNUM *m = BN_new(), *g = BN_new(), *a = BN_new(), *p = BN_new(), *k = BN_new();
	BN_one(m);
	for (unsigned q = 2; q <= 167; q++) {
		bool prime = true;
		for (unsigned d = 2; d * d <= q; d++)
			prime = prime && q % d;
		if (prime)
			BN_mul_word(m, q);
	}
	BN_set_word(g, 65537);
	do {
		BN_rand(a, 64, -1, 0);
		BN_mod_exp(p, g, a, m, c);
		BN_rand(k, bits, BN_RAND_TOP_TWO, 0);
		BN_div(k, NULL, k, m, c);
		BN_mul(k, k, m, c);
		BN_add(p, p, k);
	} while (BN_check_prime(p, c, NULL) != 1 || BN_num_bits(p) != bits);
	BN_free(m);
	BN_free(g);
	BN_free(a);
	BN_free(k);
	return p;
}

static void
pubkey_refuses_weak_rsa(void **state)
{
	BN_CTX *c = BN_CTX_new();
	BIGNUM *n = NULL;
	EVP_PKEY *good = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	assert_int_equal(EVP_PKEY_get_bn_param(good, "n", &n), 1);
	assert_rsa(n, 65537, ERR_OK);
	assert_rsa(n, 3, ERR_PARSE);
	assert_rsa(n, 65538, ERR_PARSE);
	BN_free(n);
	EVP_PKEY_free(good);

	BIGNUM *p = roca_prime(1024, c), *q = roca_prime(1024, c);
	n = BN_new();
	BN_mul(n, p, q, c);
	assert_rsa(n, 65537, ERR_CRYPTO);
	BN_free(p);
	BN_free(q);

	static const struct {
		int bits;
		enum err_code want;
	} sizes[] = {{1024, ERR_PARSE}, {2047, ERR_PARSE}, {2052, ERR_UNSUPPORTED},
	    {4104, ERR_UNSUPPORTED}};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		BN_rand(n, sizes[i].bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
		assert_rsa(n, 65537, sizes[i].want);
	}
	do { /* 2048 bits with a small factor */
		BN_rand(n, 2041, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD);
		BN_mul_word(n, 167);
	} while (BN_num_bits(n) != 2048);
	assert_rsa(n, 65537, ERR_CRYPTO);
	BN_free(n);
	BN_CTX_free(c);
}

/* --- names --- */

/* A Name of one attribute of that string type. */
static void
put_name(struct buf *b, uint8_t tag, struct span value, int times)
{
	size_t name = der_begin(b, DER_SEQUENCE);
	for (int i = 0; i < times; i++) {
		size_t set = der_begin(b, DER_SET), seq = der_begin(b, DER_SEQUENCE);
		der_put_oid(b, SPAN_LIT("\x55\x04\x03"));
		der_put(b, tag, value);
		der_end(b, seq);
		der_end(b, set);
	}
	der_end(b, name);
}

static int
cn_of(uint8_t tag, struct span value, int times, char out[NAME_CN_SIZE])
{
	auto_buf b = BUF_INIT(NAME_DER_MAX);
	put_name(&b, tag, value, times);
	return name_cn(buf_span(&b), out, NULL);
}

static void
name_cn_takes_exactly_one_clean_text(void **state)
{
	char cn[NAME_CN_SIZE], long_cn[66];
	memset(long_cn, 'x', sizeof(long_cn));
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("d\xc3\xa4v"), 1, cn), 0);
	assert_string_equal(cn, "d\xc3\xa4v");
	assert_int_equal(cn_of(DER_PRINTABLE_STRING, SPAN_LIT("dev-1"), 1, cn), 0);
	assert_int_equal(cn_of(DER_UTF8_STRING, span_of(long_cn, 64), 1, cn), 0);
	assert_int_equal(cn_of(DER_UTF8_STRING, span_of(long_cn, 65), 1, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("dev-1"), 2, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("dev-1"), 0, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT(""), 1, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("dev\0evil"), 1, cn), -1);
	assert_int_equal(cn_of(DER_IA5_STRING, SPAN_LIT("dev\0evil"), 1, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("dev\nevil"), 1, cn), -1);
	assert_int_equal(cn_of(DER_UTF8_STRING, SPAN_LIT("\xff\xfe"), 1, cn), -1);
	assert_int_equal(cn_of(DER_PRINTABLE_STRING, SPAN_LIT("a@b"), 1, cn), -1);
	assert_int_equal(cn_of(0x1e, SPAN_LIT("\0d\0e"), 1, cn), -1); /* BMPString */
}

static void
name_text_is_rfc4514_with_the_last_rdn_first(void **state)
{
	struct err e = {0};
	auto_buf der = BUF_INIT(NAME_DER_MAX), text = BUF_INIT(NAME_TEXT_MAX);
	assert_ok(name_write("device-01,OU=eng", "A+B \"C\"; <D>", &der, &e), &e);
	name_text(buf_span(&der), &text);
	assert_string_equal(
	    buf_text(&text), "CN=device-01\\,OU=eng, O=A\\+B \\\"C\\\"\\; \\<D\\>");
	buf_reset(&text);
	name_text(SPAN_LIT("\x30\x01"), &text);
	assert_string_equal(buf_text(&text), "(malformed name)");
}

/* --- requests --- */

static void
csr_round_trips_through_openssl_and_ours(void **state)
{
	for (int alg = 0; alg <= KEY_RSA2048; alg++) {
		struct err e = {0};
		auto_(key_free) struct key *k = key_generate((enum key_alg)alg, &e);
		auto_buf der = BUF_INIT(CSR_MAX), pem = BUF_INIT(CSR_MAX);
		assert_ok(csr_write(k, "dev-17", "Example", &der, &e), &e);
		const unsigned char *at = der.p;
		X509_REQ *req = d2i_X509_REQ(NULL, &at, (long)der.len);
		assert_non_null(req);
		assert_int_equal(X509_REQ_verify(req, X509_REQ_get0_pubkey(req)), 1);
		X509_REQ_free(req);
		struct csr c;
		assert_ok(csr_parse(buf_span(&der), &c, &e), &e);
		assert_string_equal(c.cn, "dev-17");
		assert_true(span_eq(c.spki, key_spki(k)));
		assert_memory_equal(c.key_sha256, key_fingerprint(k), 32);
		assert_string_equal(c.ignored, "");
		assert_null(c.challenge.p);
		csr_done(&c);
		assert_ok(csr_write_pem(k, "dev-17", NULL, &pem, &e), &e);
		assert_ok(csr_parse(buf_span(&pem), &c, &e), &e);
		csr_done(&c);
	}
}

/* RFC 7030 3.5 and 4.2.2: what a renewal with a linked request sends. */
static void
csr_for_a_name_carries_the_challenge(void **state)
{
	struct err e = {0};
	struct csr c;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf name = BUF_INIT(NAME_DER_MAX), der = BUF_INIT(CSR_MAX);
	assert_ok(name_write("dev-17", "Example", &name, &e), &e);
	assert_ok(csr_write_name(k, buf_span(&name), SPAN_LIT("c2VjcmV0"), &der, &e), &e);
	assert_ok(csr_parse(buf_span(&der), &c, &e), &e);
	assert_true(span_eq(c.subject, buf_span(&name)));
	assert_true(span_eq_str(c.challenge, "c2VjcmV0"));
	assert_null(c.san.p);
	const unsigned char *at = der.p;
	X509_REQ *req = d2i_X509_REQ(NULL, &at, (long)der.len);
	assert_int_equal(
	    X509_REQ_get_attr_by_NID(req, NID_pkcs9_challengePassword, -1), 0);
	X509_REQ_free(req);
	csr_done(&c);
}

static void
csr_signed_by_another_key_is_refused(void **state)
{
	struct err e = {0};
	struct csr c;
	auto_(key_free) struct key *a = key_generate(KEY_P256, &e);
	auto_(key_free) struct key *b = key_generate(KEY_P256, &e);
	auto_buf der = BUF_INIT(CSR_MAX);
	assert_ok(csr_write(a, "dev-17", NULL, &der, &e), &e);
	/* the same request, claiming b's key */
	struct span mine = key_spki(a), other = key_spki(b);
	uint8_t *at = memmem(der.p, der.len, mine.p, mine.len);
	assert_non_null(at);
	memcpy(at, other.p, other.len);
	assert_fails(csr_parse(buf_span(&der), &c, &e), &e, CRYPTO);
	assert_string_equal(e.text, "CSR signature does not match its key");
}

/* OpenSSL's request with extensions and a challengePassword. */
static void
put_greedy_csr(struct buf *out, EVP_PKEY *k, const char *hash)
{
	X509_REQ *r = X509_REQ_new();
	X509_REQ_set_version(r, 0);
	X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(r), "CN", MBSTRING_UTF8,
	    (const unsigned char *)"dev-17", -1, -1, 0);
	X509_REQ_set_pubkey(r, k);
	static const char *const exts[][2] = {{"basicConstraints", "critical,CA:TRUE"},
	    {"keyUsage", "keyCertSign"}, {"subjectAltName", "DNS:other-device"},
	    {"1.2.3.4", "critical,ASN1:NULL"}};
	STACK_OF(X509_EXTENSION) *sk = NULL;
	for (size_t i = 0; i < sizeof(exts) / sizeof(exts[0]); i++) {
		X509_EXTENSION *x = X509V3_EXT_nconf(NULL, NULL, exts[i][0], exts[i][1]);
		X509v3_add_ext(&sk, x, -1);
		X509_EXTENSION_free(x);
	}
	X509_REQ_add_extensions(r, sk);
	sk_X509_EXTENSION_pop_free(sk, X509_EXTENSION_free);
	X509_REQ_add1_attr_by_NID(r, NID_pkcs9_challengePassword, MBSTRING_ASC,
	    (const unsigned char *)"secret", -1);
	assert_true(X509_REQ_sign(r, k, EVP_get_digestbyname(hash)) > 0);
	unsigned char *der = NULL;
	int n = i2d_X509_REQ(r, &der);
	buf_put(out, der, (size_t)n);
	OPENSSL_free(der);
	X509_REQ_free(r);
}

static void
csr_reports_what_it_ignores(void **state)
{
	struct err e = {0};
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	auto_buf der = BUF_INIT(CSR_MAX);
	put_greedy_csr(&der, k, "SHA512");
	struct csr c;
	assert_ok(csr_parse(buf_span(&der), &c, &e), &e);
	assert_true(span_eq_str(c.challenge, "secret"));
	assert_true(c.san.len > 0);
	assert_true(c.wants_ca);
	assert_string_equal(
	    c.ignored, "basicConstraints, keyUsage, subjectAltName, other");
	csr_done(&c);
	EVP_PKEY_free(k);
}

/* reliability row 16 */
static void
csr_signed_with_md5_or_sha1_is_refused(void **state)
{
	static const char *const hashes[] = {"MD5", "SHA1"};
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	for (size_t i = 0; i < 2; i++) {
		struct err e = {0};
		struct csr c;
		auto_buf der = BUF_INIT(CSR_MAX);
		put_greedy_csr(&der, k, hashes[i]);
		assert_fails(csr_parse(buf_span(&der), &c, &e), &e, UNSUPPORTED);
	}
	EVP_PKEY_free(k);
}

static void
csr_refuses_garbage_trailing_bytes_and_size(void **state)
{
	struct err e = {0};
	struct csr c;
	auto_(key_free) struct key *k = key_generate(KEY_P256, &e);
	auto_buf der = BUF_INIT(2 * CSR_MAX);
	assert_ok(csr_write(k, "dev-17", NULL, &der, &e), &e);
	size_t whole = der.len;
	for (size_t n = 0; n < whole; n++)
		assert_int_equal(csr_parse(span_of(der.p, n), &c, &e), -1);
	buf_u8(&der, 0);
	assert_fails(csr_parse(buf_span(&der), &c, &e), &e, PARSE);
	while (der.len <= CSR_MAX)
		buf_u8(&der, 0);
	assert_fails(csr_parse(buf_span(&der), &c, &e), &e, LIMIT);
	assert_fails(csr_parse(SPAN_LIT("-----BEGIN CERTIFICATE-----\nAAAA\n-----END "
					"CERTIFICATE-----\n"),
			 &c, &e),
	    &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(digests_give_the_published_vectors),
	    cmocka_unit_test(sas_key_derives_the_documented_device_key),
	    cmocka_unit_test(
		sas_key_refuses_short_long_and_foreign_text_without_repeating_it),
	    cmocka_unit_test(sas_key_verifies_what_it_signs_with_primary_then_secondary),
	    cmocka_unit_test(sas_key_never_matches_an_absent_key),
	    cmocka_unit_test(key_of_every_algorithm_writes_reads_signs_and_verifies),
	    cmocka_unit_test(key_rsa_generation_makes_keys_openssl_finds_consistent),
	    cmocka_unit_test(key_maker_makes_distinct_keys_that_openssl_checks),
	    cmocka_unit_test(key_maker_writes_pairs_that_openssl_reads_and_checks),
	    cmocka_unit_test(key_encrypted_needs_its_passphrase),
	    cmocka_unit_test(key_parse_takes_sec1_and_pkcs1_and_refuses_other_kinds),
	    cmocka_unit_test(key_open_refuses_files_others_can_reach_and_unknown_schemes),
	    cmocka_unit_test(pubkey_refuses_weak_rsa),
	    cmocka_unit_test(name_cn_takes_exactly_one_clean_text),
	    cmocka_unit_test(name_text_is_rfc4514_with_the_last_rdn_first),
	    cmocka_unit_test(csr_round_trips_through_openssl_and_ours),
	    cmocka_unit_test(csr_for_a_name_carries_the_challenge),
	    cmocka_unit_test(csr_signed_by_another_key_is_refused),
	    cmocka_unit_test(csr_reports_what_it_ignores),
	    cmocka_unit_test(csr_signed_with_md5_or_sha1_is_refused),
	    cmocka_unit_test(csr_refuses_garbage_trailing_bytes_and_size),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
