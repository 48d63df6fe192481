/*
 * Signing with contexts that are kept: EVP_DigestSign would set up its own each time.
 */
#include "crypto/key_impl.h"

#include "crypto/ossl.h"

struct key_signer {
	struct key *key;
	EVP_MD_CTX *md;
	EVP_PKEY_CTX *ctx;
	const EVP_MD *hash;
};

struct key_signer *
key_signer_new(struct key *k, struct err *e)
{
	auto_(key_signer_free) struct key_signer *s = own_alloc(sizeof(*s));
	s->key = key_ref(k);
	s->hash = key_row(k->alg)->hash == KEY_SHA384 ? ossl_algs()->sha384
						      : ossl_algs()->sha256;
	s->md = EVP_MD_CTX_new();
	s->ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
	if (s->md && s->ctx && EVP_PKEY_sign_init(s->ctx) == 1 &&
	    EVP_PKEY_CTX_set_signature_md(s->ctx, s->hash) == 1)
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

/* Digest and EVP_PKEY_sign with kept contexts: EVP_DigestSign would set up both each
 * time. */
int
key_signer_sign(struct key_signer *s, struct span msg, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned md_len;
	size_t len = KEY_SIG_MAX;
	if (EVP_DigestInit_ex2(s->md, s->hash, NULL) != 1 ||
	    EVP_DigestUpdate(s->md, msg.p, msg.len) != 1 ||
	    EVP_DigestFinal_ex(s->md, md, &md_len) != 1 ||
	    EVP_PKEY_sign(s->ctx, sig, &len, md, md_len) != 1)
		return ossl_error(e, ERR_CRYPTO, "signing");
	*ret_len = len;
	return 0;
}
