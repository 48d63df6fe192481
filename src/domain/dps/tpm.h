#ifndef DOMAIN_TPM_H
#define DOMAIN_TPM_H
/*
 * Attestation by TPM (protocol/device.md 1.13). A device that names its keys is given a
 * nonce that only the TPM of the enrolled endorsement key can use, signs its token with
 * it, and is given its key for the hub the same way. Nonces are not kept: they are
 * derived from a secret of the database, the enrollment and the time, so that nobody
 * unproven writes anything.
 */
#include "domain/dps/attest.h"

/* By the device's own enrollment n: proven (ret->by set), or ret->challenge set to what
 * its TPM must open first, or refused. */
must_check int tpm_attest(struct domain *d, const struct attest_ask *ask,
    const struct store_enrollment *n, struct attested *ret, struct refusal *no,
    struct err *e);
/* A key wrapped for the TPM of n, whose storage root key is known. In d->arena. */
must_check int tpm_wrap(struct domain *d, const struct store_enrollment *n,
    struct span key, struct span *ret, struct err *e);

#endif
