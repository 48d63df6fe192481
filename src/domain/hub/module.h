#ifndef DOMAIN_MODULE_H
#define DOMAIN_MODULE_H
/*
 * Module identities: below a device, with keys or a certificate of their own, as the
 * service sees them (protocol/service.md 2.2). A rule that says no fills *no; errors are
 * those of domain/hub/device.h, NOT_FOUND speaking of the device.
 */
#include "domain/domain.h"

#define MODULES_MAX 20 /* of a device, as at Azure */

/* What the store knows an identity by: "dev", or "dev/mod" where module_id is not empty.
 * NULL where an ID has a '/' or is no text: there is no such identity. */
const char *module_name(struct domain *d, struct span device_id, struct span module_id);

/* The identity that the two IDs name, at the hub asked by host: the device's own where
 * module_id is empty. */
must_check int module_find(struct domain *d, struct span host, struct span device_id,
    struct span module_id, struct store_device *ret, struct refusal *no, struct err *e);

/* PUT: creates without If-Match, rewrites with one; as device_put. */
must_check int module_put(struct domain *d, const struct ipc_module_put *m,
    struct store_device *ret, struct refusal *no, struct err *e);
must_check int module_delete(struct domain *d, const struct ipc_module_delete *m,
    struct refusal *no, struct err *e);

#endif
