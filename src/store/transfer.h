#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H
/*
 * The core's memory of jobs that import or export identities (protocol/service.md 2.7).
 * Contracts as in store/store.h. The containers' URIs carry what opens them.
 */
#include "store/store.h"

struct store_transfer {
	const char *hub, *id;
	bool exports;
	const char *input, *input_name, *output, *output_name;
	bool no_keys;
	int64_t created_ms;
	/* progress: what store_transfer_put writes */
	int status; /* enum store_job_status */
	int64_t ended_ms;
	const char *reason;
	int64_t at;           /* bytes of the input, or the last identity's number */
	int64_t blocks;       /* written of the output */
	int64_t done, failed; /* identities */
	struct span errors;   /* lines of JSON */
	int64_t n;            /* given by the store */
};

/* n is ignored. */
must_check int store_transfer_add(
    struct store *s, const struct store_transfer *t, struct err *e);
/* NOT_FOUND, both. */
must_check int store_transfer_get(struct store *s, const char *hub, const char *id,
    struct arena *a, struct store_transfer *ret, struct err *e);
/* The oldest that has not ended. */
must_check int store_transfer_open(
    struct store *s, struct arena *a, struct store_transfer *ret, struct err *e);
/* One that has ended (status) loses what opens its containers. */
must_check int store_transfer_put(
    struct store *s, const struct store_transfer *t, struct err *e);
/* A hub's, youngest first. */
must_check int store_transfer_each(struct store *s, const char *hub, int64_t limit,
    int (*visit)(void *ctx, const struct store_transfer *t, struct err *e), void *ctx,
    struct err *e);
must_check int store_transfer_trim(struct store *s, int64_t before_ms, struct err *e);

#endif
