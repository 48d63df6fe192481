#ifndef DOMAIN_TWIN_H
#define DOMAIN_TWIN_H
/*
 * Twins (protocol/device.md 3.12): what becomes of tags, desired and reported properties
 * when a device or a service changes them, within which limits, under which version. What
 * comes here was parsed and written anew by an edge.
 *
 * When each property changed is kept beside its tree, in the same shape: for an object an
 * object with the times of its members, and its own under the name "", which no property
 * can have; for anything else the time alone. A time is [ms] or, for desired, [ms,
 * version]. Where one is missing, that of the object around it holds.
 */
#include "domain/domain.h"

/* The empty twin of an identity that is made now. */
void twin_begin(struct domain *d, struct store_device *dev);
/* The tags and desired properties that an enrollment begins with, instead of what was
 * there; dev is not stored. *ret_change: as twin_change's. */
must_check int twin_initial(struct domain *d, struct span tags, struct span desired,
    struct store_device *dev, struct span *ret_change, struct err *e);

/* Drops what the device reported: it begins anew, under a higher version. */
void twin_drop_reported(struct domain *d, struct store_device *dev);

/* A device's report, merged and stored. name: the identity's. CONFLICT where the reported
 * properties are not of the version it was meant for; LIMIT. */
must_check int twin_report(struct domain *d, const char *name,
    const struct ipc_hub_twin_report *m, int64_t *ret_version, struct err *e);
/* PATCH (merge, null deletes) and PUT (replace) of tags and desired properties: of dev,
 * which was read before, and stored. *ret_change: the patch that makes the device's copy
 * of its desired properties what they are now; empty where they were not touched. */
must_check int twin_change(struct domain *d, const struct ipc_twin_patch *m,
    struct store_device *dev, struct span *ret_change, struct err *e);

#endif
