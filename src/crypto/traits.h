#ifndef CRYPTO_TRAITS_H
#define CRYPTO_TRAITS_H
/*
 * What a policy wants to know of a certificate: its key, the hash under its signature,
 * its life, whether it says where its state can be asked. Read off the DER, at a
 * hundredth of what a full parse costs; of a peer's certificate only after that
 * (crypto/cert.h).
 */
#include "base/err.h"
#include "base/span.h"

enum traits_key {
	TRAITS_UNKNOWN, /* nobody looked */
	TRAITS_OTHER,   /* neither of the two below */
	TRAITS_EC,      /* P-256, P-384 */
	TRAITS_RSA,
	TRAITS_KEY_N
};

struct traits {
	enum traits_key key;
	int key_bits;
	int hash_bits;  /* 0: a signature other than ECDSA or RSA (PKCS#1 v1.5) with SHA-2
			 */
	bool revocable; /* it names a CRL or an OCSP responder */
	int64_t life_ms; /* notAfter - notBefore */
};

/* Of one certificate. ERR_PARSE where it is none. */
must_check int traits_read(struct span der, struct traits *ret, struct err *e);
/* Of a public key: key and key_bits alone are set; TRAITS_OTHER where it is none of ours.
 */
void traits_of_spki(struct span spki, struct traits *ret);
/* "P-384", "RSA-3072", "another kind". */
#define TRAITS_NAME 16
void traits_key_name(const struct traits *t, char out[TRAITS_NAME]);

#endif
