#ifndef DOMAIN_ATTEST_H
#define DOMAIN_ATTEST_H
/*
 * Which enrollment vouches for a device that registers (protocol/device.md 2.2). The most
 * specific one decides, enabled or not, and nothing more general is asked after it:
 *
 * - by certificate: the individual enrollment that holds the leaf; else the group of the
 *   nearest CA, from the issuer upward.
 * - by key: the individual enrollment of the registration ID; else the group one of whose
 *   keys signed, as the device derives it.
 * - an individual enrollment of the registration ID that is disabled blocks whatever is
 *   presented; an enabled one of certificates is not passed by with another certificate;
 *   one of the other kind of attestation stands aside, so that a fleet can go from keys
 * to certificates (protocol/service.md 7.4).
 */
#include "domain/pki/leaf.h"
#include "store/enrollment.h"

/* Who asks. endorsement_key, storage_root_key: TPM2B_PUBLIC of a device with a TPM, from
 * its request. */
struct attest_ask {
	const struct ipc_cred *cred;
	struct span scope, registration_id;
	struct span endorsement_key, storage_root_key;
};

struct attested {
	struct span challenge;      /* not empty: nothing is proven yet, and this is to be
				       opened by the device's TPM first (domain/dps/tpm.h) */
	struct store_enrollment by; /* look at by.enabled */
	bool by_key;
	struct span primary_key,
	    secondary_key; /* by_key: the device's own, in d->arena */
	/* by certificate: */
	char thumb[LEAF_THUMB]; /* of the leaf */
	const char *cn;
	bool has_chain; /* the leaf stands under a CA that is trusted here */
};

must_check int attest(struct domain *d, const struct attest_ask *ask,
    struct attested *ret, struct refusal *no, struct err *e);
/* Refuses a token that has expired, is for something else, or of no use by now; not by
 * its signature. */
must_check int attest_check_token(
    struct domain *d, const struct attest_ask *ask, struct refusal *no, struct err *e);

#endif
