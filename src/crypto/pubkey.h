#ifndef CRYPTO_PUBKEY_H
#define CRYPTO_PUBKEY_H
/*
 * Which foreign public keys are certified and trusted. The shape is codec/spki.h's; here
 * is the policy: EC P-256 and P-384; RSA of 2048 to 4096 bits in whole bytes, without a
 * small factor and not of ROCA's shape (CVE-2017-15361). Pure arithmetic: the signer
 * judges foreign keys by this and never lets OpenSSL decode them.
 */
#include "codec/spki.h"
#include "crypto/digest.h"

/* spki_parse and the policy. ERR_PARSE on a wrong shape, ERR_UNSUPPORTED on another
 * algorithm or size, ERR_CRYPTO on a weak key. */
must_check int pubkey_parse(struct span spki, struct spki *ret, struct err *e);
/* "P-256", "RSA-2048": for people. */
#define PUBKEY_NAME 16
void pubkey_name(const struct spki *k, char out[PUBKEY_NAME]);
/* RFC 7093 section 2 (1): the leftmost 160 bits of SHA-256 over the key's octets. */
#define PUBKEY_ID 20
void pubkey_id(const struct spki *k, uint8_t out[PUBKEY_ID]);

#endif
