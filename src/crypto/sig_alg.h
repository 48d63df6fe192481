#ifndef CRYPTO_SIG_ALG_H
#define CRYPTO_SIG_ALG_H
/*
 * AlgorithmIdentifiers of signatures that muster verifies itself: ECDSA and RSA (PKCS#1
 * v1.5) with SHA-256, SHA-384 or SHA-512.
 */
#include "codec/spki.h"
#include "crypto/key.h"

/* alg: the content of the AlgorithmIdentifier; kind: of the key that is said to have
 * signed. ERR_UNSUPPORTED on another algorithm or one that is not the key's. */
must_check int sig_alg_parse(
    struct span alg, enum spki_kind kind, enum key_hash *ret, struct err *e);

#endif
