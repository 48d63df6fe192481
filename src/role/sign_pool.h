#ifndef ROLE_SIGN_POOL_H
#define ROLE_SIGN_POOL_H
/*
 * Signatures of one turn over all CPUs: each worker thread has its own clone of the
 * issuers. Few requests are signed by the caller alone; threads are not worth waking for
 * them.
 */
#include <stdint.h>

#include "codec/ipc_msg.h"
#include "crypto/ca.h"

struct sign_job {
	/* in */
	uint64_t id;
	enum profile_id profile;
	char subject[CAP_ID + 1], requester[201], names[4097];
	const char *san[TBS_SAN_MAX]; /* into names */
	size_t n_san;
	uint8_t spki[1024];
	size_t spki_len;
	int64_t life_s;
	/* out */
	bool failed;
	struct err why;
	uint8_t der[4096];
	size_t der_len;
	struct issuer_result result;
};

struct sign_pool;

/* org: O of the subjects. backdate_s: how far notBefore lies in the past. Threads start
 * here, so the jail is entered before. */
must_check struct sign_pool *sign_pool_new(
    struct ca *ca, const char *org, int64_t backdate_s, unsigned workers, struct err *e);
void sign_pool_free(struct sign_pool *p);
/* Signs all; returns when every job has its certificate or its reason. */
void sign_pool_run(struct sign_pool *p, struct sign_job *jobs, size_t n);

#endif
