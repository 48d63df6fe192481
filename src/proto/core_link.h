#ifndef PROTO_CORE_LINK_H
#define PROTO_CORE_LINK_H
/*
 * The edge's end of the link to the core. Questions are asked for an owner (a connection,
 * a request); whoever goes away drops its owner and hears nothing more. Answers come from
 * the loop, in the order of the frames, never from inside a function of this header, but
 * for core_link_attach as said there.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "codec/ipc_msg.h"

struct core_link;
struct loop;

/* Embedded in whoever asks. */
struct core_owner {
	struct list asks;
};
void core_link_owner_init(struct core_owner *o);
/* Forgets every question of o; answers still under way go to on_orphan. The one drop
 * function: call it whenever o's owner ends. */
void core_link_drop(struct core_link *k, struct core_owner *o);
bool core_link_is_asking(const struct core_owner *o);

/* An answer: msg is a struct of type, valid during the call. Zero or more rows, then
 * exactly one last frame: IPC_DONE, or the single answer of the message (IPC_TLS_CERT,
 * IPC_DPS_STATE to a register or poll, IPC_HUB_OPENED, IPC_HUB_TWIN). A failure of the
 * link is an IPC_DONE with code ERR_UNAVAILABLE or ERR_TIMEOUT. tag is the asker's. */
typedef void core_link_answer(
    void *arg, uint64_t tag, enum ipc_type type, const void *msg);

/* Who asks. */
struct core_asker {
	struct core_owner *owner;
	core_link_answer *fn;
	void *arg; /* lives as long as the owner is not dropped */
	uint64_t tag;
	int64_t wait_ms; /* silence before it fails with ERR_TIMEOUT; 0: the link's own */
};

struct core_link_ops {
	/* Pushes; msg is a struct of that type, valid during the call. */
	void (*on_push)(void *arg, enum ipc_type type, const void *msg);
	/* An answer to a dropped question. A session opened for a connection that is gone
	 * has to be closed by somebody. */
	void (*on_orphan)(void *arg, enum ipc_type type, const void *msg);
	/* The core is gone; every question has been answered ERR_UNAVAILABLE before. */
	void (*on_lost)(void *arg);
	/* The core does not keep up (true): read less from peers. */
	void (*on_pressure)(void *arg, bool high);
};

struct core_link_opts {
	size_t pending_max; /* questions at once; over it ERR_BUSY */
	size_t queue_max;   /* bytes waiting for the core */
	int64_t answer_ms;  /* silence before a question fails with ERR_TIMEOUT */
};
extern const struct core_link_opts core_link_defaults;

/* Not attached yet: questions fail with ERR_UNAVAILABLE. ops are static, borrowed. */
struct core_link *core_link_new(struct loop *l, const struct core_link_opts *opts,
    const struct core_link_ops *ops, void *arg);
/* Drops the link; no callback comes. Owners with questions left must not be used again.
 */
void core_link_free(struct core_link *k);
own_define(struct core_link, core_link_free);

/* Takes over the descriptor of a link to a (new) core. An older link is lost first, with
 * all that follows from on_lost, before this returns. */
must_check int core_link_attach(struct core_link *k, int fd, struct err *e);
bool core_link_is_up(const struct core_link *k);

/* Asks. Fails, and fn is never called, with ERR_UNAVAILABLE, ERR_BUSY or ERR_LIMIT. */
must_check int core_link_ask(struct core_link *k, const struct core_asker *who,
    enum ipc_type type, const void *msg, struct err *e);
/* Tells what has no answer (HUB_CLOSED, REFUSED). Lost when there is no core. */
void core_link_tell(struct core_link *k, enum ipc_type type, const void *msg);
/* REFUSED: what an edge turned down by itself, for the connection log. Fields are cut to
 * their caps. name: "device" or "device/module". code: the wire's number. */
void core_link_refused(struct core_link *k, const char *plane,
    const struct ipc_peer *peer, struct span name, uint32_t code, const char *fmt, ...)
    printf_like(6, 7);

size_t core_link_pending(const struct core_link *k);

#endif
