#ifndef STORE_CONFIGURATION_H
#define STORE_CONFIGURATION_H
/*
 * The core's memory of configurations (protocol/service.md 2.7): what each sets, whom it
 * is true of, and whom to look at anew. That an identity has come, or its tags or
 * reported properties have changed, is noted by the database itself, whatever changed
 * them. The contracts of time, memory and errors are store.h's.
 */
#include "store/store.h"

enum store_walk { STORE_WALK_NONE, STORE_WALK_MEANT, STORE_WALK_ALL };

struct store_configuration {
	const char *hub, *id;
	int64_t etag;
	const char *schema_version;
	struct span labels, content; /* JSON, as they are shown */
	struct span desired;         /* JSON: what is merged */
	bool modules;                /* it is for modules */
	const char *condition;       /* "": nobody is meant */
	int64_t priority;
	struct span metrics; /* JSON: queries by name */
	int64_t created_ms, updated_ms;
	bool gone;
	int walk; /* enum store_walk */
	int64_t at;
	int64_t targeted, applied; /* counted by the store */
	int64_t n;                 /* given by the store */
};

/* targeted, applied and n are ignored. EXISTS */
must_check int store_configuration_add(
    struct store *s, const struct store_configuration *x, struct err *e);
/* Of those that are not gone. NOT_FOUND */
must_check int store_configuration_get(struct store *s, const char *hub, const char *id,
    struct arena *a, struct store_configuration *ret, struct err *e);
/* Rewrites all but what the store counts, by n. */
must_check int store_configuration_put(
    struct store *s, const struct store_configuration *x, struct err *e);
/* walk and at alone, by n. */
must_check int store_configuration_walk(
    struct store *s, const struct store_configuration *x, struct err *e);
must_check int store_configuration_del(struct store *s, int64_t n, struct err *e);
/* All, those that are gone too: lowest priority first, of one priority the oldest. */
must_check int store_configuration_each(struct store *s,
    int (*visit)(void *ctx, const struct store_configuration *x, struct err *e),
    void *ctx, struct err *e);

/* Whom it is true of, by number after one. */
must_check int store_configuration_meant(struct store *s, int64_t n, int64_t after,
    size_t max, int64_t *ret, size_t *ret_n, struct err *e);
/* The numbers of up to max configurations that an identity is in. */
must_check int store_configuration_of(struct store *s, int64_t device, size_t max,
    int64_t *ret, size_t *ret_n, struct err *e);
must_check int store_configuration_set(
    struct store *s, int64_t n, int64_t device, bool applied, struct err *e);
must_check int store_configuration_unset(
    struct store *s, int64_t n, int64_t device, struct err *e);

/* Some that are to be looked at anew. */
must_check int store_configuration_due(
    struct store *s, size_t max, int64_t *ret, size_t *ret_n, struct err *e);
must_check int store_configuration_done(struct store *s, int64_t device, struct err *e);

#endif
