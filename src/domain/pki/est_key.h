#ifndef DOMAIN_EST_KEY_H
#define DOMAIN_EST_KEY_H
/*
 * One key, one identity: what is certified already for somebody else is not certified
 * again (field/reliability.md row 17). Its strength was judged with the request.
 */
#include "domain/domain.h"

/* Refuses (EST_KEY_REUSE) a key, by the SHA-256 of its SPKI in hex, that stands in a
 * certificate for another device, for an operator or a server, in a CA's, or in what
 * another device connected with last; or that was revoked as compromised, anybody's. */
must_check int est_key_check(struct domain *d, const char *device_id,
    const char *key_sha256, struct refusal *no, struct err *e);

#endif
