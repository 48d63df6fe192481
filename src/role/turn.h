#ifndef ROLE_TURN_H
#define ROLE_TURN_H
/*
 * A core's loop turn as one transaction. Requests of the turn register themselves; their
 * answers and the effects that must not come before durability (a session entered, one
 * closed) are kept here and released after the commit. When a write or the commit fails,
 * all answers of the turn are dropped and each request is told the failure instead.
 */
#include "codec/ipc_msg.h"
#include "store/store.h"

struct loop;
struct turn;

/* Who asked: which link, under which frame id, what. */
struct ask {
	unsigned edge;
	uint64_t id;
	enum ipc_type type;
};

struct turn_ops {
	/* Sends a packed frame over a link; the turn is durable. */
	void (*send)(
	    void *arg, unsigned edge, enum ipc_type type, uint64_t id, struct span body);
	/* Tells a request that the turn it was part of failed. */
	void (*fail)(void *arg, const struct ask *a, const struct err *why);
	/* Once after the frames of a durable turn were sent; what it took, from its
	 * beginning to the end of its commit. */
	void (*done)(void *arg, int64_t ms);
};

/* Begins a transaction with the first turn_enter of a loop turn and ends it in the loop's
 * LOOP_COMMIT phase. */
struct turn *turn_new(
    struct loop *l, struct store *s, const struct turn_ops *ops, void *arg);
void turn_free(struct turn *t);
own_define(struct turn, turn_free);

/* Registers a request (NULL: work of our own) and opens the transaction. On failure the
 * request was not registered. */
must_check int turn_enter(struct turn *t, const struct ask *a, struct err *e);
/* Keeps a message to be sent when durable. A message that cannot be packed is a bug or an
 * unchecked size: it spoils nothing and is returned as an error. */
must_check int turn_send(struct turn *t, unsigned edge, enum ipc_type type, uint64_t id,
    const void *msg, struct err *e);
/* fn(arg of turn_new, item) after the commit, in order among themselves and after all
 * sends queued so far; item is copied (len bytes). */
void turn_after(struct turn *t, void (*fn)(void *arg, const void *item), const void *item,
    size_t len);
/* A write failed: nothing of this turn may become durable. */
void turn_spoil(struct turn *t, const struct err *why);
/* Which turn this is, counted from one. */
uint64_t turn_number(const struct turn *t);
/* Memory of the request in hand: gone with the next turn_enter and at the turn's end. */
struct arena *turn_arena(struct turn *t);
/* Memory for what turn_after's items point to: gone when the last of them has run, or the
 * turn failed. */
struct arena *turn_kept(struct turn *t);

#endif
