#ifndef DOMAIN_CONSUMER_H
#define DOMAIN_CONSUMER_H
/*
 * Consumer groups of a hub's events: names under which readers of the one stream stand
 * apart. "$Default" is there without a row, and stays.
 */
#include "domain/domain.h"
#include "store/resource.h"

#define CONSUMER_DEFAULT "$Default"
#define CONSUMER_MAX     20 /* of a hub, as Azure's standard tier */

/* host: a hub's; NOT_FOUND where it is none, or it has no such group. */
must_check int consumer_get(struct domain *d, struct span host, struct span name,
    struct store_consumer *ret, struct err *e);
/* "$Default" first, then by name. */
must_check int consumer_each(struct domain *d, struct span host,
    int (*visit)(void *ctx, const struct store_consumer *c, struct err *e), void *ctx,
    struct err *e);
/* Makes it, or leaves the one there is. PARSE of a name that it cannot have, LIMIT. */
must_check int consumer_put(struct domain *d, struct span host, struct span name,
    struct store_consumer *ret, struct err *e);
must_check int consumer_delete(
    struct domain *d, struct span host, struct span name, struct err *e);

#endif
