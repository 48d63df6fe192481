/*
 * Verifying under a raw SPKI: what our reader found in it goes to OpenSSL as numbers, for
 * d2i_PUBKEY would cost 120 us of decoder set-up.
 */
#include "crypto/key_impl.h"

#include "crypto/ossl.h"
#include "crypto/pubkey.h"

static const char *const hash_names[] = {
    [KEY_SHA256] = "SHA2-256",
    [KEY_SHA384] = "SHA2-384",
    [KEY_SHA512] = "SHA2-512",
};

static EVP_PKEY *
public_from(const char *type, OSSL_PARAM *params)
{
	EVP_PKEY *p = NULL;
	auto_(EVP_PKEY_CTX_free) EVP_PKEY_CTX *c =
	    EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	if (c && EVP_PKEY_fromdata_init(c) == 1 &&
	    EVP_PKEY_fromdata(c, &p, EVP_PKEY_PUBLIC_KEY, params) != 1)
		return NULL;
	return p;
}

static EVP_PKEY *
public_ec(const struct spki *s)
{
	const char *group = key_row(s->kind == SPKI_EC_P384 ? KEY_P384 : KEY_P256)->group;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(
		OSSL_PKEY_PARAM_GROUP_NAME, (char *)group, 0),
	    OSSL_PARAM_construct_octet_string(
		OSSL_PKEY_PARAM_PUB_KEY, (void *)s->point.p, s->point.len),
	    OSSL_PARAM_construct_end(),
	};
	return public_from("EC", params);
}

static EVP_PKEY *
public_rsa(const struct spki *s)
{
	uint8_t room[512 + 16], *at = room;
	auto_(BN_clear_free) BIGNUM *n =
	    BN_bin2bn(s->modulus.p, (int)s->modulus.len, NULL);
	auto_(BN_clear_free) BIGNUM *e =
	    BN_bin2bn(s->exponent.p, (int)s->exponent.len, NULL);
	if (!n || !e)
		return NULL;
	OSSL_PARAM params[] = {
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_N, n, &at),
	    ossl_bn_param(OSSL_PKEY_PARAM_RSA_E, e, &at),
	    OSSL_PARAM_construct_end(),
	};
	return public_from("RSA", params);
}

int
key_verify(
    struct span spki, enum key_hash hash, struct span msg, struct span sig, struct err *e)
{
	struct spki s;
	if (pubkey_parse(spki, &s, e) < 0)
		return -1;
	auto_(EVP_PKEY_free) EVP_PKEY *p =
	    s.kind == SPKI_RSA ? public_rsa(&s) : public_ec(&s);
	if (!p)
		return ossl_error(e, ERR_CRYPTO, "public key");
	auto_(EVP_MD_CTX_free) EVP_MD_CTX *c = EVP_MD_CTX_new();
	if (!c ||
	    EVP_DigestVerifyInit_ex(c, NULL, hash_names[hash], NULL, NULL, p, NULL) != 1)
		return ossl_error(e, ERR_CRYPTO, "verifying");
	if (EVP_DigestVerify(c, sig.p, sig.len, msg.p, msg.len) == 1)
		return 0;
	ERR_clear_error();
	return err_set(e, ERR_CRYPTO, "signature does not match the key");
}
