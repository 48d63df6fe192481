#ifndef DOMAIN_REVOKE_H
#define DOMAIN_REVOKE_H
/*
 * Revocation: one verb whose effects reach CRL, OCSP, identity, enrollment and the live
 * session, and the question that every door asks before it lets a certificate in. A
 * certificate is known by its issuer and serial number, never by its thumbprint alone:
 * an ECDSA signature (r, s) has the twin (r, n - s), so the same certificate has a second
 * encoding that verifies as well.
 */
#include "domain/domain.h"

/* The serial number is part of a certificate's name only together with its issuer's. A
 * certificate without a chain (self-signed, known by its thumbprint) is its own. */
struct revoke_name {
	char issuer[65]; /* lower-case hex SHA-256 of the issuer's certificate */
	char serial[49]; /* lower-case hex */
};
/* False where cred is no certificate, or one that did not parse. */
bool revoke_name_of(const struct ipc_cred *cred, struct revoke_name *ret);

/* Refuses (CERT_REVOKED, ISSUER_REVOKED) what was revoked, by us or by name of another
 * CA's, and what a revoked or retired CA stands above; leaves *no alone otherwise, and
 * always in the azure profile, whose hub asks for neither CRL nor OCSP. Decides by the
 * database: no list of ours that is out of date locks anybody out. */
must_check int revoke_check(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e);
/* The same in both profiles: for renewal, which is muster's own. Whoever was revoked
 * would have a certificate that was not. */
must_check int revoke_check_renewal(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e);
/* The same of an operator's certificate, which the table of operators pins by its
 * SHA-256 (hex); both profiles. */
must_check int revoke_check_operator(
    struct domain *d, const char *sha256, struct refusal *no, struct err *e);
/* Refuses (ENROLLMENT_BLOCKED) a registration ID that may not enrol; both profiles. */
must_check int revoke_check_enrolment(
    struct domain *d, struct span registration_id, struct refusal *no, struct err *e);

enum revoke_effect_id {
	REVOKE_CRL,
	REVOKE_OCSP,
	REVOKE_IDENTITY,
	REVOKE_ENROLLMENT,
	REVOKE_SESSION, /* the core's: it has the table of sessions */
	REVOKE_EFFECTS
};
/* "crl", "ocsp", "identity", "enrollment", "session" */
const char *revoke_effect_name(enum revoke_effect_id id);

struct revoke_effect {
	const char *state; /* "done", "unchanged" */
	const char *text;  /* for the operator */
};

struct revoke_result {
	struct revoke_effect effect[REVOKE_EFFECTS]; /* of revoke_apply: all but the
							session's */
	const char *device_id; /* whose session is to be looked at; "" = nobody's */
	int64_t changed;       /* certificates revoked, or taken off hold */
};

/* Does what m says, in the caller's transaction; by: who, for the record. Doing it again
 * changes nothing and says so. ERR_NOT_FOUND where neither a certificate nor an identity
 * nor a registration is known by what m names, ERR_PARSE on a reason that is none,
 * ERR_CONFLICT where an undo has nothing to undo: only certificateHold ends (RFC 5280
 * 5.3.1). Texts live in d->arena. */
must_check int revoke_apply(struct domain *d, const struct ipc_revoke *m, const char *by,
    struct revoke_result *ret, struct err *e);

/* Revokes (reason superseded) certificates of ours whose devices have used a newer one
 * for pki.superseded_soak; at most batch a call, never one in use. *ret_more: there may
 * be more. */
must_check int revoke_superseded(
    struct domain *d, int64_t batch, bool *ret_more, struct err *e);

#endif
