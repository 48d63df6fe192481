#ifndef CRYPTO_KEY_H
#define CRYPTO_KEY_H
/*
 * Private keys: made, opened, saved, used, wherever they are: in a file, in a PKCS#11
 * token, in a TPM, or behind somebody who signs for us (key_external). A struct key is
 * immutable and reference counted, so any thread may hold it; the contexts that sign fast
 * are a thread's own (key_signer, key_maker). No secret ever stands in an error's text.
 *
 * Not across fork: a key of a token or TPM refuses to sign in a child of the process that
 * opened it (PKCS#11 2.40, 2.5.2). exec, and open it there.
 */
#include "base/buf.h"
#include "crypto/digest.h"

enum key_alg { KEY_P256, KEY_P384, KEY_RSA2048, KEY_RSA3072, KEY_RSA4096, KEY_ALG_N };
enum key_hash { KEY_SHA256, KEY_SHA384, KEY_SHA512 };

/* What holds a key: what inventory and policy say. */
enum key_custody {
	KEY_CUSTODY_FILE,
	KEY_CUSTODY_PKCS11,
	KEY_CUSTODY_TPM2,
	KEY_CUSTODY_N
};

#define KEY_SIG_MAX 512   /* an RSA-4096 signature */
#define KEY_PEM_MAX 16384 /* longest private key PEM that is read or written */

struct key;
struct evp_pkey_st; /* OpenSSL's EVP_PKEY */

/* "p256" "p384" "rsa2048" "rsa3072" "rsa4096": what configuration and plans say. */
const char *key_alg_name(enum key_alg alg);
must_check int key_alg_parse(struct span name, enum key_alg *ret, struct err *e);
/* "file" "pkcs11" "tpm2". */
const char *key_custody_name(enum key_custody c);
must_check int key_custody_parse(struct span name, enum key_custody *ret, struct err *e);
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
/* By URI (codec/key_uri.h): a file, a PKCS#11 token, a TPM; relative file names are
 * relative to the working directory (key_uri_resolve gives them a base). A key or PIN
 * file that group or world can reach, or that belongs to somebody else, fails with
 * ERR_PERM; an unknown scheme with ERR_UNSUPPORTED; no such key with ERR_NOT_FOUND;
 * several that match with ERR_CONFLICT; a wrong PIN with ERR_DENIED (and the same PIN is
 * not tried again, for tokens count); a token, TPM or library that is not there with
 * ERR_UNAVAILABLE and what to do. ask gives the passphrase of an encrypted file, or the
 * PIN where the URI has no pin-source. */
must_check struct key *key_open(
    const char *uri, key_passphrase ask, void *arg, struct err *e);
struct key *key_ref(struct key *k);
void key_free(struct key *k);
own_define(struct key, key_free);
own_define(struct key_maker, key_maker_free);

enum key_alg key_algorithm(const struct key *k);
enum key_custody key_custody(const struct key *k);
/* Whether its private half can be taken out of where it is. */
bool key_is_exportable(const struct key *k);
/* SubjectPublicKeyInfo as DER; lives as long as k. */
struct span key_spki(const struct key *k);
/* SHA-256 of the SPKI: the key's name everywhere. Lives as long as k. */
const uint8_t *key_fingerprint(const struct key *k);
bool key_is_spki(const struct key *k, struct span spki);
/* Borrowed, for src/crypto and for handing to a TLS context. */
struct evp_pkey_st *key_evp(const struct key *k);

/* Appends PKCS#8 PEM to out, which should be secret. Only of a key in memory:
 * ERR_UNSUPPORTED where a token, a TPM or somebody else holds it. With a passphrase:
 * AES-256-CBC and PBKDF2-HMAC-SHA256 with KEY_PBKDF2_ROUNDS. */
#define KEY_PBKDF2_ROUNDS  600000
#define KEY_PASSPHRASE_MIN 8
must_check int key_write(const struct key *k, struct buf *out, struct err *e);
must_check int key_write_encrypted(
    const struct key *k, struct span passphrase, struct buf *out, struct err *e);

/* Signs msg with the algorithm's own hash; the signature (DER for ECDSA, PKCS#1 v1.5 for
 * RSA) goes to sig, its length to *ret_len. */
must_check int key_sign(const struct key *k, struct span msg, uint8_t sig[KEY_SIG_MAX],
    size_t *ret_len, struct err *e);
/* Signs a digest that was made elsewhere: what a process does that holds keys for others.
 * The digest's length must be hash's. pad counts for RSA alone: PSS is MGF1 with the same
 * hash and a salt of its length (RFC 8446 4.2.3). */
enum key_pad { KEY_PAD_PKCS1, KEY_PAD_PSS };
struct key_digest {
	enum key_hash hash;
	enum key_pad pad;
	struct span digest;
};
must_check int key_sign_digest(const struct key *k, const struct key_digest *d,
    uint8_t sig[KEY_SIG_MAX], size_t *ret_len, struct err *e);
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

/* --- keys by URI: what is beside opening them --- */

/* Makes a key in the place that uri names and opens it. A file: new, mode 0600, durable
 * (its directory must be there). A token (object= or id= needed): a pair that is
 * sensitive and not extractable. A TPM (handle= needed): a persistent key outside the
 * dictionary-attack lockout. ERR_EXISTS where one is there already, ERR_UNSUPPORTED where
 * the place cannot make that algorithm. */
must_check struct key *key_create(const char *uri, enum key_alg alg, struct err *e);
/* Removes the key, and the certificate beside it. ERR_NOT_FOUND where there is none. */
must_check int key_delete(const char *uri, struct err *e);

struct key_found {
	const char *uri;   /* names exactly this one; as long as the visit */
	const char *label; /* "" where it has none */
	struct span id;    /* empty where it has none */
	const char *alg;   /* "p256", or what it is else: "ec", "rsa1024" */
	bool exportable, has_cert;
};
typedef int (*key_visit)(void *arg, const struct key_found *f, struct err *e);
/* Private keys that uri matches, one after the other (a URI with only token= matches all
 * of a token). A visit's -1 ends it and is returned. */
must_check int key_each(const char *uri, key_visit visit, void *arg, struct err *e);

/* The certificate beside the key: an object of the same CKA_ID, or the NV index. put
 * replaces what was there and refuses (ERR_CONFLICT) a certificate of another key; get
 * appends DER. ERR_UNSUPPORTED for a file: the caller has files of its own for that. */
must_check int key_cert_put(const char *uri, struct span der, struct err *e);
must_check int key_cert_get(const char *uri, struct buf *out, struct err *e);

/* --- a key whose signatures somebody else makes --- */

/* Makes the signature of d (DER for ECDSA) under the key's own algorithm. Called from any
 * thread, several at once, and inside TLS handshakes, which then fail with its error's
 * text (tls_error). */
typedef int (*key_digest_fn)(void *arg, const struct key_digest *d,
    uint8_t sig[KEY_SIG_MAX], size_t *ret_len, struct err *e);
/* spki is copied. arg_free (NULL allowed) gets arg when the last reference is gone, also
 * when this fails. */
must_check struct key *key_external(struct span spki, enum key_custody custody,
    key_digest_fn sign, void *arg, void (*arg_free)(void *arg), struct err *e);

/* --- what is wrong with a URI's surroundings --- */

enum key_finding { KEY_FINE, KEY_WARN, KEY_BAD };
/* One thing looked at: library, module, token, PIN file, permission, TPM, key. fix: what
 * to do, "" where nothing is. */
typedef void (*key_report)(
    void *arg, enum key_finding how, const char *what, const char *fix);
/* Looks at each in turn, up to the first that stops it (which is reported too). Tries the
 * PIN once. Fails only on a URI that cannot be read; *ret_bad says whether one was bad.
 */
must_check int key_doctor(
    const char *uri, key_report report, void *arg, bool *ret_bad, struct err *e);

#endif
