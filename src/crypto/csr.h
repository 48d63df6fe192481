#ifndef CRYPTO_CSR_H
#define CRYPTO_CSR_H
/*
 * Certificate signing requests (PKCS#10, RFC 2986): read strictly, proof of possession
 * checked, everything but key and subject ignored and reported. And made, for the agent.
 */
#include "crypto/key.h"
#include "crypto/name.h"
#include "crypto/pubkey.h"

#define CSR_MAX 16384

struct csr {
	struct span der;                   /* the request; owned */
	struct span subject;               /* Name DER, into der */
	struct span spki;                  /* SubjectPublicKeyInfo DER, into der */
	struct spki key;                   /* read; into der */
	char cn[NAME_CN_SIZE];             /* exactly one */
	uint8_t key_sha256[DIGEST_SHA256]; /* of the SPKI */
	struct span challenge;    /* challengePassword's characters (RFC 2985 5.4.1), into
				     der;    SPAN_NONE: absent */
	struct span san;          /* value of the subjectAltName it asks for, into der */
	bool wants_encrypted_key; /* DecryptKeyIdentifier (RFC 7030 4.4.1) */
	bool wants_ca;            /* asked for CA:TRUE: ignored, worth an event */
	char
	    ignored[256]; /* extensions it asked for: "subjectAltName, keyUsage", or "" */
};

/* Parses DER or PEM (told apart by its first byte) and verifies the signature under the
 * key within: ERR_LIMIT beyond CSR_MAX, ERR_PARSE on a bad shape or name, ERR_UNSUPPORTED
 * or ERR_CRYPTO on a refused key, ERR_CRYPTO when "CSR signature does not match its key".
 */
must_check int csr_parse(struct span data, struct csr *ret, struct err *e);
void csr_done(struct csr *c);

/* Appends a request for cn (and org) made with k, as DER. */
must_check int csr_write(
    struct key *k, const char *cn, const char *org, struct buf *out, struct err *e);
/* A request for a Name as it stands (of the certificate that is to be renewed: RFC 7030
 * 4.2.2), with a challengePassword where challenge is not empty. */
must_check int csr_write_name(struct key *k, struct span name, struct span challenge,
    struct buf *out, struct err *e);
/* As csr_write, as PEM. */
must_check int csr_write_pem(
    struct key *k, const char *cn, const char *org, struct buf *out, struct err *e);

#endif
