#ifndef DOMAIN_DEVICE_H
#define DOMAIN_DEVICE_H
/*
 * Device identities and twins as the service sees them (protocol/service.md 2.2, 2.3).
 * Errors are for the caller of the API: NOT_FOUND, EXISTS, CONFLICT (etag), PARSE, LIMIT.
 */
#include "domain/domain.h"

/* GET. */
must_check int device_get(
    struct domain *d, struct span id, struct store_device *ret, struct err *e);

/* The same through the service API of the hub that host names (domain/hub/hubs.h): an
 * identity on another one is not there. */
must_check int device_find(struct domain *d, struct span host, struct span id,
    struct store_device *ret, struct err *e);

/* PUT: creates without If-Match (EXISTS when it is there), rewrites with one. A SAS
 * identity without keys gets fresh ones; a member not given is cleared, as Azure does. */
must_check int device_put(struct domain *d, const struct ipc_device_put *m,
    struct store_device *ret, struct err *e);
must_check int device_delete(
    struct domain *d, const struct ipc_device_delete *m, struct err *e);

/* Fresh keys (which: enum ipc_keys) for a SAS identity, a device's or a module's; *no for
 * one that has none. */
must_check int device_new_keys(struct domain *d, struct span host, struct span id,
    struct span module_id, uint8_t which, struct store_device *ret, struct refusal *no,
    struct err *e);

/* Writes what a PUT carries over an identity; members of other types are cleared. */
must_check int device_fill(struct domain *d, const struct ipc_device_put *m,
    struct store_device *dev, struct err *e);

/* PATCH and PUT of tags and desired properties, of a device or a module: *no where there
 * is no such module. *ret_change as twin_change says. */
must_check int device_twin_patch(struct domain *d, const struct ipc_twin_patch *m,
    struct store_device *ret, struct span *ret_change, struct refusal *no, struct err *e);

/* A number that no identity had before. In d->arena. */
const char *device_new_generation(struct domain *d);
/* A new identity with defaults filled in (generation, times, empty twin), not stored. */
struct store_device device_blank(struct domain *d, const char *id);

/* True where an If-Match text (quotes, "*", bare: service.md T17) lets etag through. */
bool device_etag_matches(struct span if_match, int64_t etag);

#endif
