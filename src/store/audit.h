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
/* Those after after_seq that are not older than since_ms, oldest first. */
must_check int store_audit_each(struct store *s, int64_t after_seq, int64_t since_ms,
    int64_t limit, int (*visit)(void *ctx, const struct store_audit *a, struct err *e),
    void *ctx, struct err *e);
/* Drops those older than before_ms, of the batch oldest. */
must_check int store_audit_trim(
    struct store *s, int64_t before_ms, int64_t batch, struct err *e);

#endif
