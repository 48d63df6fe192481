#ifndef DOMAIN_ROLLOVER_GROUP_H
#define DOMAIN_ROLLOVER_GROUP_H
/*
 * Enrollment groups in a rollover: the group that names the old CA (a certificate stands
 * in one group at most) names the new one beside it, then instead of it. The same goes
 * for their roots, where a group names one of those.
 */
#include "domain/domain.h"
#include "store/pki.h"

/* A CA and what comes after it; to as rows of the store. */
struct rollover_pair {
	const struct store_issuer *from, *to;
};

/* Nothing is changed: may `to` stand beside (or, instead: in the place of) `from`? EXISTS
 * where it is another group's, CONFLICT where the group has two certificates already. */
must_check int rollover_group_check(
    struct domain *d, const struct rollover_pair *p, bool instead, struct err *e);
must_check int rollover_group_add(
    struct domain *d, const struct rollover_pair *p, struct err *e);
must_check int rollover_group_replace(
    struct domain *d, const struct rollover_pair *p, struct err *e);
/* Takes `to` from beside `from`. */
must_check int rollover_group_undo(
    struct domain *d, const struct rollover_pair *p, struct err *e);
/* The group that names a certificate; "" where none does. In d->arena. */
must_check int rollover_group_of(
    struct domain *d, const char *sha256, const char **ret, struct err *e);

#endif
