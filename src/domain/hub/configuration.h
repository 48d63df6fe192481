#ifndef DOMAIN_CONFIGURATION_H
#define DOMAIN_CONFIGURATION_H
/*
 * Configurations (protocol/service.md 2.7): desired properties for every device, or
 * module, that a condition is true of, now and later. Of several that mean one the
 * properties of all are set, those of the highest priority last; of one priority those of
 * the youngest. What a configuration has set stays when it goes.
 *
 * A rule that says no fills *no.
 */
#include "domain/domain.h"
#include "store/configuration.h"

#define CONFIGURATIONS_MAX 100  /* of a hub, as at Azure */
#define CONFIGURATIONS_ALL 1024 /* of all hubs, those that are gone and yet walk too */
/* What a slice needs of memory for all of them, at most. */
#define CONFIGURATIONS_BYTES (192u << 20)

/* Of one: what it sets, and its condition, read. */
size_t configuration_bytes(struct span desired, struct span condition);

/* Creates without If-Match, rewrites with one; the content stays what it was made with.
 * CONFLICT: etag. */
must_check int configuration_put(struct domain *d, const struct ipc_configuration_put *m,
    struct store_configuration *ret, struct refusal *no, struct err *e);
must_check int configuration_get(struct domain *d, struct span host, struct span id,
    struct store_configuration *ret, struct refusal *no, struct err *e);
/* It is gone at once; whom it was true of is looked at after that. */
must_check int configuration_delete(struct domain *d,
    const struct ipc_configuration_delete *m, struct refusal *no, struct err *e);

/* A slice of its walk ended at "at": nothing is left of this part where over is set.
 * *ret_on: it still walks. */
must_check int configuration_walked(struct domain *d, struct store_configuration *x,
    bool over, bool *ret_on, struct err *e);

#endif
