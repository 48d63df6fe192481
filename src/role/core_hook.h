#ifndef ROLE_CORE_HOOK_H
#define ROLE_CORE_HOOK_H
/*
 * The core's end of custom allocation: registrations that wait for a webhook, and the
 * link to the process that calls it (role/hookd.h), which main starts when there is one
 * to be called. What waits is forgotten with the core; the record's own deadline ends it
 * then.
 */
#include "domain/dps/enrol.h"
#include "domain/dps/enrollment.h"
#include "role/core.h"

struct core_hook;

struct core_hook *core_hook_new(struct core *c);
void core_hook_free(struct core_hook *h);

/* A new link to the caller; takes fd over. */
void core_hook_link(struct core *c, int fd);
/* Asks, now or when there is a link. p is copied. The domain's hooks_full says when no
 * more may be asked. */
must_check int core_hook_call(
    struct core *c, const struct enrol_pending *p, struct span payload, struct err *e);
/* Another question to that process; its answer goes to core_transfer.h. !*ret_sent: there
 * is no link yet, one is asked for. */
must_check int core_hook_send(struct core *c, enum ipc_type type, uint64_t id,
    const void *msg, bool *ret_sent, struct err *e);
/* Ends what has waited too long; now and then, inside a turn. */
void core_hook_sweep(struct core *c);

/* core_dps.c: inside a turn. answer NULL: why there is none. */
must_check int core_dps_called(struct core *c, const struct enrol_pending *p,
    const struct ipc_hook_answer *answer, const char *why, struct err *e);
/* core_enrollment.c: as it goes over links. */
struct ipc_enrollment core_enrollment_msg(const struct store_enrollment *n, bool keys);

#endif
