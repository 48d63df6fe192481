/*
 * Private keys: the struct, and PEM in and out. Making is key_maker.c, signing
 * key_signer.c; key_place.c finds a key by URI.
 */
#include "crypto/key_impl.h"

#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/ossl.h"
#include "crypto/pubkey.h"

static const struct key_row algs[KEY_ALG_N] = {
    [KEY_P256] = {"p256", SPKI_EC_P256, 256, KEY_SHA256, "P-256",
	SPAN_LIT("\x2a\x86\x48\xce\x3d\x03\x01\x07")},
    [KEY_P384] = {"p384", SPKI_EC_P384, 384, KEY_SHA384, "P-384",
	SPAN_LIT("\x2b\x81\x04\x00\x22")},
    [KEY_RSA2048] = {"rsa2048", SPKI_RSA, 2048, KEY_SHA256},
    [KEY_RSA3072] = {"rsa3072", SPKI_RSA, 3072, KEY_SHA256},
    [KEY_RSA4096] = {"rsa4096", SPKI_RSA, 4096, KEY_SHA256},
};

const struct key_row *
key_row(enum key_alg alg)
{
	return &algs[alg];
}

const char *
key_alg_name(enum key_alg alg)
{
	return algs[alg].name;
}

int
key_alg_parse(struct span name, enum key_alg *ret, struct err *e)
{
	for (int i = 0; i < KEY_ALG_N; i++) {
		if (!span_eq_str(name, algs[i].name))
			continue;
		*ret = (enum key_alg)i;
		return 0;
	}
	return err_set(e, ERR_PARSE,
	    "key algorithm '%.*s': not p256, p384, rsa2048, rsa3072 or rsa4096",
	    SPAN_FMT(name));
}

enum key_hash
key_alg_hash(enum key_alg alg)
{
	return algs[alg].hash;
}

static const char *const custodies[KEY_CUSTODY_N] = {
    [KEY_CUSTODY_FILE] = "file",
    [KEY_CUSTODY_PKCS11] = "pkcs11",
    [KEY_CUSTODY_TPM2] = "tpm2",
};

const char *
key_custody_name(enum key_custody c)
{
	return custodies[c];
}

int
key_custody_parse(struct span name, enum key_custody *ret, struct err *e)
{
	for (int i = 0; i < KEY_CUSTODY_N; i++) {
		if (!span_eq_str(name, custodies[i]))
			continue;
		*ret = (enum key_custody)i;
		return 0;
	}
	return err_set(e, ERR_PARSE, "key custody '%.*s': not file, pkcs11 or tpm2",
	    SPAN_FMT(span_head(name, 20)));
}

/* --- the struct --- */

/* AlgorithmIdentifier of an EC key (RFC 5480 2.1.1). */
void
key_put_ec_alg(struct buf *b, const struct key_row *row)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, KEY_OID_EC);
	der_put_oid(b, row->curve);
	der_end(b, seq);
}

void
key_put_ec_spki(struct buf *b, const struct key_row *row, struct span point)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	key_put_ec_alg(b, row);
	der_put_bits(b, point, 0);
	der_end(b, seq);
}

/* RSAPublicKey inside SubjectPublicKeyInfo (RFC 3279 2.3.1). */
void
key_put_rsa_spki(struct buf *b, struct span modulus, struct span exponent)
{
	size_t seq = der_begin(b, DER_SEQUENCE), alg = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, KEY_OID_RSA);
	der_put_null(b);
	der_end(b, alg);
	auto_buf key = BUF_INIT(SPKI_MAX);
	size_t inner = der_begin(&key, DER_SEQUENCE);
	der_put_unsigned(&key, modulus);
	der_put_unsigned(&key, exponent);
	der_end(&key, inner);
	der_put_bits(b, buf_span(&key), 0);
	der_end(b, seq);
}

int
key_ec_point(EVP_PKEY *p, uint8_t out[KEY_POINT_MAX], size_t *ret_len, struct err *e)
{
	if (EVP_PKEY_get_octet_string_param(
		p, OSSL_PKEY_PARAM_PUB_KEY, out, KEY_POINT_MAX, ret_len) != 1)
		return ossl_error(e, ERR_CRYPTO, "public key");
	return 0;
}

static int
put_any_spki(struct buf *b, EVP_PKEY *p, struct err *e)
{
	uint8_t *der = NULL;
	int len = i2d_PUBKEY(p, &der);
	if (len <= 0)
		return ossl_error(e, ERR_CRYPTO, "public key");
	buf_put(b, der, (size_t)len);
	OPENSSL_free(der);
	return 0;
}

int
key_alg_of(const struct spki *k, enum key_alg *ret)
{
	for (int i = 0; i < KEY_ALG_N; i++) {
		if (algs[i].kind != k->kind || algs[i].bits != k->bits)
			continue;
		*ret = (enum key_alg)i;
		return 0;
	}
	return -1;
}

/* Wraps pkey, whose SPKI is already in *spki; both are taken over on success. */
struct key *
key_wrap(EVP_PKEY **pkey, struct buf *spki, enum key_alg alg)
{
	struct key *k = own_alloc(sizeof(*k));
	atomic_init(&k->refs, 1);
	k->alg = alg;
	k->custody = KEY_CUSTODY_FILE;
	k->exportable = true;
	k->pkey = TAKE(*pkey);
	k->spki = *spki;
	*spki = BUF_INIT(0);
	digest_sha256(buf_span(&k->spki), k->sha256);
	return k;
}

/* Wraps a key that came from outside: its SPKI must read as one of ours. */
static struct key *
wrap_foreign(EVP_PKEY **pkey, const char *what, struct err *e)
{
	auto_buf spki = BUF_INIT(SPKI_MAX);
	struct spki shape;
	enum key_alg alg;
	if (EVP_PKEY_is_a(*pkey, "EC") &&
	    EVP_PKEY_set_utf8_string_param(
		*pkey, OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "uncompressed") != 1) {
		ossl_error(e, ERR_UNSUPPORTED, "%s: public key", what);
		return NULL;
	}
	if (put_any_spki(&spki, *pkey, e) < 0 || buf_check(&spki, "public key", e) < 0 ||
	    pubkey_parse(buf_span(&spki), &shape, e) < 0) {
		err_wrap(e, "%s", what);
		return NULL;
	}
	if (key_alg_of(&shape, &alg) < 0) {
		err_set(e, ERR_UNSUPPORTED,
		    "%s: RSA key of %d bits: not 2048, 3072 or 4096", what, shape.bits);
		return NULL;
	}
	return key_wrap(pkey, &spki, alg);
}

struct key *
key_ref(struct key *k)
{
	atomic_fetch_add_explicit(&k->refs, 1, memory_order_relaxed);
	return k;
}

void
key_free(struct key *k)
{
	if (!k || atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) != 1)
		return;
	EVP_PKEY_free(k->pkey);
	key_held_free(k->held);
	buf_done(&k->spki);
	free(k);
}

enum key_alg
key_algorithm(const struct key *k)
{
	return k->alg;
}

enum key_custody
key_custody(const struct key *k)
{
	return k->custody;
}

bool
key_is_exportable(const struct key *k)
{
	return k->exportable;
}

struct span
key_spki(const struct key *k)
{
	return buf_span(&k->spki);
}

const uint8_t *
key_fingerprint(const struct key *k)
{
	return k->sha256;
}

bool
key_is_spki(const struct key *k, struct span spki)
{
	return span_eq(buf_span(&k->spki), spki);
}

EVP_PKEY *
key_evp(const struct key *k)
{
	return k->pkey;
}

/* --- one-shot doors to key_maker and key_signer --- */

struct key *
key_generate(enum key_alg alg, struct err *e)
{
	auto_(key_maker_free) struct key_maker *m = key_maker_new(alg, e);
	return m ? key_maker_make(m, e) : NULL;
}

int
key_sign(const struct key *k, struct span msg, uint8_t sig[KEY_SIG_MAX], size_t *ret_len,
    struct err *e)
{
	auto_(key_signer_free) struct key_signer *s = key_signer_new((struct key *)k, e);
	return s ? key_signer_sign(s, msg, sig, ret_len, e) : -1;
}

/* --- reading --- */

struct asking {
	key_passphrase ask;
	void *arg;
	const char *what;
	bool asked, refused;
};

/* OpenSSL's PEM callback. Always installed: its default would prompt on the terminal. */
static int
on_passphrase(char *buf, int size, int rwflag, void *arg)
{
	struct asking *a = arg;
	a->asked = true;
	int n = a->ask ? a->ask(a->arg, a->what, buf, (size_t)size) : -1;
	a->refused = n < 0;
	return n;
}

struct key *
key_parse(struct span pem, key_passphrase ask, void *arg, const char *what, struct err *e)
{
	if (pem.len > KEY_PEM_MAX) {
		err_set(e, ERR_LIMIT, "%s: larger than %d bytes", what, KEY_PEM_MAX);
		return NULL;
	}
	struct asking a = {.ask = ask, .arg = arg, .what = what};
	auto_(BIO_free_all) BIO *in =
	    BIO_new_mem_buf(pem.p ? pem.p : (const uint8_t *)"", (int)pem.len);
	auto_(EVP_PKEY_free) EVP_PKEY *p =
	    in ? PEM_read_bio_PrivateKey(in, NULL, on_passphrase, &a) : NULL;
	if (p)
		return wrap_foreign(&p, what, e);
	ERR_clear_error();
	if (a.refused)
		err_set(e, ERR_DENIED,
		    "%s: the key is encrypted and no passphrase was given", what);
	else if (a.asked)
		err_set(
		    e, ERR_DENIED, "%s: wrong passphrase, or the key is damaged", what);
	else
		err_set(e, ERR_PARSE, "%s: holds no private key in PEM", what);
	return NULL;
}

/* --- writing --- */

/* ECPrivateKey (RFC 5915 3) without parameters: they stand in PKCS#8's algorithm. */
static void
put_ec_private(struct buf *b, struct span d, struct span point)
{
	size_t seq = der_begin(b, DER_SEQUENCE);
	der_put_int(b, 1);
	der_put(b, DER_OCTET_STRING, d);
	size_t pub = der_begin(b, DER_EXPLICIT(1));
	der_put_bits(b, point, 0);
	der_end(b, pub);
	der_end(b, seq);
}

/* PrivateKeyInfo (RFC 5208 5) of an EC key, 20 times faster than PEM_write_bio_PKCS8. */
int
key_write_ec(const struct key_row *row, struct span d, struct span point, struct buf *out,
    struct err *e)
{
	auto_buf der = BUF_INIT(512);
	der.secret = true;
	size_t seq = der_begin(&der, DER_SEQUENCE);
	der_put_int(&der, 0);
	key_put_ec_alg(&der, row);
	size_t octets = der_begin(&der, DER_OCTET_STRING);
	put_ec_private(&der, d, point);
	der_end(&der, octets);
	der_end(&der, seq);
	if (buf_check(&der, "private key", e) < 0)
		return -1;
	pem_write(out, "PRIVATE KEY", buf_span(&der));
	return buf_check(out, "private key PEM", e);
}

static int
write_ec(const struct key *k, struct buf *out, struct err *e)
{
	const struct key_row *row = &algs[k->alg];
	uint8_t d[KEY_SCALAR_MAX];
	size_t len = KEY_SCALAR_LEN(row);
	struct spki shape;
	auto_(BN_clear_free) BIGNUM *bn = NULL;
	if (EVP_PKEY_get_bn_param(k->pkey, OSSL_PKEY_PARAM_PRIV_KEY, &bn) != 1 ||
	    BN_bn2binpad(bn, d, (int)len) < 0)
		return ossl_error(
		    e, ERR_UNSUPPORTED, "the private key cannot be exported");
	/* OpenSSL asked for the point again would cost 6 us */
	int rc = spki_parse(buf_span(&k->spki), &shape, e);
	if (rc == 0)
		rc = key_write_ec(row, span_of(d, len), shape.point, out, e);
	own_wipe(d, sizeof(d));
	return rc;
}

static int
put_secret_bio(struct buf *out, BIO *b, struct err *e)
{
	char *p = NULL;
	long n = BIO_get_mem_data(b, &p);
	if (n <= 0)
		return ossl_error(e, ERR_CRYPTO, "private key PEM");
	buf_put(out, p, (size_t)n);
	own_wipe(p, (size_t)n);
	return buf_check(out, "private key PEM", e);
}

static int
check_in_memory(const struct key *k, struct err *e)
{
	return k->held
		   ? err_set(e, ERR_UNSUPPORTED,
			 "the private key stays where it is (%s) and cannot be written",
			 key_custody_name(k->custody))
		   : 0;
}

int
key_write(const struct key *k, struct buf *out, struct err *e)
{
	if (check_in_memory(k, e))
		return -1;
	if (algs[k->alg].kind != SPKI_RSA)
		return write_ec(k, out, e);
	auto_(BIO_free_all) BIO *b = BIO_new(BIO_s_secmem());
	if (!b ||
	    PEM_write_bio_PKCS8PrivateKey(b, k->pkey, NULL, NULL, 0, NULL, NULL) != 1)
		return ossl_error(
		    e, ERR_UNSUPPORTED, "the private key cannot be exported");
	return put_secret_bio(out, b, e);
}

int
key_write_encrypted(
    const struct key *k, struct span passphrase, struct buf *out, struct err *e)
{
	if (check_in_memory(k, e))
		return -1;
	if (passphrase.len < KEY_PASSPHRASE_MIN || passphrase.len > 1024)
		return err_set(e, ERR_USAGE,
		    "a key's passphrase needs %d to 1024 characters", KEY_PASSPHRASE_MIN);
	auto_(PKCS8_PRIV_KEY_INFO_free) PKCS8_PRIV_KEY_INFO *plain =
	    EVP_PKEY2PKCS8(k->pkey);
	/* salt and IV: NULL lets OpenSSL draw them */
	auto_(X509_ALGOR_free) X509_ALGOR *pbe = PKCS5_pbe2_set_iv(
	    EVP_aes_256_cbc(), KEY_PBKDF2_ROUNDS, NULL, 16, NULL, NID_hmacWithSHA256);
	auto_(BIO_free_all) BIO *b = BIO_new(BIO_s_mem());
	if (!plain || !pbe || !b)
		return ossl_error(
		    e, ERR_UNSUPPORTED, "the private key cannot be exported");
	auto_(X509_SIG_free) X509_SIG *sealed =
	    PKCS8_set0_pbe((const char *)passphrase.p, (int)passphrase.len, plain, pbe);
	if (!sealed)
		return ossl_error(e, ERR_CRYPTO, "encrypting the private key");
	pbe = NULL; /* sealed owns it now */
	if (PEM_write_bio_PKCS8(b, sealed) != 1)
		return ossl_error(e, ERR_CRYPTO, "encrypting the private key");
	ossl_put_bio(out, b);
	return buf_check(out, "private key PEM", e);
}
