#ifndef DOMAIN_OCSP_BOOK_H
#define DOMAIN_OCSP_BOOK_H
/*
 * OCSP as rules (RFC 6960, 5019): what is answered to a question, which answers are to be
 * signed ahead, what is kept. Answers are signed by the signer's delegates; nothing past
 * its nextUpdate is ever handed out.
 *
 * Signed ahead are answers by SHA-1 CertID without a nonce, what RFC 5019 clients ask
 * for. All else is signed when it is asked for: another hash, a nonce (RFC 9654), several
 * certificates at once (RFC 6960 4.1.1), a serial number that was never issued, for which
 * the answer is a signed "unknown".
 */
#include "crypto/ocsp.h"
#include "domain/domain.h"
#include "store/pki.h"

#define OCSP_BOOK_MAX   64  /* CAs that are answered for */
#define OCSP_BOOK_BATCH 256 /* answers a turn */

/* The CAs as CertIDs name them; loaded anew when they change. */
struct ocsp_book {
	struct {
		char issuer[65];
		uint8_t sha256[DIGEST_SHA256];
		struct ocsp_issuer id;
	} v[OCSP_BOOK_MAX];
	size_t n;
};
must_check int ocsp_book_load(struct domain *d, struct ocsp_book *ret, struct err *e);

/* A certificate whose answer is to be signed, in the state that it will tell. */
struct ocsp_item {
	char serial[2 * CRL_SERIAL_MAX + 1];
	int64_t revoked_ms;
	int reason;
};

/* A question for the signer. Spans live in d->arena. */
struct ocsp_batch {
	char issuer[65];
	struct ipc_signer_ocsp ask;
	struct ocsp_item
	    *v; /* one for each query; of an answer with a nonce none is kept */
	size_t n;
	bool keep;
};

enum ocsp_way {
	OCSP_FOREIGN, /* of no CA of ours: "unauthorized" */
	OCSP_READY,   /* der */
	OCSP_SIGN,    /* to be signed now, by batch */
};
struct ocsp_ruling {
	enum ocsp_way way;
	/* OCSP_READY, and with OCSP_SIGN what can be given where signing fails (der
	 * empty: nothing) */
	struct store_ocsp ready;
	struct ocsp_batch batch;
};
must_check int ocsp_book_judge(struct domain *d, const struct ocsp_book *b,
    const struct ipc_ocsp_get *m, struct ocsp_ruling *ret, struct err *e);

/* Answers of a CA to sign ahead: missing, or half of their life over. n 0: none. */
must_check int ocsp_book_due(struct domain *d, const struct ocsp_book *b, size_t issuer,
    struct ocsp_batch *ret, struct err *e);
/* Keeps the answer to the index-th query; one that a revocation has overtaken is
 * dropped. */
must_check int ocsp_book_keep(struct domain *d, const struct ocsp_batch *b, size_t index,
    struct span der, struct err *e);
/* thisUpdate and nextUpdate of an answer of ours. ERR_PARSE on any other. */
must_check int ocsp_book_times(
    struct span der, int64_t *ret_this_ms, int64_t *ret_next_ms, struct err *e);

#endif
