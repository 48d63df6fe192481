/*
 * Keys whose private half is not here, as a struct key and as an EVP_PKEY: everything but
 * the one signature stays in OpenSSL's default provider, so TLS 1.2 and 1.3, both sides,
 * libcurl and libmosquitto use them like any other.
 *
 * EC: an EC_KEY_METHOD. RSA: an EVP_PKEY_METHOD, which sees digest and padding where an
 * RSA_METHOD would see a PSS block padded already that a token without raw RSA cannot
 * sign; it hangs on the one key by an ENGINE that nobody else can find. Both are
 * deprecated, there from 3.0 to 3.6 and gone in 4.0, where a built-in provider takes
 * their place: in this file, for nothing outside it knows.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/engine.h>
#include <openssl/rsa.h>
#include <pthread.h>

#include "crypto/key_impl.h"
#include "crypto/ossl.h"
#include "crypto/pubkey.h"

own_define(EC_KEY, EC_KEY_free);

own_define(RSA, RSA_free);

/* --- who signs --- */

static struct key_held *
held_ref(struct key_held *h)
{
	atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
	return h;
}

void
key_held_free(struct key_held *h)
{
	if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (h->arg_free)
		h->arg_free(h->arg);
	free(h);
}

own_define(struct key_held, key_held_free);

static void
on_ex_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	(void)parent;
	(void)ad;
	(void)idx;
	(void)argl;
	(void)argp;
	key_held_free(ptr);
}

/* OpenSSL's idea of a signature to make, as ours. -1 on a hash that is none of ours. */
static int
digest_of(const uint8_t *md, size_t len, enum key_pad pad, struct key_digest *ret)
{
	switch (len) {
	case 32:
		*ret = (struct key_digest){KEY_SHA256, pad, span_of(md, len)};
		return 0;
	case 48:
		*ret = (struct key_digest){KEY_SHA384, pad, span_of(md, len)};
		return 0;
	case 64:
		*ret = (struct key_digest){KEY_SHA512, pad, span_of(md, len)};
		return 0;
	default:
		return -1;
	}
}

/* Signs into a caller's buffer of max bytes. What went wrong goes to the error queue. */
static int
sign_into(struct key_held *h, const struct key_digest *d, uint8_t *out, size_t max,
    size_t *ret_len)
{
	uint8_t sig[KEY_SIG_MAX];
	size_t len;
	struct err e = {0};
	if (h->sign(h->arg, d, sig, &len, &e) == 0 && len > max)
		err_set(&e, ERR_CRYPTO, "a signature of %zu bytes", len);
	if (e.code) {
		ossl_raise(&e);
		return -1;
	}
	memcpy(out, sig, len);
	*ret_len = len;
	return 0;
}

static void
raise_hash(void)
{
	struct err e = {0};
	err_set(&e, ERR_UNSUPPORTED, "the key signs SHA-256, SHA-384 and SHA-512 alone");
	ossl_raise(&e);
}

/* --- EC --- */

static EC_KEY_METHOD *ec_method;
static int ec_index = -1;

static int
on_ec_sign(int type, const unsigned char *md, int md_len, unsigned char *sig,
    unsigned int *sig_len, const BIGNUM *kinv, const BIGNUM *r, EC_KEY *ec)
{
	struct key_held *h = EC_KEY_get_ex_data(ec, ec_index);
	struct key_digest d;
	size_t len;
	(void)type;
	(void)kinv;
	(void)r;
	if (digest_of(md, (size_t)md_len, KEY_PAD_PKCS1, &d)) {
		raise_hash();
		return 0;
	}
	if (sign_into(h, &d, sig, (size_t)ECDSA_size(ec), &len))
		return 0;
	*sig_len = (unsigned)len;
	return 1;
}

static EVP_PKEY *
ec_pkey(const struct key_row *row, struct span point, struct key_held *h)
{
	auto_(EC_KEY_free) EC_KEY *ec =
	    EC_KEY_new_by_curve_name(EC_curve_nist2nid(row->group));
	auto_(EVP_PKEY_free) EVP_PKEY *p = EVP_PKEY_new();
	if (!ec || !p || !EC_KEY_set_method(ec, ec_method) ||
	    !EC_KEY_oct2key(ec, point.p, point.len, NULL) ||
	    !EVP_PKEY_assign_EC_KEY(p, ec))
		return NULL;
	if (EC_KEY_set_ex_data(TAKE(ec), ec_index, h) != 1)
		return NULL;
	held_ref(h);
	return TAKE(p);
}

/* --- RSA --- */

static ENGINE *rsa_engine;
static EVP_PKEY_METHOD *rsa_method;
static int rsa_index = -1;

/* The padding in force, or -1 on one that no key of ours has (RFC 8446 4.2.3: the salt
 * is as long as the digest, MGF1 has the same hash). */
static int
pad_of(EVP_PKEY_CTX *c, size_t md_len, enum key_pad *ret)
{
	int pad, salt;
	const EVP_MD *md, *mgf;
	if (EVP_PKEY_CTX_get_rsa_padding(c, &pad) != 1)
		return -1;
	*ret = KEY_PAD_PKCS1;
	if (pad == RSA_PKCS1_PADDING)
		return 0;
	*ret = KEY_PAD_PSS;
	return pad == RSA_PKCS1_PSS_PADDING &&
		       EVP_PKEY_CTX_get_rsa_pss_saltlen(c, &salt) == 1 &&
		       (salt == RSA_PSS_SALTLEN_DIGEST || salt == (int)md_len) &&
		       EVP_PKEY_CTX_get_signature_md(c, &md) == 1 &&
		       EVP_PKEY_CTX_get_rsa_mgf1_md(c, &mgf) == 1 &&
		       EVP_MD_get_type(md) == EVP_MD_get_type(mgf)
		   ? 0
		   : -1;
}

static int
on_rsa_sign(EVP_PKEY_CTX *c, unsigned char *sig, size_t *sig_len, const unsigned char *md,
    size_t md_len)
{
	EVP_PKEY *p = EVP_PKEY_CTX_get0_pkey(c);
	struct key_held *h = RSA_get_ex_data(EVP_PKEY_get0_RSA(p), rsa_index);
	enum key_pad pad;
	struct key_digest d;
	if (pad_of(c, md_len, &pad) || digest_of(md, md_len, pad, &d)) {
		raise_hash();
		return 0;
	}
	return sign_into(h, &d, sig, (size_t)EVP_PKEY_get_size(p), sig_len) == 0;
}

static int
on_pkey_meths(ENGINE *e, EVP_PKEY_METHOD **ret, const int **nids, int nid)
{
	static const int kinds[] = {EVP_PKEY_RSA};
	(void)e;
	if (!ret) {
		*nids = kinds;
		return 1;
	}
	*ret = nid == EVP_PKEY_RSA ? rsa_method : NULL;
	return *ret != NULL;
}

static EVP_PKEY *
rsa_pkey(const struct spki *s, struct key_held *h)
{
	auto_(RSA_free) RSA *r = RSA_new();
	auto_(EVP_PKEY_free) EVP_PKEY *p = EVP_PKEY_new();
	auto_(BN_clear_free) BIGNUM *n =
	    BN_bin2bn(s->modulus.p, (int)s->modulus.len, NULL);
	auto_(BN_clear_free) BIGNUM *e =
	    BN_bin2bn(s->exponent.p, (int)s->exponent.len, NULL);
	if (!r || !p || !n || !e || !RSA_set0_key(r, n, e, NULL))
		return NULL;
	n = e = NULL; /* r's now */
	if (!EVP_PKEY_assign_RSA(p, r))
		return NULL;
	if (!RSA_set_ex_data(TAKE(r), rsa_index, h))
		return NULL;
	held_ref(h);
	return EVP_PKEY_set1_engine(p, rsa_engine) ? TAKE(p) : NULL;
}

/* --- both --- */

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_methods(void)
{
	int (*sign_init)(EVP_PKEY_CTX *);
	ec_index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, on_ex_free);
	rsa_index = RSA_get_ex_new_index(0, NULL, NULL, NULL, on_ex_free);
	ec_method = EC_KEY_METHOD_new(NULL);
	rsa_method = EVP_PKEY_meth_new(EVP_PKEY_RSA, EVP_PKEY_FLAG_AUTOARGLEN);
	rsa_engine = ENGINE_new();
	if (!ec_method || !rsa_method || !rsa_engine || ec_index < 0 || rsa_index < 0)
		abort();
	EC_KEY_METHOD_set_sign(ec_method, on_ec_sign, NULL, NULL);
	const EVP_PKEY_METHOD *plain = EVP_PKEY_meth_find(EVP_PKEY_RSA);
	EVP_PKEY_meth_copy(rsa_method, plain);
	EVP_PKEY_meth_get_sign(plain, &sign_init, NULL);
	EVP_PKEY_meth_set_sign(rsa_method, sign_init, on_rsa_sign);
	if (!ENGINE_set_id(rsa_engine, "muster-key") ||
	    !ENGINE_set_name(rsa_engine, "keys that are held elsewhere") ||
	    !ENGINE_set_pkey_meths(rsa_engine, on_pkey_meths))
		abort();
}

static struct key *
wrap_held(struct span spki, struct key_held *h, struct err *e)
{
	struct spki shape;
	auto_buf copy = BUF_INIT(SPKI_MAX);
	if (pubkey_parse(spki, &shape, e))
		return NULL;
	if (key_alg_of(&shape, &h->alg)) {
		err_set(e, ERR_UNSUPPORTED, "RSA key of %d bits: not 2048, 3072 or 4096",
		    shape.bits);
		return NULL;
	}
	pthread_once(&once, make_methods);
	auto_(EVP_PKEY_free) EVP_PKEY *p = shape.kind == SPKI_RSA
					       ? rsa_pkey(&shape, h)
					       : ec_pkey(key_row(h->alg), shape.point, h);
	if (!p) {
		ossl_error(e, ERR_CRYPTO, "public key");
		return NULL;
	}
	buf_put_span(&copy, spki);
	return key_wrap(&p, &copy, h->alg);
}

struct key *
key_external(struct span spki, enum key_custody custody, key_digest_fn sign, void *arg,
    void (*arg_free)(void *arg), struct err *e)
{
	auto_(key_held_free) struct key_held *h = own_alloc(sizeof(*h));
	atomic_init(&h->refs, 1);
	h->sign = sign;
	h->arg = arg;
	h->arg_free = arg_free;
	struct key *k = wrap_held(spki, h, e);
	if (!k)
		return NULL;
	k->custody = custody;
	k->exportable = custody == KEY_CUSTODY_FILE;
	k->held = TAKE(h);
	return k;
}
