#ifndef STORE_RESOURCE_H
#define STORE_RESOURCE_H
/*
 * What the resource manager keeps of its resources. Contracts of time, memory and errors
 * are those of store/store.h.
 */
#include "store/store.h"

struct store_resource {
	const char *kind; /* "hub", "dps" */
	const char *name; /* a hub's host name, compared without case; "" of the DPS */
	struct span tags; /* a JSON object */
	int64_t etag;
	bool linked;            /* of a DPS: store_link says to what */
	const char *allocation; /* of a DPS: its policy; "" = the configuration's */
	struct span routes;     /* of a hub: a JSON array */
	bool routed;            /* one of them takes every message to "events" */
	bool fallback;          /* what none of them takes goes there */
};

must_check int store_resource_get(struct store *s, const char *kind, const char *name,
    struct arena *a, struct store_resource *ret, struct err *e);
/* Inserts or rewrites. */
must_check int store_resource_put(
    struct store *s, const struct store_resource *r, struct err *e);

/* A hub that a provisioning service is linked to. dps: "" = the first. */
struct store_link {
	const char *dps, *hub; /* a host name, compared without case */
	const char *location;
	bool apply;
	int64_t weight;
};

/* EXISTS. */
must_check int store_link_add(struct store *s, const struct store_link *l, struct err *e);
/* Forgets all of a service. */
must_check int store_link_clear(struct store *s, const char *dps, struct err *e);
must_check int store_link_each(struct store *s, const char *dps,
    int (*visit)(void *ctx, const struct store_link *l, struct err *e), void *ctx,
    struct err *e);

/* A consumer group of a hub's events; both names are compared without case. */
struct store_consumer {
	const char *hub, *name;
	int64_t made_ms;
};

must_check int store_consumer_get(struct store *s, const char *hub, const char *name,
    struct arena *a, struct store_consumer *ret, struct err *e);
/* EXISTS. */
must_check int store_consumer_add(
    struct store *s, const struct store_consumer *c, struct err *e);
/* NOT_FOUND. */
must_check int store_consumer_del(
    struct store *s, const char *hub, const char *name, struct err *e);
must_check int store_consumer_each(struct store *s, const char *hub,
    int (*visit)(void *ctx, const struct store_consumer *c, struct err *e), void *ctx,
    struct err *e);

#endif
