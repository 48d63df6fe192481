#ifndef CODEC_OCSP_REQ_H
#define CODEC_OCSP_REQ_H
/*
 * OCSP requests (RFC 6960 4.1), read without a crypto library so that who parses them
 * needs none. A request that does not parse is answered with malformedRequest; whether
 * its CertIDs are ours is asked of crypto/ocsp.h.
 */
#include "base/err.h"
#include "base/span.h"

#define OCSP_REQ_MAX        4096
#define OCSP_REQ_IDS_MAX    16
#define OCSP_REQ_NONCE_MAX  128 /* RFC 9654 2.1; RFC 8954 allowed 32 */
#define OCSP_REQ_SERIAL_MAX 20

/* What a CertID hashes its issuer with. */
enum ocsp_req_hash { OCSP_REQ_SHA1, OCSP_REQ_SHA256, OCSP_REQ_OTHER };
#define OCSP_REQ_HASH_N OCSP_REQ_OTHER

struct ocsp_req_id {
	enum ocsp_req_hash hash;
	struct span name, key; /* issuerNameHash, issuerKeyHash; of the hash's length */
	struct span serial;    /* magnitude, no leading zeros; 20 octets at most */
};

struct ocsp_req {
	struct ocsp_req_id ids[OCSP_REQ_IDS_MAX];
	size_t n;
	struct span nonce; /* SPAN_NONE: none was sent */
	bool is_signed;    /* the signature is neither checked nor asked for */
};

/* der: one whole request; the spans point into it. ERR_LIMIT past a cap above, ERR_PARSE
 * on any other fault, no CertID at all, a nonce of no octets or too many (RFC 9654 2.1),
 * or a critical extension that is not known. */
must_check int ocsp_req_parse(struct span der, struct ocsp_req *ret, struct err *e);

/* The digest's length, and the content of its OID; for OCSP_REQ_SHA1 and _SHA256. */
size_t ocsp_req_hash_len(enum ocsp_req_hash hash);
struct span ocsp_req_hash_oid(enum ocsp_req_hash hash);

#endif
