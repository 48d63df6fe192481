#ifndef DOMAIN_EST_H
#define DOMAIN_EST_H
/*
 * Enrolment over Secure Transport (RFC 7030), as rules: who may have which certificate,
 * what waits for an operator, what is answered to a request whose answer was lost.
 */
#include "domain/domain.h"

#define EST_PACE 60 /* certificates a device gets within an hour, by itself */

/* How a request proved itself: an operator's certificate (a registration authority), the
 * device's own, the same after its end or under a revoked issuer (renew.h), a token; what
 * it registers with DPS by, which was judged there. */
enum est_door {
	EST_OPERATOR,
	EST_DEVICE,
	EST_EXPIRED,
	EST_ORPHAN,
	EST_TOKEN,
	EST_REGISTRATION,
	EST_DOORS
};
const char *est_door_name(enum est_door d);

enum est_outcome {
	EST_ISSUE, /* ask the signer, then est_issued where it did, est_done always */
	EST_WAIT,  /* 202: ask again after retry_after_s */
	EST_AGAIN, /* the certificate that this very request was given before */
};

/* What has been promised while the signer works. Plain memory: it outlives the turn. */
struct est_promise {
	enum est_door door;
	char device_id[CAP_ID + 1];
	char request_id[65];   /* of the request that is kept, "" = none is */
	char key_sha256[65];   /* of the SPKI; "" where the key is made here */
	char credential[201];  /* of whom, in words */
	char address[65];      /* from where */
	char token_sha256[65]; /* of the token that this uses up, "" = none */
	bool quarantine;       /* the device goes into quarantine */
	bool release;          /* it comes out */
};

struct est_grant {
	enum est_outcome outcome;
	bool is_known; /* the peer proved who it is: a refusal may be explained to it */
	struct est_promise promise;
	struct ipc_signer_issue issue; /* EST_ISSUE; in d->arena */
	struct span der;               /* EST_AGAIN */
	uint32_t retry_after_s;        /* EST_WAIT */
	const char *waits_for; /* EST_WAIT: ID of the request an operator sees, or "";
				  in d->arena */
};

/* Decides. ERR_NOT_FOUND where an operator asks for a device that is not there, ERR_PARSE
 * on a name that is no ID. */
must_check int est_enroll(struct domain *d, const struct ipc_est_enroll *m,
    struct est_grant *ret, struct refusal *no, struct err *e);
/* A CSR within a registration whose device is known already. cn, spki: the CSR's;
 * credential: what the device registers by, the SHA-256 of its certificate where it is
 * one. As est_enroll. */
struct est_applicant {
	const char *device_id, *credential;
	struct span registration_id, cn, spki, address;
};
must_check int est_register(struct domain *d, const struct est_applicant *who,
    struct est_grant *ret, struct refusal *no, struct err *e);
/* In the transaction that records the certificate. Where the device was deleted, disabled
 * or blocked, or what it asked by revoked or taken back, while the signer worked, refuses
 * in *no and revokes the certificate: it must not be handed out, and est_issued is not
 * called. */
must_check int est_withdraw(struct domain *d, const struct est_promise *p,
    const struct ipc_signer_issued *got, struct refusal *no, struct err *e);
/* The same without asking: whoever wanted it wants it no more. */
must_check int est_discard(
    struct domain *d, const struct ipc_signer_issued *got, struct err *e);
/* In that transaction, where it is not refused: uses up the token, closes the request,
 * puts into quarantine or ends it. */
must_check int est_issued(struct domain *d, const struct est_promise *p,
    const struct ipc_signer_issued *got, struct err *e);
/* After EST_ISSUE, once, whatever the signer said: the device may ask again. */
void est_done(struct domain *d, const struct est_promise *p);
/* What the peer can do about a refusal; "" where nothing. */
const char *est_fix(enum refusal_code code);

#endif
