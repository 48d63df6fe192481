#ifndef DOMAIN_REVOKE_ALLOW_H
#define DOMAIN_REVOKE_ALLOW_H
/*
 * The way back of a registration ID: a device that was revoked for good stays revoked,
 * but its name may be given to another.
 */
#include "domain/pki/revoke.h"

/* Takes m's device off the list of those that may not enrol, in the caller's transaction.
 * No certificate is un-revoked and no identity enabled: ret says what is left to do.
 * ERR_PARSE without a device or a comment, or with what is of another order;
 * ERR_CONFLICT where nothing is blocked, or only held (an undo ends that, and gives back
 * all of it). Texts live in d->arena. */
must_check int revoke_allow(struct domain *d, const struct ipc_revoke *m,
    struct revoke_result *ret, struct err *e);

#endif
