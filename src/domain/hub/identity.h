#ifndef DOMAIN_IDENTITY_H
#define DOMAIN_IDENTITY_H
/*
 * What a registration writes to the hub: the identity's credential (domain/dps/enrol.h
 * says what differs by profile), its hub and data (domain/dps/assign.h).
 */
#include "domain/dps/assign.h"
#include "domain/dps/attest.h"

struct identity_change {
	const char *device_id, *hub;
	const struct attested *by;
	const struct assign_ask *assign;
};
/* Refuses a disabled identity, and a key for a device that has gone over to X.509 for
 * good. *ret_version: of the desired properties that ret->change leads to. */
must_check int identity_write(struct domain *d, const struct identity_change *ch,
    struct assign_outcome *ret, int64_t *ret_version, struct refusal *no, struct err *e);

/* The device was issued a certificate (SHA-256, hex) with its registration: from now on
 * that opens the hub; in native beside the one that it is enrolled by, where it is. */
must_check int identity_certify(
    struct domain *d, const char *device_id, const char *sha256, struct err *e);
/* The device was issued one by itself, over the one that it showed ("": by a token, or an
 * operator). native: where the hub knows it by its certificate, both open the hub, and
 * what it had before goes; but what an operator entered as the second one stays, and then
 * the new one opens nothing. azure: the device registers anew. */
must_check int identity_renewed(struct domain *d, const char *device_id,
    const char *shown, const char *sha256, struct err *e);

#endif
