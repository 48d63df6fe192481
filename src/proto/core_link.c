/*
 * The edge's end of the link to the core: questions by id, answers dispatched, time
 * limits. It knows which frame ends an answer and nothing else about what messages mean.
 */
#include "proto/core_link.h"

#include <stdlib.h>

#include "base/map.h"
#include "io/ipc.h"
#include "io/loop.h"

/* The answers of a list are rows of some hundred bytes; 5 MB is the longest body. */
const struct core_link_opts core_link_defaults = {
    .pending_max = 100000, .queue_max = 16 << 20, .answer_ms = 25000};

enum { SWEEP_MS = 1000, PACK_MAX = IPC_BODY_MAX };

struct ask {
	uint64_t id;
	enum ipc_type type;
	struct core_asker who;
	int64_t deadline_ms;
	struct list by_time; /* in core_link.asks, or in .patient */
	struct list by_owner;
	UT_hash_handle hh;
};

struct core_link {
	struct loop *loop;
	struct core_link_opts opts;
	const struct core_link_ops *ops;
	void *arg;
	struct ipc_link *ipc;     /* NULL while there is no core */
	struct loop_timer *sweep; /* runs while questions are open */
	struct ask *by_id;
	struct list asks;    /* oldest deadline first */
	struct list patient; /* those with a time of their own, in no order: few */
	uint64_t last_id;
	struct buf pack;
};

/* The one frame that answers, where it is not IPC_DONE. */
static enum ipc_type
single_answer(enum ipc_type asked)
{
	switch (asked) {
	case IPC_TLS_REQUEST:
		return IPC_TLS_CERT;
	case IPC_DPS_REGISTER:
	case IPC_DPS_POLL:
		return IPC_DPS_STATE;
	case IPC_HUB_OPEN:
		return IPC_HUB_OPENED;
	case IPC_HUB_TWIN_GET:
		return IPC_HUB_TWIN;
	default:
		return IPC_DONE;
	}
}

void
core_link_owner_init(struct core_owner *o)
{
	list_init(&o->asks);
}

bool
core_link_is_asking(const struct core_owner *o)
{
	return !list_empty(&o->asks);
}

/* Takes a question out of every list; the caller frees it. */
static void
unlink_ask(struct core_link *k, struct ask *a)
{
	HASH_DEL(k->by_id, a);
	list_del(&a->by_time);
	list_del(&a->by_owner);
	if (!k->by_id)
		loop_timer_cancel(k->sweep);
}

static void
drop_ask(struct core_link *k, struct ask *a)
{
	unlink_ask(k, a);
	free(a);
}

void
core_link_drop(struct core_link *k, struct core_owner *o)
{
	list_each_safe (it, &o->asks)
		drop_ask(k, list_of(it, struct ask, by_owner));
}

static void
fail_ask(struct core_link *k, struct ask *a, enum err_code code)
{
	const struct ipc_done done = {
	    .code = code, .text = span_str(err_row(code)->words)};
	const struct core_asker who = a->who;
	drop_ask(k, a);
	who.fn(who.arg, who.tag, IPC_DONE, &done);
}

static struct ask *
first_overdue(struct core_link *k, int64_t now)
{
	list_each (it, &k->patient) {
		struct ask *a = list_of(it, struct ask, by_time);
		if (a->deadline_ms <= now)
			return a;
	}
	if (list_empty(&k->asks))
		return NULL;
	struct ask *a = list_of(k->asks.next, struct ask, by_time);
	return a->deadline_ms <= now ? a : NULL;
}

/* From the start again after each: who is told may drop others. */
static void
on_sweep(void *arg)
{
	struct core_link *k = arg;
	int64_t now = loop_now_ms(k->loop);
	struct ask *a;
	while ((a = first_overdue(k, now)))
		fail_ask(k, a, ERR_TIMEOUT);
}

/* Gives it its time anew. */
static void
arm(struct core_link *k, struct ask *a)
{
	int64_t wait_ms = a->who.wait_ms ? a->who.wait_ms : k->opts.answer_ms;
	a->deadline_ms = loop_now_ms(k->loop) + wait_ms;
	list_del(&a->by_time);
	list_push(a->who.wait_ms ? &k->patient : &k->asks, &a->by_time);
}

struct core_link *
core_link_new(struct loop *l, const struct core_link_opts *opts,
    const struct core_link_ops *ops, void *arg)
{
	struct core_link *k = own_alloc(sizeof(*k));
	k->loop = l;
	k->opts = *opts;
	k->ops = ops;
	k->arg = arg;
	k->pack = BUF_INIT(PACK_MAX);
	list_init(&k->asks);
	list_init(&k->patient);
	k->sweep = loop_timer_new(l, on_sweep, k);
	return k;
}

void
core_link_free(struct core_link *k)
{
	if (!k)
		return;
	list_each_safe (it, &k->asks)
		drop_ask(k, list_of(it, struct ask, by_time));
	list_each_safe (it, &k->patient)
		drop_ask(k, list_of(it, struct ask, by_time));
	if (k->ipc)
		ipc_flush(k->ipc); /* sessions that ended just now */
	ipc_free(k->ipc);
	loop_timer_free(k->sweep);
	buf_done(&k->pack);
	free(k);
}

bool
core_link_is_up(const struct core_link *k)
{
	return k->ipc != NULL;
}

size_t
core_link_pending(const struct core_link *k)
{
	return HASH_COUNT(k->by_id);
}

/* Every question open now fails; those asked meanwhile find no link and fail by
 * themselves. */
static void
lose(struct core_link *k)
{
	ipc_free(TAKE(k->ipc));
	while (!list_empty(&k->asks))
		fail_ask(k, list_of(k->asks.next, struct ask, by_time), ERR_UNAVAILABLE);
	while (!list_empty(&k->patient))
		fail_ask(
		    k, list_of(k->patient.next, struct ask, by_time), ERR_UNAVAILABLE);
	k->ops->on_lost(k->arg);
}

static void
on_closed(void *arg, const struct err *why)
{
	lose(arg);
}

static void
on_pressure(void *arg, bool high)
{
	struct core_link *k = arg;
	k->ops->on_pressure(k->arg, high);
}

/* Largest struct of a message. */
union any_msg {
#define IPC(NAME, name, from, to, right) struct ipc_##name name;
#include "tbl/ipc.def"
#undef IPC
};

static bool
is_last(const struct ask *a, enum ipc_type type)
{
	return type == IPC_DONE || type == single_answer(a->type);
}

static void
dispatch(struct core_link *k, uint64_t id, enum ipc_type type, const void *msg)
{
	struct ask *a = NULL;
	HASH_FIND(hh, k->by_id, &id, sizeof(id), a);
	if (!a) {
		k->ops->on_orphan(k->arg, type, msg);
		return;
	}
	const struct core_asker who = a->who;
	if (is_last(a, type)) {
		drop_ask(k, a);
	} else {
		/* A list that keeps coming is no silence. */
		arm(k, a);
	}
	who.fn(who.arg, who.tag, type, msg);
}

static void
on_frame(void *arg, struct ipc_frame *f)
{
	struct core_link *k = arg;
	struct err e = {0};
	union any_msg msg;
	if (!ipc_msg_allowed(f->type, IPC_ROLE_C, IPC_ROLE_E)) {
		lose(k);
		return;
	}
	if (ipc_msg_unpack(f->type, f->body, &msg, &e)) {
		lose(k);
		return;
	}
	if (f->id == 0) /* questions count from one */
		k->ops->on_push(k->arg, f->type, &msg);
	else
		dispatch(k, f->id, f->type, &msg);
}

int
core_link_attach(struct core_link *k, int fd, struct err *e)
{
	static const struct ipc_ops ops = {
	    .on_frame = on_frame, .on_closed = on_closed, .on_pressure = on_pressure};
	const struct ipc_opts opts = {
	    .body_max = IPC_BODY_MAX, .queue_max = k->opts.queue_max};
	if (k->ipc)
		lose(k);
	k->ipc = ipc_new(k->loop, fd, &opts, &ops, k, e);
	return k->ipc ? 0 : err_wrap(e, "link to the core");
}

static int
send_msg(
    struct core_link *k, uint64_t id, enum ipc_type type, const void *msg, struct err *e)
{
	if (!k->ipc)
		return err_set(e, ERR_UNAVAILABLE, "no core");
	buf_reset(&k->pack);
	if (ipc_msg_pack(type, msg, &k->pack, e))
		return -1;
	const struct ipc_frame f = {
	    .type = type, .id = id, .body = buf_span(&k->pack), .fd = -1};
	int rc = ipc_send(k->ipc, &f, e);
	own_wipe(k->pack.p, k->pack.len); /* tokens and keys pass through here */
	return rc;
}

int
core_link_ask(struct core_link *k, const struct core_asker *who, enum ipc_type type,
    const void *msg, struct err *e)
{
	if (HASH_COUNT(k->by_id) >= k->opts.pending_max)
		return err_set(
		    e, ERR_BUSY, "%zu questions wait for the core", k->opts.pending_max);
	uint64_t id = ++k->last_id;
	if (send_msg(k, id, type, msg, e))
		return -1;
	struct ask *a = own_alloc(sizeof(*a));
	a->id = id;
	a->type = type;
	a->who = *who;
	HASH_ADD(hh, k->by_id, id, sizeof(a->id), a);
	arm(k, a);
	list_push(&who->owner->asks, &a->by_owner);
	if (!loop_timer_is_started(k->sweep))
		loop_timer_repeat(k->sweep, SWEEP_MS);
	return 0;
}

void
core_link_tell(struct core_link *k, enum ipc_type type, const void *msg)
{
	struct err e = {0};
	/* What cannot be told is lost with the core it was for: a new core starts with no
	 * sessions, and its connection log says since when it is complete. */
	if (send_msg(k, 0, type, msg, &e))
		return;
}

void
core_link_refused(struct core_link *k, const char *plane, const struct ipc_peer *peer,
    struct span name, uint32_t code, const char *fmt, ...)
{
	auto_buf reason = BUF_INIT(4096);
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&reason, fmt, ap);
	va_end(ap);
	struct span module_id = name;
	struct span device_id = span_split(&module_id, '/');
	const struct ipc_refused m = {
	    .peer = *peer,
	    .plane = span_str(plane),
	    .device_id = span_head(device_id, CAP_ID),
	    .module_id = span_head(module_id, CAP_ID),
	    .code = code,
	    .reason = span_head(buf_span(&reason), 300),
	};
	core_link_tell(k, IPC_REFUSED, &m);
}
