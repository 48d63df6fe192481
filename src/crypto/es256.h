#ifndef CRYPTO_ES256_H
#define CRYPTO_ES256_H
/*
 * ES256 (RFC 7518 3.4): ECDSA on P-256 with SHA-256, the signature as r and s of 32 bytes
 * each where the rest of this program has DER.
 */
#include "crypto/key.h"

#define ES256_SIG 64

/* ERR_UNSUPPORTED for a key of another kind. */
must_check int es256_sign(
    const struct key *k, struct span msg, uint8_t sig[ES256_SIG], struct err *e);
/* ERR_CRYPTO when it does not match, or spki is no P-256 key. */
must_check int es256_verify(
    struct span spki, struct span msg, const uint8_t sig[ES256_SIG], struct err *e);

#endif
