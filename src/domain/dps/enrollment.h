#ifndef DOMAIN_ENROLLMENT_H
#define DOMAIN_ENROLLMENT_H
/*
 * Enrollment groups and individual enrollments as the service sees them
 * (protocol/service.md 1.4, 1.5), and which of them a certificate leads to.
 */
#include "domain/domain.h"
#include "store/enrollment.h"

/* Of all groups. A registration by key tries each, and edges judge by all their CAs. */
#define ENROLLMENT_GROUPS_MAX 1000

must_check int enrollment_get(struct domain *d, enum store_enrollment_kind kind,
    struct span id, struct store_enrollment *ret, struct err *e);
/* Creates or overwrites: 200 either way (service.md T16), unless m->mode asks for one of
 * the two. With If-Match the etag decides. A certificate may stand in one enrollment only
 * (EXISTS names the other). LIMIT where there are ENROLLMENT_GROUPS_MAX groups already,
 * or dps.individuals_max of the other kind. */
must_check int enrollment_put(struct domain *d, const struct ipc_enrollment_put *m,
    struct store_enrollment *ret, struct err *e);
must_check int enrollment_delete(
    struct domain *d, const struct ipc_enrollment_delete *m, struct err *e);

/* The group that names this CA certificate (lower-case hex SHA-256), by itself or by the
 * name of one whose possession was proven, or that it switches off. *ret_found false:
 * none does. */
must_check int enrollment_group_of(struct domain *d, const char *sha256,
    struct store_enrollment *ret, bool *ret_found, struct err *e);
/* Visits the CA certificates that devices of a group may come by: its own, or those
 * verified ones that it names. */
must_check int enrollment_each_ca(struct domain *d, const struct store_enrollment *n,
    int (*visit)(void *ctx, struct span der, const char *sha256, struct err *e),
    void *ctx, struct err *e);
/* Whether devices of some group may come by this CA (lower-case hex SHA-256). */
must_check int enrollment_is_ca(
    struct domain *d, const char *sha256, bool *ret, struct err *e);
/* True where it names its CAs instead of holding them. */
bool enrollment_is_by_name(const struct store_enrollment *n);

#endif
