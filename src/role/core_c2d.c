/*
 * Cloud-to-device messages: what the service sends and reads, what devices fetch over
 * HTTPS, and the pushing to sessions. Rules are in domain/hub/c2d.c.
 */
#include "role/core_c2d.h"

#include <string.h>

#include "base/log.h"
#include "codec/topic.h"
#include "domain/hub/hubs.h"
#include "domain/hub/c2d.h"
#include "proto/mqtt_session.h"

#define SESSIONS_A_TURN 64
#define RETRY_MS        1000 /* after a turn that was lost */

_Static_assert(C2D_WINDOW <= MQTT_DELIVER_MAX, "what is pushed must find room");

/* A session to look at. It stays until that is durable; again: it came up once more
 * meanwhile. */
struct due {
	int64_t session;
	bool again;
	UT_hash_handle hh;
};

struct core_c2d {
	struct core *core;
	struct due *due;
	struct loop_timer *timer;
	int64_t swept; /* the last holder that was looked at */
};

/* ---- to sessions ---- */

static bool
listens(const struct session *s)
{
	return !s->superseded && !s->module_id[0] &&
	       topic_subs_qos(s->subs, TOPIC_SUB_C2D) >= 0;
}

static struct ipc_c2d
as_message(const struct store_c2d *m)
{
	return (struct ipc_c2d){.seq = m->seq,
	    .lock = span_str(m->lock),
	    .message_id = span_str(m->message_id),
	    .correlation_id = span_str(m->correlation_id),
	    .user_id = span_str(m->user_id),
	    .ack = (uint8_t)m->ack,
	    .enqueued_ms = m->enqueued_ms,
	    .expires_ms = m->expires_ms,
	    .deliveries = (uint32_t)m->deliveries,
	    .props = m->props,
	    .body = m->body};
}

static int
push_one(struct core *c, const struct session *s, bool *ret_got, struct err *e)
{
	struct store_c2d m;
	if (c2d_push(&c->d, s->device_id, s->id, &m, ret_got, e))
		return -1;
	if (!*ret_got)
		return 0;
	const struct ipc_c2d_push push = {.session = s->id,
	    .qos = (uint8_t)topic_subs_qos(s->subs, TOPIC_SUB_C2D),
	    .message = as_message(&m)};
	return turn_send(c->turn, s->edge, IPC_C2D_PUSH, 0, &push, e);
}

static int
push_all(struct core *c, int64_t session, struct err *e)
{
	const struct session *s = session_find(&c->sessions, session);
	bool got = s && listens(s);
	while (got)
		if (push_one(c, s, &got, e))
			return -1;
	return 0;
}

/* What was pushed is durable as handed out. */
static void
after_pushed(void *arg, const void *item)
{
	struct core *c = arg;
	struct core_c2d *k = c->c2d;
	struct due *due;
	int64_t session;
	memcpy(&session, item, sizeof(session));
	HASH_FIND(hh, k->due, &session, sizeof(session), due);
	if (due)
		HASH_DEL(k->due, due);
	if (due && due->again) /* behind the others: some are due all the time */
		HASH_ADD(hh, k->due, session, sizeof(due->session), due);
	else
		free(due);
	if (k->due)
		loop_timer_start(k->timer, 0);
	else
		loop_timer_cancel(k->timer);
}

static void
serve(struct core *c, struct due *due)
{
	struct err e = {0};
	due->again = false;
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	turn_after(c->turn, after_pushed, &due->session, sizeof(due->session));
	if (push_all(c, due->session, &e))
		core_settle(c, NULL, &e);
}

static void
on_due(void *arg)
{
	struct core_c2d *k = arg;
	struct due *due, *next;
	int n = 0;
	loop_timer_start(k->timer, RETRY_MS);
	HASH_ITER (hh, k->due, due, next) {
		if (n++ == SESSIONS_A_TURN)
			break; /* after a restart the whole fleet stands behind them */
		serve(k->core, due);
	}
}

struct core_c2d *
core_c2d_new(struct core *c)
{
	struct core_c2d *k = own_alloc(sizeof(*k));
	k->core = c;
	k->timer = loop_timer_new(c->loop, on_due, k);
	return k;
}

void
core_c2d_free(struct core_c2d *k)
{
	struct due *due, *next;
	if (!k)
		return;
	HASH_ITER (hh, k->due, due, next) {
		HASH_DEL(k->due, due);
		free(due);
	}
	loop_timer_free(k->timer);
	free(k);
}

void
core_c2d_due(struct core *c, const struct session *s)
{
	struct core_c2d *k = c->c2d;
	struct due *due;
	if (!s || !listens(s))
		return;
	HASH_FIND(hh, k->due, &s->id, sizeof(s->id), due);
	if (!due) {
		due = own_alloc(sizeof(*due));
		due->session = s->id;
		HASH_ADD(hh, k->due, session, sizeof(due->session), due);
	}
	due->again = true;
	loop_timer_start(k->timer, 0);
}

static void
on_freed(void *ctx, const char *device_id)
{
	struct core *c = ctx;
	core_c2d_due(c, session_of(&c->sessions, device_id));
}

int
core_c2d_ended(struct core *c, const struct session *s, struct err *e)
{
	return c2d_release(&c->d, s->id, on_freed, c, e);
}

static int
visit_holder(void *ctx, int64_t holder, struct err *e)
{
	struct core *c = ctx;
	c->c2d->swept = holder;
	if (session_find(&c->sessions, holder))
		return 0;
	return c2d_release(&c->d, holder, on_freed, c, e);
}

/* A turn that was lost may have been the one in which a session ended: nobody else would
 * free what it held. */
static int
sweep(struct core *c, int64_t batch, struct err *e)
{
	int64_t after = c->c2d->swept;
	if (store_c2d_each_holder(c->store, after, batch, visit_holder, c, e))
		return -1;
	if (c->c2d->swept == after)
		c->c2d->swept = 0;
	return 0;
}

int
core_c2d_tidy(struct core *c, int64_t batch, bool *ret_more, struct err *e)
{
	if (sweep(c, batch, e))
		return -1;
	return c2d_tidy(&c->d, batch, on_freed, c, ret_more, e);
}

/* An edge has delivered one. */
static int
on_c2d_done(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_c2d_done *m = msg;
	const struct session *s = session_find(&c->sessions, m->session);
	if (!s || s->edge != a->edge)
		return 0;
	if (c2d_done(&c->d, s->device_id, s->id, m->seq, e))
		return -1;
	core_c2d_due(c, s);
	return 0;
}

/* ---- from the service ---- */

static int
refuse(struct core *c, const struct ask *a, const struct refusal *no, struct err *e)
{
	return core_refused(c, a, no, refusal_row(no->code)->hub, e);
}

static int
on_c2d_send(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_c2d_send *m = msg;
	struct refusal no;
	int64_t seq = 0;
	if (c2d_send(&c->d, m, &seq, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &no, e);
	const char *id = arena_str(turn_arena(c->turn), m->device_id);
	core_c2d_due(c, session_of(&c->sessions, id));
	return core_done(c, a, "", seq, e);
}

static int
on_c2d_purge(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_c2d_purge *m = msg;
	int64_t count;
	if (hubs_check(&c->d, m->peer.host, m->id, e) ||
	    c2d_purge(&c->d, m->id, &count, e))
		return -1;
	return core_done(c, a, "", count, e);
}

struct answering {
	struct core *c;
	const struct ask *a;
};

static int
visit_feedback(void *ctx, const struct store_feedback *f, struct err *e)
{
	struct answering *to = ctx;
	const struct ipc_feedback m = {.message_id = span_str(f->message_id),
	    .device_id = span_str(f->device_id),
	    .generation = span_str(f->generation),
	    .at_ms = f->at_ms,
	    .outcome = (uint8_t)f->outcome};
	return core_answer(to->c, to->a, IPC_FEEDBACK, &m, e);
}

static int
on_feedback_receive(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct answering to = {c, a};
	char lock[C2D_LOCK];
	(void)msg;
	if (c2d_feedback(&c->d, lock, visit_feedback, &to, e))
		return -1;
	return core_done(c, a, lock, 0, e);
}

static int
on_feedback_settle(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_feedback_settle *m = msg;
	struct refusal no;
	if (c2d_feedback_settle(&c->d, m->lock, m->how, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &no, e);
	return core_done(c, a, "", 0, e);
}

/* ---- from devices over HTTPS ---- */

static int
on_c2d_receive(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct session who;
	struct store_c2d m;
	bool ok, got;
	if (core_admit(c, a, msg, &who, &ok, e))
		return -1;
	if (!ok)
		return 0;
	if (c2d_receive(&c->d, who.name, &m, &got, e))
		return -1;
	const struct ipc_c2d row = got ? as_message(&m) : (struct ipc_c2d){0};
	if (got && core_answer(c, a, IPC_C2D, &row, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_c2d_settle(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_c2d_settle *m = msg;
	struct session who;
	struct refusal no;
	bool ok;
	if (core_admit(c, a, msg, &who, &ok, e))
		return -1;
	if (!ok)
		return 0;
	if (c2d_settle(&c->d, who.name, m->lock, m->how, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse(c, a, &no, e);
	core_c2d_due(c, session_of(&c->sessions, who.name));
	return core_done(c, a, "", 0, e);
}

core_handler *
core_c2d_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_C2D_SEND] = on_c2d_send,
	    [IPC_C2D_PURGE] = on_c2d_purge,
	    [IPC_FEEDBACK_RECEIVE] = on_feedback_receive,
	    [IPC_FEEDBACK_SETTLE] = on_feedback_settle,
	    [IPC_C2D_RECEIVE] = on_c2d_receive,
	    [IPC_C2D_SETTLE] = on_c2d_settle,
	    [IPC_C2D_DONE] = on_c2d_done,
	};
	return handlers[type];
}
