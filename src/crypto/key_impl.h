#ifndef CRYPTO_KEY_IMPL_H
#define CRYPTO_KEY_IMPL_H
/*
 * What the files key*.c share. Nobody else's.
 */
#include <stdatomic.h>

#include "codec/key_uri.h"
#include "codec/spki.h"
#include "crypto/key.h"

#define KEY_OID_EC          SPAN_LIT("\x2a\x86\x48\xce\x3d\x02\x01")
#define KEY_OID_RSA         SPAN_LIT("\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01")
#define KEY_POINT_MAX       97 /* P-384: 04 x y */
#define KEY_SCALAR_MAX      48
#define KEY_SCALAR_LEN(row) ((size_t)(row)->bits / 8)

/*
 * What signs for a key whose private half is not in memory (key_external.c). Shared by
 * the struct key and by the EVP_PKEY that TLS contexts keep, whichever lives longer.
 */
struct key_held {
	atomic_int refs;
	enum key_alg alg;
	key_digest_fn sign;
	void *arg;
	void (*arg_free)(void *arg);
};

struct key {
	atomic_int refs;
	enum key_alg alg;
	enum key_custody custody;
	bool exportable;
	struct evp_pkey_st *pkey;
	struct key_held *held; /* NULL: pkey has the private half */
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
/* SubjectPublicKeyInfo of an EC point (uncompressed), of an RSA key. */
void key_put_ec_spki(struct buf *b, const struct key_row *row, struct span point);
void key_put_rsa_spki(struct buf *b, struct span modulus, struct span exponent);
/* Ecdsa-Sig-Value (RFC 3279 2.2.3) of r and s, which tokens and TPMs give as numbers. */
must_check int key_ecdsa_der(struct span r, struct span s, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e);
/* The algorithm of a shape; -1 where it is none of ours. */
must_check int key_alg_of(const struct spki *k, enum key_alg *ret);
void key_held_free(struct key_held *h);
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

/*
 * Places that hold keys, a row a scheme (key_place.c); the contracts are key.h's.
 */
struct key_doctor;
struct key_place {
	struct key *(*open)(
	    const struct key_uri *u, key_passphrase ask, void *arg, struct err *e);
	struct key *(*create)(const struct key_uri *u, enum key_alg alg, struct err *e);
	int (*remove)(const struct key_uri *u, struct err *e);
	int (*each)(const struct key_uri *u, key_visit visit, void *arg, struct err *e);
	int (*cert_put)(const struct key_uri *u, struct span der, struct err *e);
	int (*cert_get)(const struct key_uri *u, struct buf *out, struct err *e);
	/* What is looked at before the key is opened. */
	void (*doctor)(const struct key_uri *u, struct key_doctor *d);
};
extern const struct key_place key_file_place, key_p11_place, key_tpm_place;
/* The place of a URI, which is parsed into *ret. */
must_check const struct key_place *key_place_of(
    const char *uri, struct key_uri *ret, struct err *e);

/* Reads a whole file that is nobody else's business (key, PIN) into out, which becomes
 * secret: a regular file of mode 0600 or less, one's own or root's. */
must_check int key_file_read(const char *path, struct buf *out, struct err *e);

/*
 * The PIN or authorization beside a URI (key_pin.c), and the last that was refused: a
 * token counts wrong ones and locks itself.
 */
#define KEY_PIN_MAX 256
struct key_pin {
	uint8_t salt[16], refused[DIGEST_SHA256];
	bool has_refused;
};
/* Appends the first line of the file. ERR_DENIED where it is the one refused before. */
must_check int key_pin_read(
    const struct key_pin *p, const char *path, struct buf *out, struct err *e);
/* The same of a PIN that came another way. */
must_check int key_pin_check(
    const struct key_pin *p, struct span pin, const char *what, struct err *e);
void key_pin_refuse(struct key_pin *p, struct span pin);

/* Reports for key_doctor: the text, and what to do ("" where nothing is). */
void key_doctor_say(struct key_doctor *d, enum key_finding how, const char *fix,
    const char *fmt, ...) printf_like(4, 5);
/* Reports a failure: what stands behind the text's last "; " is what to do. */
void key_doctor_failed(struct key_doctor *d, const struct err *e);

#endif
