#ifndef CRYPTO_DIGEST_H
#define CRYPTO_DIGEST_H
/*
 * SHA-256, HMAC-SHA256, and SHA-1 for thumbprints only (Azure's wire shows them; nothing
 * is ever trusted by one). One-shot; cannot fail: a library that cannot hash ends the
 * process.
 */
#include "base/span.h"

#define DIGEST_SHA256 32
#define DIGEST_SHA1   20

void digest_sha256(struct span s, uint8_t out[DIGEST_SHA256]);
/* Over the concatenation of n parts. */
void digest_sha256v(const struct span *parts, size_t n, uint8_t out[DIGEST_SHA256]);
void digest_sha1(struct span s, uint8_t out[DIGEST_SHA1]);
void digest_hmac_sha256(struct span key, struct span msg, uint8_t out[DIGEST_SHA256]);

#endif
