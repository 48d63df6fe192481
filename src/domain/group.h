#ifndef DOMAIN_GROUP_H
#define DOMAIN_GROUP_H
/*
 * Enrollment groups as the service sees them (protocol/service.md 1.4, 1.5).
 */
#include "domain/domain.h"

/* Of all groups. A registration by key tries each, and edges judge by all their CAs. */
#define GROUP_MAX 1000

must_check int group_get(
    struct domain *d, struct span id, struct store_group *ret, struct err *e);
/* Creates or overwrites: 200 either way (service.md T16). With If-Match the etag decides.
 * A certificate may stand in one group only (EXISTS names the other). LIMIT where there
 * are GROUP_MAX already. */
must_check int group_put(struct domain *d, const struct ipc_group_put *m,
    struct store_group *ret, struct err *e);
must_check int group_delete(
    struct domain *d, const struct ipc_group_delete *m, struct err *e);

#endif
