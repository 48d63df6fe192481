#ifndef ROLE_SIGN_POOL_H
#define ROLE_SIGN_POOL_H
/*
 * Signatures of one turn over all CPUs: each worker thread has its own clone of the
 * issuers. Few requests are signed by the caller alone; threads are not worth waking for
 * them.
 */
#include <stdint.h>

#include "crypto/ca.h"

struct sign_job {
	/* in; all borrowed until the job is answered */
	uint64_t id;
	size_t by; /* which CA of the pool's */
	struct issuer_request req;
	const char *requester;
	int64_t shard; /* of its CRL, -1: it names none */
	/* out, until the next run */
	const struct err *why; /* NULL: signed */
	struct span der;
	struct issuer_result result;
};

struct sign_pool;

/* Threads start here, so the jail is entered before. */
must_check struct sign_pool *sign_pool_new(
    const struct ca *ca, unsigned workers, struct err *e);
void sign_pool_free(struct sign_pool *p);
/* Signs all (at most SIGN_POOL_MAX); returns when every job has its certificate or its
 * reason. A job's CA must have its issuer. */
#define SIGN_POOL_MAX 4096
void sign_pool_run(struct sign_pool *p, struct sign_job *jobs, size_t n);

#endif
