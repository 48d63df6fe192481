#ifndef CODEC_TPM_PUB_H
#define CODEC_TPM_PUB_H
/*
 * TPM2B_PUBLIC (TPM 2.0 Library, part 2, 12.2.5) of what DPS attestation knows: RSA keys
 * that protect others, an endorsement key or a storage root key, as the device SDKs make
 * them; and the public part of the HMAC key that is given to a TPM.
 */
#include "base/buf.h"

#define TPM_PUB_MAX      1024
#define TPM_PUB_RSA_MIN  2048
#define TPM_PUB_RSA_MAX  4096
#define TPM_PUB_EXPONENT 65537

enum tpm_pub_alg { /* part 2, 6.3 */
	TPM_PUB_RSA = 0x0001,
	TPM_PUB_HMAC = 0x0005,
	TPM_PUB_AES = 0x0006,
	TPM_PUB_KEYEDHASH = 0x0008,
	TPM_PUB_SHA256 = 0x000b,
	TPM_PUB_NULL = 0x0010,
	TPM_PUB_CFB = 0x0043,
};

struct tpm_pub {
	struct span area;    /* TPMT_PUBLIC: what the name is the hash of */
	struct span modulus; /* big-endian, the exponent is TPM_PUB_EXPONENT */
	unsigned bits;
	unsigned aes_bits; /* of the keys that it protects others with: 128, 256 */
};

/* One TPM2B_PUBLIC and nothing else: RSA, SHA-256 names, AES in CFB mode, made in its TPM
 * and never to leave it, for decryption alone. ERR_UNSUPPORTED on other algorithms, which
 * might do as well; ERR_PARSE on any other shape or attributes. Borrows from s. */
must_check int tpm_pub_parse(struct span s, struct tpm_pub *ret, struct err *e);

/* Appends the TPMT_PUBLIC of a key for HMAC-SHA256. unique: SHA-256 of its seed and bits
 * (part 2, 12.2.3.2). */
void tpm_pub_write_hmac(struct span unique, struct buf *out);

#endif
