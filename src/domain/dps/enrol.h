#ifndef DOMAIN_ENROL_H
#define DOMAIN_ENROL_H
/*
 * Registration of devices (DPS): allocation, the identity written to the hub, and the
 * registration's record (protocol/device.md 1 and 2). Which enrollment decides:
 * domain/dps/attest.h; which hub, and what becomes of the data: domain/dps/assign.h.
 *
 * What is written differs by profile. native: an X.509 device of a group becomes
 * certificateAuthority (selfSigned with the leaf's thumbprint where an individual
 * enrollment names it, or its ID is not its CN) and keeps its SAS keys for its migration
 * window; azure: selfSigned always, keys gone (device.md 2.3).
 *
 * Some registrations are not decided at once: a webhook chooses the hub, the signer makes
 * a certificate. Then the record says "assigning" under its operation, the caller does
 * what "next" says and comes back with what came of it. A poll finds the record whatever
 * connection it comes over; one whose answer cannot come any more has failed.
 */
#include "domain/domain.h"
#include "domain/pki/est.h"
#include "domain/pki/leaf.h"
#include "store/enrollment.h"

#define ENROL_KEY_MAX  64
#define ENROL_SPKI_MAX 1024

/* What an undecided registration goes on with. Plain memory, which outlives the turn; it
 * may hold keys: wipe it. */
struct enrol_pending {
	char id[CAP_ID + 1], operation_id[CAP_ID + 1];
	enum store_enrollment_kind kind;
	char enrollment[CAP_ID + 1];
	bool by_key, has_chain;
	uint8_t keys[2][ENROL_KEY_MAX];
	size_t key_len[2];
	char thumb[LEAF_THUMB], cn[CAP_ID + 1];
	char address[65], proto[17], api_version[65]; /* the device's peer */
	uint8_t spki[ENROL_SPKI_MAX]; /* of its CSR; spki_len 0: it brought none */
	size_t spki_len;
	char csr_cn[CAP_ID + 1];
	struct est_promise promise; /* ENROL_ISSUE */
};

enum enrol_next {
	ENROL_DONE,
	ENROL_CALL,  /* ask the webhook, then enrol_called */
	ENROL_ISSUE, /* ask the signer, then enrol_issued, and est_done always */
};

struct enrol_result {
	struct ipc_dps_state state; /* for the device, now */
	enum enrol_next next;
	struct enrol_pending pending;  /* unless ENROL_DONE */
	struct ipc_signer_issue issue; /* ENROL_ISSUE; in d->arena */
	const char *moved; /* device whose sessions are to be looked at; NULL: none */
	/* what the device is to be told of its desired properties where it is connected;
	 * patch empty: nothing. In d->arena, whatever became of the registration. */
	struct enrol_twin {
		const char *device_id;
		struct span patch;
		int64_t version;
	} twin;
};

/* Refused when no->code is set; state.status is set too where the registration has a
 * record of that (disabled, failed). "unassigned": the device's TPM has to prove itself
 * by tpm_key first. */
must_check int enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct enrol_result *ret, struct refusal *no, struct err *e);
must_check int enrol_poll(struct domain *d, const struct ipc_dps_poll *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e);

/* The webhook's answer, or NULL and why there is none. Another registration of the ID
 * meanwhile: state.status is empty, and nothing is changed. *no: why it failed. */
must_check int enrol_called(struct domain *d, const struct enrol_pending *p,
    const struct ipc_hook_answer *answer, const char *why, struct enrol_result *ret,
    struct refusal *no, struct err *e);
/* The certificate, on record already; NULL: there is none. As enrol_called. A certificate
 * that must not be handed out any more is revoked here. */
must_check int enrol_issued(struct domain *d, const struct enrol_pending *p,
    const struct ipc_signer_issued *got, const char *why, struct enrol_result *ret,
    struct refusal *no, struct err *e);
/* What the webhook is asked, but for the enrollment's own text. In d->arena. */
must_check int enrol_question(struct domain *d, const struct enrol_pending *p,
    struct span payload, struct store_enrollment *ret_by, struct ipc_hook_call *ret,
    struct err *e);

/* A stored registration as it goes over the wire; its chain stays empty. */
struct ipc_dps_state enrol_state(const struct store_registration *r);

#endif
