#ifndef DOMAIN_ENROL_H
#define DOMAIN_ENROL_H
/*
 * Registration of devices (DPS): attestation, the enrollment group that decides,
 * allocation, the identity written to the hub, and the registration's record
 * (protocol/device.md 1 and 2).
 *
 * What is written differs by profile. native: an X.509 device becomes
 * certificateAuthority and keeps its SAS keys for its migration window; azure: selfSigned
 * with the leaf's thumbprint, keys gone (device.md 2.3).
 */
#include "domain/domain.h"

/* The answer of a registration or a poll; refused when no->code is set. */
must_check int enrol_register(struct domain *d, const struct ipc_dps_register *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e);
must_check int enrol_poll(struct domain *d, const struct ipc_dps_poll *m,
    struct ipc_dps_state *ret, struct refusal *no, struct err *e);

/* A stored registration as it goes over the wire. */
struct ipc_dps_state enrol_state(const struct store_registration *r);

#endif
