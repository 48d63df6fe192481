#ifndef DOMAIN_TRUST_H
#define DOMAIN_TRUST_H
/*
 * Where a chain that is whole counts. Edges judge by one set of CAs; three kinds of them
 * end a chain (role/core.c): our own device CAs and those of enrollment groups, on every
 * hub; and a hub's certificates (ca_cert.h), verified, on that hub alone.
 */
#include "domain/domain.h"

enum trust {
	TRUST_NONE,
	TRUST_SERVER, /* anywhere */
	TRUST_HUB,    /* on this hub, for one of its certificates */
};

/* cas: the SHA-256 of each CA above the leaf, 32 bytes each. hub: its name; NULL: no
 * hub's certificates count. */
must_check int trust_of(
    struct domain *d, struct span cas, const char *hub, enum trust *ret, struct err *e);
/* Refuses (CERT_ELSEWHERE) what is trusted nowhere there. */
must_check int trust_check(struct domain *d, const struct ipc_cred *cred, const char *hub,
    enum trust *ret, struct refusal *no, struct err *e);

#endif
