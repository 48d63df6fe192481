#ifndef CRYPTO_OCSP_H
#define CRYPTO_OCSP_H
/*
 * OCSP answers (RFC 6960 4.2) built from fields and signed by a delegated key. A
 * responder answers for one CA; requests are read by codec/ocsp_req.h.
 */
#include "codec/ocsp_req.h"
#include "crypto/crl.h"

/* OCSPResponseStatus of answers that carry nothing else. */
enum ocsp_error {
	OCSP_MALFORMED = 1,
	OCSP_INTERNAL = 2,
	OCSP_TRY_LATER = 3,
	OCSP_UNAUTHORIZED = 6, /* none of our CAs, or a hash other than SHA-1, SHA-256 */
};
/* The whole DER of such an answer; static. */
struct span ocsp_error(enum ocsp_error status);

/* A CA as CertIDs name it, under each hash. */
struct ocsp_issuer {
	uint8_t name[OCSP_REQ_HASH_N][DIGEST_SHA256];
	uint8_t key[OCSP_REQ_HASH_N][DIGEST_SHA256];
};
must_check int ocsp_issuer_of(
    const struct cert *ca, struct ocsp_issuer *ret, struct err *e);
/* True where id names a certificate of that CA. */
bool ocsp_issuer_is(const struct ocsp_issuer *i, const struct ocsp_req_id *id);

/* --- answers --- */

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN };

struct ocsp_single {
	enum ocsp_req_hash hash; /* the request's; never OCSP_REQ_OTHER */
	uint8_t serial[CRL_SERIAL_MAX];
	uint8_t serial_len;
	enum ocsp_status status;
	uint8_t reason;     /* enum crl_reason, when revoked */
	int64_t revoked_ms; /* when revoked */
	int64_t this_ms, next_ms;
};

/* The packed form for IPC, without this_ms and next_ms, which a batch has in common;
 * 28 octets for a serial number of 16. */
#define OCSP_PACKED_MAX (12 + CRL_SERIAL_MAX)
void ocsp_single_pack(const struct ocsp_single *s, struct buf *out);
/* Takes the first one off *in. ERR_PARSE on a hash, status, reason or serial that is
 * none. */
must_check int ocsp_single_unpack(
    struct span *in, struct ocsp_single *ret, struct err *e);

struct ocsp_fields {
	int64_t produced_ms;
	const struct ocsp_single *singles;
	size_t n;          /* 1 to OCSP_REQ_IDS_MAX */
	struct span nonce; /* the request's; SPAN_NONE: none, as in what is pre-signed */
};

#define OCSP_MAX 8192 /* longest answer */

/* A delegated responder: certificate, key, the contexts that sign and what is the same in
 * each answer. One thread at a time; ocsp_responder_clone gives another thread its own.
 */
struct ocsp_responder;

/* ca is the CA that is answered for and has issued delegate_pem (its first certificate)
 * directly (RFC 6960 4.2.2.2). ERR_CRYPTO when certificate, key and CA do not belong
 * together, ERR_USAGE when the certificate is none of OCSP signing. Takes a reference of
 * key. */
must_check struct ocsp_responder *ocsp_responder_new(
    struct span delegate_pem, struct key *key, const struct cert *ca, struct err *e);
must_check struct ocsp_responder *ocsp_responder_clone(
    const struct ocsp_responder *r, struct err *e);
void ocsp_responder_free(struct ocsp_responder *r);
own_define(struct ocsp_responder, ocsp_responder_free);

const struct cert *ocsp_responder_cert(const struct ocsp_responder *r);
const struct ocsp_issuer *ocsp_responder_issuer(const struct ocsp_responder *r);

/* Appends one signed answer. ERR_DENIED where the delegate is not valid at produced_ms,
 * or would have ended before a nextUpdate: no client takes such an answer. ERR_USAGE on
 * fields that say nothing. */
must_check int ocsp_build(struct ocsp_responder *r, const struct ocsp_fields *f,
    struct buf *out, struct err *e);
/* n of them, one behind the other; ends[k] is out->len behind the k-th. All or none: on
 * failure out is as long as before. */
must_check int ocsp_build_many(struct ocsp_responder *r, const struct ocsp_fields *v,
    size_t n, struct buf *out, size_t *ends, struct err *e);

#endif
