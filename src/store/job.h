#ifndef STORE_JOB_H
#define STORE_JOB_H
/*
 * The core's memory of scheduled jobs (protocol/service.md 2.7): what each is to do, and
 * how far it has come, so that it goes on where it was. The contracts of time, memory and
 * errors are store.h's.
 */
#include "store/store.h"

/* As on the wire (codec/ipc_msg.h). Those before COMPLETED are open. */
enum store_job_status {
	STORE_JOB_SCHEDULED,
	STORE_JOB_QUEUED,
	STORE_JOB_RUNNING,
	STORE_JOB_COMPLETED,
	STORE_JOB_FAILED,
	STORE_JOB_CANCELLED
};

struct store_job {
	const char *hub, *id; /* name it; the ID with its case */
	int kind;             /* enum ipc_job_kind */
	const char *condition;
	const char *if_match;      /* of the twins; "" = whatever there is */
	struct span tags, desired; /* JSON; empty = not given */
	const char *method;
	struct span payload; /* JSON */
	int64_t connect_s, response_s, max_s;
	int64_t created_ms, start_ms;
	/* progress: what store_job_put writes */
	int status; /* enum store_job_status */
	int64_t began_ms, ended_ms;
	const char *reason; /* it failed for */
	int64_t at, last;   /* numbers of identities: looked at; the last that counts */
	int64_t succeeded, failed; /* devices */
	int64_t n;                 /* given by the store */
};

/* n is ignored. EXISTS */
must_check int store_job_add(struct store *s, const struct store_job *j, struct err *e);
/* NOT_FOUND, both. */
must_check int store_job_get(struct store *s, const char *hub, const char *id,
    struct arena *a, struct store_job *ret, struct err *e);
must_check int store_job_at(
    struct store *s, int64_t n, struct arena *a, struct store_job *ret, struct err *e);
must_check int store_job_put(struct store *s, const struct store_job *j, struct err *e);
/* A hub's, by ID after one. */
must_check int store_job_each(struct store *s, const char *hub, const char *after,
    int64_t limit, int (*visit)(void *ctx, const struct store_job *j, struct err *e),
    void *ctx, struct err *e);
/* The numbers of up to max open jobs, those that start first before others; *ret_next:
 * when the first of them starts that has not at now_ms, 0: none. */
must_check int store_job_open(struct store *s, int64_t now_ms, size_t max, int64_t *ret,
    size_t *ret_n, int64_t *ret_next, struct err *e);
/* A hub's open ones; of them those whose start is not after now_ms, and of those the ones
 * that run. */
struct store_job_counts {
	int64_t open, active, running;
};
must_check int store_job_counts(struct store *s, const char *hub, int64_t now_ms,
    struct store_job_counts *ret, struct err *e);
/* Drops those that ended before that; at most batch. */
must_check int store_job_trim(
    struct store *s, int64_t before_ms, int64_t batch, struct err *e);
/* The highest number of an identity, 0: there is none. */
must_check int store_device_last(struct store *s, int64_t *ret, struct err *e);

/* Calls under way: of a device (its number) by a job. */
must_check int store_job_call_add(
    struct store *s, int64_t job, int64_t device, struct err *e);
/* NOT_FOUND */
must_check int store_job_call_del(
    struct store *s, int64_t job, int64_t device, struct err *e);
must_check int store_job_call_count(
    struct store *s, int64_t job, int64_t *ret, struct err *e);
/* Nobody hears their ends any more: all count as failed. */
must_check int store_job_calls_lost(struct store *s, struct err *e);

#endif
