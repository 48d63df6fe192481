#ifndef CRYPTO_SPKI_H
#define CRYPTO_SPKI_H
/*
 * Public keys as they stand in a CSR or certificate, read by our own strict DER reader:
 * the signer looks at foreign keys with this and never lets OpenSSL decode them. Policy:
 * EC P-256 and P-384 as uncompressed points; RSA of 2048 to 4096 bits, a multiple of 8,
 * odd, an odd exponent from 65537 up to 64 bits, no small factor, not of ROCA's shape
 * (CVE-2017-15361).
 */
#include "base/err.h"
#include "base/span.h"
#include "crypto/digest.h"

enum spki_kind { SPKI_P256, SPKI_P384, SPKI_RSA };
#define SPKI_MAX 1024

struct spki {
	enum spki_kind kind;
	int bits;             /* 256, 384, or the modulus */
	struct span der;      /* the whole SubjectPublicKeyInfo */
	struct span bits_str; /* the subjectPublicKey's octets: point or RSAPublicKey */
	struct span n, e;     /* RSA: magnitudes without leading zero */
};

/* All spans point into der. ERR_PARSE on a wrong shape, ERR_UNSUPPORTED on another
 * algorithm or size, ERR_CRYPTO on a weak key. */
must_check int spki_parse(struct span der, struct spki *ret, struct err *e);
/* "P-256", "RSA-2048": for people. out holds at least SPKI_NAME bytes. */
#define SPKI_NAME 16
void spki_name(const struct spki *k, char out[SPKI_NAME]);
/* RFC 7093 section 2 (1): the leftmost 160 bits of SHA-256 over the key's octets. */
#define SPKI_ID 20
void spki_key_id(const struct spki *k, uint8_t out[SPKI_ID]);

#endif
