#ifndef IO_IPC_H
#define IO_IPC_H
/*
 * The link between two of our processes: frames and descriptors over an AF_UNIX stream
 * socketpair (sock_pair). Frames sent in a turn leave together at its end (LOOP_FLUSH);
 * what is readable is read in big pieces and every whole frame is dispatched. Contents
 * are the business of codec/ipc_msg.
 */
#include <stdbool.h>

#include "io/ipc_frame.h"
#include "io/loop.h"

struct ipc_link;

struct ipc_opts {
	size_t body_max;  /* longest body, both ways */
	size_t queue_max; /* most bytes waiting to be sent; over it ipc_send fails */
};

/* All are called from the loop, never from inside a function of this header. The link may
 * be freed in any of them. on_pressure may be NULL. */
struct ipc_ops {
	/* f->body is valid until it returns. A descriptor is the callee's when taken by
	 * TAKE_FD(f->fd), else it is closed on return. */
	void (*on_frame)(void *arg, struct ipc_frame *f);
	/* The peer is gone or broke the framing. Called once, after it nothing but
	 * ipc_free. */
	void (*on_closed)(void *arg, const struct err *why);
	/* true: half of queue_max waits, send less; false: below an eighth again. */
	void (*on_pressure)(void *arg, bool high);
};

/* Takes fd over (also when it fails); it is made nonblocking. */
struct ipc_link *ipc_new(struct loop *l, int fd, const struct ipc_opts *opts,
    const struct ipc_ops *ops, void *arg, struct err *e);
/* What is queued is not sent any more (ipc_flush first), no callback follows. */
void ipc_free(struct ipc_link *k);
own_define(struct ipc_link, ipc_free);

/* Queues a frame; body is copied. f->fd, if not -1, is duplicated, so it stays the
 * caller's. Fails, with nothing queued: ERR_LIMIT body too long (a bug or a cap of the
 * caller's), ERR_BUSY queue full, ERR_UNAVAILABLE link closed. */
must_check int ipc_send(struct ipc_link *k, const struct ipc_frame *f, struct err *e);
/* Writes what the kernel takes now, without waiting for the turn's end. */
void ipc_flush(struct ipc_link *k);
/* Stops (and resumes) reading, so that the peer feels back-pressure. */
void ipc_pause(struct ipc_link *k, bool paused);
size_t ipc_queued(const struct ipc_link *k);

/* The blocking flavour, for command lines and tests: no loop. Takes fd over. */
struct ipc_sync;
struct ipc_sync *ipc_sync_new(int fd, size_t body_max);
void ipc_sync_free(struct ipc_sync *s);
own_define(struct ipc_sync, ipc_sync_free);
must_check int ipc_sync_send(
    struct ipc_sync *s, const struct ipc_frame *f, int64_t timeout_ms, struct err *e);
/* As ipc_sync_send, but the frame (without a descriptor) only waits, for many to leave at
 * once: with ipc_sync_flush, or by itself when IPC_SYNC_QUEUE bytes wait. */
#define IPC_SYNC_QUEUE (64u << 10)
must_check int ipc_sync_queue(
    struct ipc_sync *s, const struct ipc_frame *f, int64_t timeout_ms, struct err *e);
must_check int ipc_sync_flush(struct ipc_sync *s, int64_t timeout_ms, struct err *e);
/* The next frame; body is valid until the next call; ret->fd is the caller's.
 * ERR_TIMEOUT, or ERR_UNAVAILABLE when the peer is gone. */
must_check int ipc_sync_recv(
    struct ipc_sync *s, int64_t timeout_ms, struct ipc_frame *ret, struct err *e);
/* Sends with a fresh id and waits for the frame that carries it; others are dropped. */
must_check int ipc_sync_call(struct ipc_sync *s, uint16_t type, struct span body,
    int64_t timeout_ms, struct ipc_frame *ret, struct err *e);

#endif
