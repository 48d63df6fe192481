#ifndef CRYPTO_BLOB_KEY_H
#define CRYPTO_BLOB_KEY_H
/*
 * The key of an Azure Storage account: what it signs (requests by Shared Key, shared
 * access signatures) is an HMAC-SHA256.
 */
#include "crypto/digest.h"
#include "base/err.h"

#define BLOB_KEY_MAX 128

struct blob_key {
	uint8_t bytes[BLOB_KEY_MAX];
	size_t len; /* 0: none */
};

/* From the base64 that the portal shows. The error names no part of the text. */
must_check int blob_key_parse(struct span base64, struct blob_key *ret, struct err *e);
void blob_key_sign(
    const struct blob_key *k, struct span text, uint8_t out[DIGEST_SHA256]);
void blob_key_wipe(struct blob_key *k);

#endif
