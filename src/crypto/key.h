#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H
/*
 * Private keys: made, opened, saved, used. A struct key is immutable and reference
 * counted, so any thread may hold it; the contexts that sign fast are a thread's own
 * (key_signer, key_maker). No secret ever stands in an error's text.
 */
#include "base/buf.h"
#include "crypto/digest.h"

enum key_alg { KEY_P256, KEY_P384, KEY_RSA2048, KEY_RSA3072, KEY_RSA4096, KEY_ALG_N };
enum key_hash { KEY_SHA256, KEY_SHA384, KEY_SHA512 };

#define KEY_SIG_MAX 512   /* an RSA-4096 signature */
#define KEY_PEM_MAX 16384 /* longest private key PEM that is read or written */

struct key;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* "p256" "p384" "rsa2048" "rsa3072" "rsa4096": what configuration and plans say. */
const char *key_alg_name(enum key_alg alg);
must_check int key_alg_parse(struct span name, enum key_alg *ret, struct err *e);
/* The hash that an algorithm signs with: SHA-384 for P-384, SHA-256 else. */
enum key_hash key_alg_hash(enum key_alg alg);

/* A fresh key. For many, use a key_maker. */
must_check struct key *key_generate(enum key_alg alg, struct err *e);

/* Makes keys of one algorithm with contexts that are set up once. One thread at a time.
 */
struct key_maker;
must_check struct key_maker *key_maker_new(enum key_alg alg, struct err *e);
void key_maker_free(struct key_maker *m);
must_check struct key *key_maker_make(struct key_maker *m, struct err *e);
/* A pair for somebody else, as bytes: its SPKI (DER) and its PKCS#8 PEM, each appended;
 * pem should be secret. An EC key never becomes an OpenSSL object on this way, which
 * halves its price. */
must_check int key_maker_write(
    struct key_maker *m, struct buf *spki, struct buf *pem, struct err *e);

/* Asks for a passphrase: fills buf with at most size - 1 characters and returns their
 * number, or -1 (none, user gave up). buf is wiped afterwards. what: the key's name for
 * the prompt. */
typedef int (*key_passphrase)(void *arg, const char *what, char *buf, size_t size);

/* A private key from PEM text: PKCS#8 (plain or encrypted), SEC1 or PKCS#1. One key, of
 * an algorithm above; ask may be NULL (an encrypted key then fails with ERR_DENIED, as
 * does a wrong passphrase). what names the source in errors. */
must_check struct key *key_parse(
    struct span pem, key_passphrase ask, void *arg, const char *what, struct err *e);
/* By URI: "file:/path" or a bare path. A key file that group or world can reach, or that
 * belongs to somebody else, fails with ERR_PERM; an unknown scheme with ERR_UNSUPPORTED.
 */
must_check struct key *key_open(
    const char *uri, key_passphrase ask, void *arg, struct err *e);
struct key *key_ref(struct key *k);
void key_free(struct key *k);
own_define(struct key, key_free);
own_define(struct key_maker, key_maker_free);

enum key_alg key_algorithm(const struct key *k);
/* SubjectPublicKeyInfo as DER; lives as long as k. */
struct span key_spki(const struct key *k);
/* SHA-256 of the SPKI: the key's name everywhere. Lives as long as k. */
const uint8_t *key_fingerprint(const struct key *k);
bool key_is_spki(const struct key *k, struct span spki);
/* Borrowed, for src/crypto and for handing to a TLS context. */
struct evp_pkey_st *key_evp(const struct key *k);

/* Appends PKCS#8 PEM to out, which should be secret. With a passphrase: AES-256-CBC and
 * PBKDF2-HMAC-SHA256 with KEY_PBKDF2_ROUNDS. */
#define KEY_PBKDF2_ROUNDS  600000
#define KEY_PASSPHRASE_MIN 8
must_check int key_write(const struct key *k, struct buf *out, struct err *e);
must_check int key_write_encrypted(
    const struct key *k, struct span passphrase, struct buf *out, struct err *e);

/* Signs msg with the algorithm's own hash; the signature (DER for ECDSA, PKCS#1 v1.5 for
 * RSA) goes to sig, its length to *ret_len. */
must_check int key_sign(const struct key *k, struct span msg, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e);
/* Verifies under a raw SPKI (shape and policy checked). ERR_CRYPTO when it does not
 * match.
 */
must_check int key_verify(struct span spki, enum key_hash hash, struct span msg,
    struct span sig, struct err *e);

/* The same with contexts that are set up once. One thread at a time; holds its own
 * reference. */
struct key_signer;
must_check struct key_signer *key_signer_new(struct key *k, struct err *e);
void key_signer_free(struct key_signer *s);
must_check int key_signer_sign(struct key_signer *s, struct span msg,
    uint8_t sig[KEY_SIG_MAX], size_t *ret_len, struct err *e);
own_define(struct key_signer, key_signer_free);

#endif
