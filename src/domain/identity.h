#ifndef DOMAIN_IDENTITY_H
#define DOMAIN_IDENTITY_H
/*
 * What a registration writes to the hub: the identity's credential (domain/enrol.h says
 * what differs by profile), its hub and data (domain/assign.h).
 */
#include "domain/assign.h"
#include "domain/attest.h"

struct identity_change {
	const char *device_id, *hub;
	const struct attested *by;
	const struct assign_ask *assign;
};
/* Refuses a disabled identity, and a key for a device that has gone over to X.509 for
 * good. */
must_check int identity_write(struct domain *d, const struct identity_change *ch,
    struct assign_outcome *ret, struct refusal *no, struct err *e);

/* The device was issued a certificate (SHA-256, hex) under its own ID: from now on that
 * opens the hub. */
must_check int identity_certify(
    struct domain *d, const char *device_id, const char *sha256, struct err *e);

#endif
