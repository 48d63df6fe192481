#ifndef DOMAIN_ENROL_H
#define DOMAIN_ENROL_H
/*
 * Registration of devices (DPS): allocation, the identity written to the hub, and the
 * registration's record (protocol/device.md 1 and 2). Which enrollment decides:
 * domain/attest.h.
 *
 * What is written differs by profile. native: an X.509 device becomes
 * certificateAuthority (selfSigned with the leaf's thumbprint where it has no chain or
 * another ID than its CN) and keeps its SAS keys for its migration window; azure:
 * selfSigned always, keys gone (device.md 2.3).
 */
#include "domain/domain.h"

/* The answer of a registration or a poll; refused when no->code is set. "unassigned": the
 * device's TPM has to prove itself by tpm_key first. */
must_check int enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e);
must_check int enrol_poll(struct domain *d, const struct ipc_dps_poll *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e);

/* A stored registration as it goes over the wire. */
struct ipc_dps_state enrol_state(const struct store_registration *r);

#endif
