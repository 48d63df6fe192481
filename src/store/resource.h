#ifndef STORE_RESOURCE_H
#define STORE_RESOURCE_H
/*
 * Tags of the resource manager's resources. Contracts of time, memory and errors are
 * those of store/store.h.
 */
#include "store/store.h"

struct store_resource {
	const char *kind; /* "hub", "dps" */
	const char *name; /* a hub's host name, compared without case; "" of the DPS */
	struct span tags; /* a JSON object */
	int64_t etag;
};

must_check int store_resource_get(struct store *s, const char *kind, const char *name,
    struct arena *a, struct store_resource *ret, struct err *e);
/* Inserts or rewrites. */
must_check int store_resource_put(
    struct store *s, const struct store_resource *r, struct err *e);

#endif
