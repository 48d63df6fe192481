/*
 * Signing. Contexts are kept by a key_signer, for EVP_DigestSign would set up its own
 * each time; a key that is held elsewhere gets the digest without OpenSSL between.
 */
#include "crypto/key_impl.h"

#include "codec/der.h"
#include "crypto/ossl.h"

struct key_signer {
	struct key *key;
	EVP_MD_CTX *md;
	EVP_PKEY_CTX *ctx; /* NULL: the key is held elsewhere */
	const EVP_MD *hash;
};

static int
set_up(struct key_signer *s)
{
	if (s->key->held)
		return 0;
	s->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, s->key->pkey, NULL);
	return s->ctx && EVP_PKEY_sign_init(s->ctx) == 1 &&
		       EVP_PKEY_CTX_set_signature_md(s->ctx, s->hash) == 1
		   ? 0
		   : -1;
}

struct key_signer *
key_signer_new(struct key *k, struct err *e)
{
	auto_(key_signer_free) struct key_signer *s = own_alloc(sizeof(*s));
	s->key = key_ref(k);
	s->hash = key_row(k->alg)->hash == KEY_SHA384 ? ossl_algs()->sha384
						      : ossl_algs()->sha256;
	s->md = EVP_MD_CTX_new();
	if (s->md && set_up(s) == 0)
		return TAKE(s);
	ossl_error(e, ERR_CRYPTO, "signing, %s", key_row(k->alg)->name);
	return NULL;
}

void
key_signer_free(struct key_signer *s)
{
	if (!s)
		return;
	EVP_PKEY_CTX_free(s->ctx);
	EVP_MD_CTX_free(s->md);
	key_free(s->key);
	free(s);
}

static int
sign_held(const struct key_held *h, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	return h->sign(h->arg, d, sig, ret_len, e);
}

int
key_signer_sign(struct key_signer *s, struct span msg, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned md_len;
	size_t len = KEY_SIG_MAX;
	if (EVP_DigestInit_ex2(s->md, s->hash, NULL) != 1 ||
	    EVP_DigestUpdate(s->md, msg.p, msg.len) != 1 ||
	    EVP_DigestFinal_ex(s->md, md, &md_len) != 1)
		return ossl_error(e, ERR_CRYPTO, "signing");
	struct key_digest d = {
	    key_row(s->key->alg)->hash, KEY_PAD_PKCS1, span_of(md, md_len)};
	if (!s->ctx)
		return sign_held(s->key->held, &d, sig, ret_len, e);
	if (EVP_PKEY_sign(s->ctx, sig, &len, md, md_len) != 1)
		return ossl_error(e, ERR_CRYPTO, "signing");
	*ret_len = len;
	return 0;
}

/* --- a digest made elsewhere --- */

static const struct {
	const EVP_MD *(*md)(void);
	size_t len;
} hashes[] = {
    [KEY_SHA256] = {EVP_sha256, 32},
    [KEY_SHA384] = {EVP_sha384, 48},
    [KEY_SHA512] = {EVP_sha512, 64},
};

static bool
set_pad(EVP_PKEY_CTX *c, const struct key *k, enum key_pad pad)
{
	if (key_row(k->alg)->kind != SPKI_RSA || pad != KEY_PAD_PSS)
		return true;
	return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1;
}

static int
sign_here(const struct key *k, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	size_t len = KEY_SIG_MAX;
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (!c || EVP_PKEY_sign_init(c) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(c, hashes[d->hash].md()) != 1 ||
	    !set_pad(c, k, d->pad) ||
	    EVP_PKEY_sign(c, sig, &len, d->digest.p, d->digest.len) != 1)
		return ossl_error(e, ERR_CRYPTO, "signing");
	*ret_len = len;
	return 0;
}

int
key_sign_digest(const struct key *k, const struct key_digest *d, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	if (d->digest.len != hashes[d->hash].len)
		return err_set(e, ERR_PARSE, "digest of %zu bytes, not %zu",
		    d->digest.len, hashes[d->hash].len);
	return k->held ? sign_held(k->held, d, sig, ret_len, e)
		       : sign_here(k, d, sig, ret_len, e);
}

int
key_ecdsa_der(struct span r, struct span s, uint8_t sig[KEY_SIG_MAX], size_t *ret_len,
    struct err *e)
{
	auto_buf der = BUF_INIT(KEY_SIG_MAX);
	size_t seq = der_begin(&der, DER_SEQUENCE);
	der_put_unsigned(&der, r);
	der_put_unsigned(&der, s);
	der_end(&der, seq);
	if (buf_check(&der, "signature", e))
		return -1;
	memcpy(sig, der.p, der.len);
	*ret_len = der.len;
	return 0;
}
