#ifndef STORE_C2D_H
#define STORE_C2D_H
/*
 * Cloud-to-device messages, a queue a device, and the feedback on them. The contracts of
 * time, memory and errors are store.h's. A message is free where no session holds it and
 * its lock, if it ever had one, is over. What that means is domain/hub/c2d.h's.
 */
#include "store/store.h"

struct store_c2d {
	int64_t seq; /* ascending, never reused */
	const char *device_id, *generation;
	const char *message_id, *correlation_id, *user_id;
	int ack; /* enum ipc_ack */
	int64_t enqueued_ms, expires_ms;
	int64_t deliveries; /* how often it was handed out */
	int64_t holder;     /* the session it was handed to, 0 = none */
	const char *lock;   /* of who fetched it, "" = none */
	int64_t locked_until_ms;
	struct span props; /* JSON object, or empty */
	struct span body;
};

/* seq of m is ignored; *ret_seq is the one given. */
must_check int store_c2d_add(
    struct store *s, const struct store_c2d *m, int64_t *ret_seq, struct err *e);
/* The device's oldest free message; NOT_FOUND. */
must_check int store_c2d_next(struct store *s, const char *device_id, int64_t now_ms,
    struct arena *a, struct store_c2d *ret, struct err *e);
/* By number, of that device, held by that session, without props and body; NOT_FOUND. */
must_check int store_c2d_held(struct store *s, const char *device_id, int64_t holder,
    int64_t seq, struct arena *a, struct store_c2d *ret, struct err *e);
/* Of that device, whose lock is this one and lasts, likewise; NOT_FOUND. */
must_check int store_c2d_locked(struct store *s, const char *device_id, const char *lock,
    int64_t now_ms, struct arena *a, struct store_c2d *ret, struct err *e);
/* Hands it out: to a session (lock "", locked_until_ms 0) or under a lock (holder 0), and
 * counts that. NOT_FOUND. */
must_check int store_c2d_take(struct store *s, int64_t seq, int64_t holder,
    const char *lock, int64_t locked_until_ms, struct err *e);
/* Makes it free; NOT_FOUND. */
must_check int store_c2d_free(struct store *s, int64_t seq, struct err *e);
must_check int store_c2d_del(struct store *s, int64_t seq, struct err *e);
/* Frees what sessions hold: all (a start of the core: none is open). */
must_check int store_c2d_free_all(struct store *s, struct err *e);

struct store_c2d_load {
	int64_t
	    pending; /* messages that wait or are handed out; expired free ones apart */
	int64_t all; /* those as well */
	int64_t held, held_bytes; /* by the session asked for; props and bodies */
};
must_check int store_c2d_load(struct store *s, const char *device_id, int64_t holder,
    int64_t now_ms, struct store_c2d_load *ret, struct err *e);

/* Visitors: the row is valid during the call, without its props and body; a non-zero
 * return stops and is handed on. The visitor may free or delete the row. */
typedef int store_c2d_visit(void *ctx, const struct store_c2d *m, struct err *e);
/* What a session holds, oldest first. */
must_check int store_c2d_each_held(
    struct store *s, int64_t holder, store_c2d_visit *visit, void *ctx, struct err *e);
/* Sessions that hold something, ascending from after, at most limit. */
must_check int store_c2d_each_holder(struct store *s, int64_t after, int64_t limit,
    int (*visit)(void *ctx, int64_t holder, struct err *e), void *ctx, struct err *e);
/* All of a device, oldest first. */
must_check int store_c2d_each(struct store *s, const char *device_id,
    store_c2d_visit *visit, void *ctx, struct err *e);
/* Free ones that expired before now, soonest first. */
must_check int store_c2d_each_expired(struct store *s, int64_t now_ms, int64_t limit,
    store_c2d_visit *visit, void *ctx, struct err *e);
/* Those whose lock ended before now without a word, soonest first. */
must_check int store_c2d_each_unlocked(struct store *s, int64_t now_ms, int64_t limit,
    store_c2d_visit *visit, void *ctx, struct err *e);

struct store_feedback {
	int64_t seq;
	const char *message_id, *device_id, *generation;
	int64_t at_ms;
	int outcome; /* enum ipc_outcome */
	int64_t expires_ms, deliveries;
	const char *lock;
	int64_t locked_until_ms;
};

/* seq of f is ignored. */
must_check int store_feedback_add(
    struct store *s, const struct store_feedback *f, struct err *e);
/* Puts the oldest free records, at most limit, under one lock, and counts that. */
must_check int store_feedback_lock(struct store *s, const char *lock,
    int64_t locked_until_ms, int64_t now_ms, int64_t limit, struct err *e);
/* What a lock holds, oldest first. */
must_check int store_feedback_each(struct store *s, const char *lock,
    int (*visit)(void *ctx, const struct store_feedback *f, struct err *e), void *ctx,
    struct err *e);
/* Deletes, or frees, what is under a lock that lasts; NOT_FOUND. */
must_check int store_feedback_del(
    struct store *s, const char *lock, int64_t now_ms, struct err *e);
must_check int store_feedback_free(
    struct store *s, const char *lock, int64_t now_ms, struct err *e);
/* Drops records that expired, at most batch, and those that are free after so many
 * deliveries. */
must_check int store_feedback_trim(struct store *s, int64_t now_ms,
    int64_t most_deliveries, int64_t batch, struct err *e);

/* All of a device that is no more: messages and feedback. */
must_check int store_c2d_forget(struct store *s, const char *device_id, struct err *e);

#endif
