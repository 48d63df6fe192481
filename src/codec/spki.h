#ifndef CODEC_SPKI_H
#define CODEC_SPKI_H
/*
 * SubjectPublicKeyInfo (RFC 5280 4.1.2.7) of the keys muster certifies, read without a
 * crypto library, so that the signer can judge the shape of a foreign key. Whether a
 * point lies on its curve, or a modulus is weak, was checked by who verified the proof of
 * possession.
 */
#include "base/err.h"
#include "base/span.h"

enum spki_kind { SPKI_EC_P256, SPKI_EC_P384, SPKI_RSA };

#define SPKI_MAX 1200 /* an RSA key of 8192 bits */

struct spki {
	enum spki_kind kind;
	int bits;                      /* 256, 384 or the modulus's */
	struct span point;             /* EC: uncompressed, 04 x y (RFC 5480 2.2) */
	struct span modulus, exponent; /* RSA: unsigned, big-endian */
	struct span key; /* content of the BIT STRING: what a key identifier hashes */
};

/* der: one whole SPKI and nothing else. ERR_UNSUPPORTED on another algorithm or curve,
 * ERR_PARSE on any other shape. RSA: 2048 to 8192 bits, odd modulus, odd exponent over
 * 2^16 and within 64 bits. */
must_check int spki_parse(struct span der, struct spki *ret, struct err *e);
const char *spki_kind_name(enum spki_kind kind);

#endif
