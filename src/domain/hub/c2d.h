#ifndef DOMAIN_C2D_H
#define DOMAIN_C2D_H
/*
 * Cloud-to-device messages (protocol/device.md 3.10 and 4.2, service.md 2.8): a queue a
 * device, oldest first. A message waits; is handed out, to an MQTT session or under the
 * lock of a device that fetched it; and is completed or rejected, or else waits again. It
 * is given up when its time is over while it waits, or when it has been handed out
 * hub.c2d_deliveries times in vain. Who sent it hears of its end, where he asked to.
 *
 * What is handed out is counted at once, in the transaction that hands it out: a core
 * that dies has lost nothing, and a device that dies of a message does not get it for
 * ever.
 */
#include "domain/domain.h"
#include "store/c2d.h"

/* Under way to one session at once, at most; bytes: unless it is one message. A device
 * that does not read costs an edge this much memory. */
#define C2D_WINDOW       16
#define C2D_WINDOW_BYTES (64 * 1024)
/* Properties and body of one message; properties alone: percent-encoded they must fit a
 * topic, which has 64 KB. */
#define C2D_SIZE_MAX  (64 * 1024)
#define C2D_PROPS_MAX (16 * 1024)
#define C2D_LOCK      37 /* a UUID */

/* Refuses where the device's queue is full; NOT_FOUND for a device that is none; LIMIT.
 */
must_check int c2d_send(struct domain *d, const struct ipc_c2d_send *m, int64_t *ret_seq,
    struct refusal *no, struct err *e);
/* Hands the next message to a session of the device; *ret_got is false where none waits,
 * or as much as may be is under way. */
must_check int c2d_push(struct domain *d, const char *device_id, int64_t session,
    struct store_c2d *ret, bool *ret_got, struct err *e);
/* Hands the next message to a device that asks; its lock is in ret. */
must_check int c2d_receive(struct domain *d, const char *device_id, struct store_c2d *ret,
    bool *ret_got, struct err *e);
/* What the device made of what is under a lock. Refuses where the lock is over. */
must_check int c2d_settle(struct domain *d, const char *device_id, struct span lock,
    enum ipc_settle how, struct refusal *no, struct err *e);
/* The session's device has it. What that session does not hold is no matter: it was
 * purged, or is acknowledged twice. */
must_check int c2d_done(
    struct domain *d, const char *device_id, int64_t session, int64_t seq, struct err *e);
/* Is told that a device has something waiting again. */
typedef void c2d_freed_fn(void *ctx, const char *device_id);
/* A session is over: what it holds waits again. */
must_check int c2d_release(
    struct domain *d, int64_t session, c2d_freed_fn *freed, void *ctx, struct err *e);
/* Drops the whole queue of a device that is there; its senders hear of it. */
must_check int c2d_drop(
    struct domain *d, const char *device_id, int64_t *ret_count, struct err *e);
/* The same for a service. NOT_FOUND. */
must_check int c2d_purge(
    struct domain *d, struct span device_id, int64_t *ret_count, struct err *e);

/* Gives up what expired, frees what was fetched and never settled, trims feedback; at
 * most batch of each. *ret_more: there is more to do now. */
must_check int c2d_tidy(struct domain *d, int64_t batch, c2d_freed_fn *freed, void *ctx,
    bool *ret_more, struct err *e);

/* Feedback for one reader, under one lock; lock is "" where there is none. */
must_check int c2d_feedback(struct domain *d, char lock[C2D_LOCK],
    int (*visit)(void *ctx, const struct store_feedback *f, struct err *e), void *ctx,
    struct err *e);
/* Complete or abandon. Refuses where the lock is over. */
must_check int c2d_feedback_settle(struct domain *d, struct span lock,
    enum ipc_settle how, struct refusal *no, struct err *e);

#endif
