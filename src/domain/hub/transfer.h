#ifndef DOMAIN_TRANSFER_H
#define DOMAIN_TRANSFER_H
/*
 * Jobs that import identities from a blob or export them into one (protocol/service.md
 * 2.7): what may be one, and its life. One at a time is open in a server, as at Azure.
 */
#include "domain/domain.h"
#include "store/job.h"
#include "store/transfer.h"

#define TRANSFER_LIST_MAX   100
#define TRANSFER_ERRORS_MAX (1024 * 1024) /* of the lines that say what went wrong */

/* keys: whoever asks may see keys of identities. */
must_check int transfer_put(struct domain *d, const struct ipc_transfer_put *m, bool keys,
    struct store_transfer *ret, struct refusal *no, struct err *e);
must_check int transfer_get(struct domain *d, struct span host, struct span id,
    struct store_transfer *ret, struct refusal *no, struct err *e);
must_check int transfer_cancel(struct domain *d, struct span host, struct span id,
    struct refusal *no, struct err *e);
/* It has ended so (enum store_job_status); why: "" where it is well. */
must_check int transfer_end(struct domain *d, struct store_transfer *t, int status,
    const char *why, struct err *e);

#endif
