/*
 * One-shot digests over prefetched algorithms.
 */
#include "crypto/digest.h"

#include "crypto/ossl.h"

static void
must(int ok)
{
	if (ok == 1)
		return;
	fputs("<2>muster: OpenSSL failed to hash\n", stderr);
	abort();
}

static void
digest(const EVP_MD *md, const struct span *parts, size_t n, uint8_t *out)
{
	auto_(EVP_MD_CTX_free) EVP_MD_CTX *c = EVP_MD_CTX_new();
	must(c && EVP_DigestInit_ex2(c, md, NULL));
	for (size_t i = 0; i < n; i++)
		must(EVP_DigestUpdate(c, parts[i].p, parts[i].len));
	must(EVP_DigestFinal_ex(c, out, NULL));
}

void
digest_sha256(struct span s, uint8_t out[DIGEST_SHA256])
{
	digest(ossl_algs()->sha256, &s, 1, out);
}

void
digest_sha256v(const struct span *parts, size_t n, uint8_t out[DIGEST_SHA256])
{
	digest(ossl_algs()->sha256, parts, n, out);
}

void
digest_sha1(struct span s, uint8_t out[DIGEST_SHA1])
{
	digest(ossl_algs()->sha1, &s, 1, out);
}

void
digest_hmac_sha256(struct span key, struct span msg, uint8_t out[DIGEST_SHA256])
{
	static char sha256[] = "SHA2-256";
	static const uint8_t empty[1];
	const OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
	    OSSL_PARAM_construct_end(),
	};
	auto_(EVP_MAC_CTX_free) EVP_MAC_CTX *c = EVP_MAC_CTX_new(ossl_algs()->hmac);
	/* a NULL key means "keep the last one" to OpenSSL */
	must(c && EVP_MAC_init(c, key.p ? key.p : empty, key.len, params));
	must(EVP_MAC_update(c, msg.p, msg.len));
	size_t len = 0;
	must(EVP_MAC_final(c, out, &len, DIGEST_SHA256));
}
