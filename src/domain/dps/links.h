#ifndef DOMAIN_LINKS_H
#define DOMAIN_LINKS_H
/*
 * The hubs that a provisioning service is linked to, with which of them take part in
 * allocation and by what weight, and its policy for enrollments that name none
 * (protocol/service.md 3.3). The configuration says it (every hub of hub.name;
 * dps.hub_weights, dps.hubs_excluded, dps.allocation) until somebody changes it over the
 * resource manager: from then on the store does, each of the two by itself.
 */
#include "domain/domain.h"

#define LINKS_MAX 50 /* Azure's (protocol/service.md 6.3), and the hubs there can be */

struct link {
	const char *hub; /* hub.name's spelling */
	const char *location;
	bool apply; /* takes part in allocation */
	int64_t weight;
};

struct links {
	struct link v[LINKS_MAX];
	size_t n;
	const char *allocation; /* "hashed", "geoLatency", "static" */
};

/* As the configuration says. */
void links_default(const struct config *cfg, struct links *ret);
/* As it is. A hub that is in hub.name no more is left out. In d->arena. */
must_check int links_load(struct domain *d, struct links *ret, struct err *e);
/* NULL where the hub (hub.name's spelling) is not linked. */
const struct link *links_find(const struct links *l, const char *hub);

/* What a list asks for: packed struct ipc_link, each behind its length (u32). PARSE where
 * one is no hub of this server, stands there twice, or comes with a key that no policy of
 * the hub has; one without a key must be linked already. Its policy is not there. */
must_check int links_parse(
    struct domain *d, struct span list, struct links *ret, struct err *e);
/* Stores the hubs of l; the policy is the resource's (store/resource.h). */
must_check int links_put(struct domain *d, const struct links *l, struct err *e);

#endif
