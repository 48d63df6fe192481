#ifndef STORE_AUDIT_H
#define STORE_AUDIT_H
/*
 * The audit record. Contracts of time, memory and errors are those of store/store.h.
 */
#include "store/store.h"

struct store_audit {
	int64_t seq; /* ascending, never reused */
	int64_t at_ms;
	const char *who;    /* "operator:NAME", "policy:NAME" */
	const char *auth;   /* "x509", "bearer", "sas" */
	const char *what;   /* of tbl/audit.def */
	const char *target; /* what it was done to, "" where that is clear */
	const char *result; /* "OK", "STARTED", or a name of tbl/err.def */
	const char *detail; /* why not */
	const char *peer, *agent;
};

/* seq is ignored. */
must_check int store_audit_add(
    struct store *s, const struct store_audit *a, struct err *e);
/* Those after after_seq that are not older than since_ms, oldest first, of the next
 * STORE_AUDIT_WALK; *ret_next: the last of these, 0 where they were all. */
#define STORE_AUDIT_WALK 10000
must_check int store_audit_each(struct store *s, int64_t after_seq, int64_t since_ms,
    int64_t limit, int (*visit)(void *ctx, const struct store_audit *a, struct err *e),
    void *ctx, int64_t *ret_next, struct err *e);
/* Drops those older than before_ms and those beyond the newest max_rows, of the batch
 * oldest. */
must_check int store_audit_trim(struct store *s, int64_t before_ms, int64_t max_rows,
    int64_t batch, int64_t *ret_dropped, struct err *e);

#endif
