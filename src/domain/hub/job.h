#ifndef DOMAIN_JOB_H
#define DOMAIN_JOB_H
/*
 * Scheduled jobs (protocol/service.md 2.7): an update of twins or a direct method for
 * every device that a condition is true of, from a time on. Which devices there are is
 * asked when the job begins; each is looked at once, in the order they were made in, so
 * that a job goes on after a restart where it was.
 *
 * A rule that says no fills *no.
 */
#include "codec/query.h"
#include "domain/domain.h"
#include "store/job.h"

#define JOB_OPEN_MAX 100                       /* of a hub, waiting ones included */
#define JOB_MAX_S    (7 * 86400)               /* that one may take */
#define JOB_AHEAD_MS (INT64_C(366) * 86400000) /* of its start */
#define JOB_CALLS    50                        /* of devices at once */

must_check int job_put(struct domain *d, const struct ipc_job_put *m,
    struct store_job *ret, struct refusal *no, struct err *e);
must_check int job_get(struct domain *d, struct span host, struct span id,
    struct store_job *ret, struct refusal *no, struct err *e);
/* From now on it begins nothing. *ret: as it is then. */
must_check int job_cancel(struct domain *d, struct span host, struct span id,
    struct store_job *ret, struct refusal *no, struct err *e);

/* Its turn has come: a job that waited begins, if its hub has room for one more; one
 * whose time is over fails. *ret_on: it is running (then, still). */
must_check int job_step(
    struct domain *d, struct store_job *j, bool *ret_on, struct err *e);
/* All devices were looked at; calls: of them still under way. */
void job_looked(struct domain *d, struct store_job *j, int64_t calls);
/* A job that cannot go on. */
void job_fail(struct domain *d, struct store_job *j, const char *why);

#endif
