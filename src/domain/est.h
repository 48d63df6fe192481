#ifndef DOMAIN_EST_H
#define DOMAIN_EST_H
/*
 * Enrolment over Secure Transport (RFC 7030), as rules: who may have which certificate,
 * what waits for an operator, what is answered to a request whose answer was lost. Four
 * credentials: an operator's certificate (a registration authority), the device's own
 * certificate, the same after its end (renew.h), a one-time token.
 */
#include "base/map.h"
#include "domain/domain.h"
#include "domain/throttle.h"

#define EST_ID 65 /* of a request: hex and a NUL */

/* How a request proved itself. */
enum est_door { EST_OPERATOR, EST_DEVICE, EST_TOKEN, EST_EXPIRED, EST_ORPHAN };
const char *est_door_name(enum est_door d);

enum est_outcome {
	EST_ISSUE, /* ask the signer, then est_issued or est_failed */
	EST_WAIT,  /* 202: asks again after retry_after_s */
	EST_AGAIN, /* the certificate that this very request was given before */
};

/* What has been promised while the signer works. Plain memory: it outlives the turn. */
struct est_promise {
	enum est_door door;
	char device_id[CAP_ID + 1];
	char request_id[EST_ID]; /* of the enrol_request row, "" = none is kept */
	char token_sha256[65];   /* of the token that this uses up, "" = none */
	char key_sha256[65];
	char credential[201]; /* in words, for the row */
	char address[65];
	bool quarantine; /* the device goes, or stays, there */
	bool release;    /* and comes out of it */
	bool locked;     /* holds the device's place in est_guard */
};

struct est_grant {
	enum est_outcome outcome;
	struct ipc_signer_issue issue; /* EST_ISSUE; in d->arena */
	struct est_promise promise;    /* EST_ISSUE */
	struct span der;               /* EST_AGAIN */
	uint32_t retry_after_s;        /* EST_WAIT */
	const char *request_id;        /* EST_WAIT; "" = not for an operator to decide */
	const char *note;              /* for the connection log, "" = nothing to say */
};

/* What the rules remember between turns: enrolments that the signer works on (one a
 * device), wrong tokens by source address. Lives as long as the core. */
#define EST_GUARD_PEERS 256
struct est_lock;
struct est_guard {
	struct est_lock *locks;
	struct throttle peers[EST_GUARD_PEERS];
};
void est_guard_init(struct est_guard *g, int64_t mono_ms);
void est_guard_done(struct est_guard *g);

/* Decides. Refusals are in *no, what to do about one in est_fix. ERR_NOT_FOUND where an
 * operator asks for a device that is not there, ERR_PARSE on an ID that is none. */
must_check int est_enroll(struct domain *d, const struct ipc_est_enroll *m,
    struct est_grant *ret, struct refusal *no, struct err *e);
/* In the transaction that records the certificate: uses up the token, closes the request,
 * puts into quarantine or ends it. */
must_check int est_issued(struct domain *d, const struct est_promise *p,
    const struct ipc_signer_issued *got, struct err *e);
/* Once, whatever became of the promise: gives the device's place free. */
void est_done(struct domain *d, const struct est_promise *p);
/* What the peer can do about a refusal, for one that was let in; "" where nothing. */
const char *est_fix(enum refusal_code code);

/* A new one-time token for a device; replaces the one it has. *ret_secret, in d->arena,
 * is nowhere else: the store has its SHA-256. create: makes the identity
 * (certificateAuthority) where it is not there; else ERR_NOT_FOUND. */
must_check int est_token_put(struct domain *d, const struct ipc_token_put *m,
    const char *by, struct store_token *ret, const char **ret_secret, struct err *e);

/* An operator's word on a request that waits. ERR_NOT_FOUND, ERR_CONFLICT where it does
 * not wait any more. */
must_check int est_decide(struct domain *d, const struct ipc_enrol_decide *m,
    const char *by, struct store_enrol *ret, struct err *e);

/* Forgets requests and tokens that are of no more use. */
must_check int est_trim(struct domain *d, struct err *e);

#endif
