#ifndef CRYPTO_KEY_IMPL_H
#define CRYPTO_KEY_IMPL_H
/*
 * What key.c, key_maker.c, key_signer.c and key_verify.c share. Nobody else's.
 */
#include <stdatomic.h>

#include "codec/spki.h"
#include "crypto/key.h"

#define KEY_OID_EC          SPAN_LIT("\x2a\x86\x48\xce\x3d\x02\x01")
#define KEY_OID_RSA         SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define KEY_POINT_MAX       97 /* P-384: 04 x y */
#define KEY_SCALAR_MAX      48
#define KEY_SCALAR_LEN(row) ((size_t)(row)->bits / 8)

struct key {
	atomic_int refs;
	enum key_alg alg;
	struct evp_pkey_st *pkey;
	struct buf spki;
	uint8_t sha256[DIGEST_SHA256];
};

struct key_row {
	const char *name;
	enum spki_kind kind;
	int bits;
	enum key_hash hash;
	const char *group; /* EC: OpenSSL's name */
	struct span curve; /* EC: the OID's content */
};

const struct key_row *key_row(enum key_alg alg);
/* Wraps pkey, whose SPKI is in *spki; takes both over. */
struct key *key_wrap(struct evp_pkey_st **pkey, struct buf *spki, enum key_alg alg);
/* AlgorithmIdentifier of an EC key (RFC 5480 2.1.1). */
void key_put_ec_alg(struct buf *b, const struct key_row *row);
/* Appends PKCS#8 PEM of the private number d with its public point. */
must_check int key_write_ec(const struct key_row *row, struct span d, struct span point,
    struct buf *out, struct err *e);
/* The public point, uncompressed for keys made or parsed here. */
must_check int key_ec_point(
    struct evp_pkey_st *p, uint8_t out[KEY_POINT_MAX], size_t *ret_len, struct err *e);

/*
 * EC key pairs as bytes (key_raw.c). One thread at a time; what it made last is wiped
 * when the next is made and at the end.
 */
struct key_raw;
must_check struct key_raw *key_raw_new(const struct key_row *row, struct err *e);
void key_raw_free(struct key_raw *r);
/* Makes a pair; spans valid until the next call. */
must_check int key_raw_make(
    struct key_raw *r, struct span *ret_d, struct span *ret_point, struct err *e);
own_define(struct key_raw, key_raw_free);

#endif
