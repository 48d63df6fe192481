/*
 * One loop turn, one transaction.
 */
#include "role/turn.h"

#include "io/loop.h"

#define ARENA_MAX  (256u << 20)
#define OUTBOX_MAX (512u << 20)

/* What waits for the commit, in order. Bytes follow each head in the outbox. */
struct item {
	void (*after)(void *arg, const void *item); /* NULL: a frame */
	unsigned edge;
	enum ipc_type type;
	uint64_t id;
	size_t len;
};

struct turn {
	struct loop *loop;
	struct store *store;
	const struct turn_ops *ops;
	void *arg;
	struct loop_task commit;
	struct arena *arena, *kept;
	struct buf outbox, asks;
	bool open, spoiled;
	uint64_t number;
	int64_t begun_ms, took_ms;
	struct err why;
};

static void
forget(struct turn *t)
{
	buf_reset(&t->outbox);
	buf_reset(&t->asks);
	arena_reset(t->arena);
	arena_reset(t->kept);
	t->open = t->spoiled = false;
}

static void
fail_all(struct turn *t)
{
	for (size_t at = 0; at < t->asks.len; at += sizeof(struct ask)) {
		struct ask a;
		memcpy(&a, t->asks.p + at, sizeof(a));
		t->ops->fail(t->arg, &a, &t->why);
	}
}

static void
release(struct turn *t)
{
	for (size_t at = 0; at < t->outbox.len;) {
		struct item it;
		memcpy(&it, t->outbox.p + at, sizeof(it));
		const uint8_t *bytes = t->outbox.p + at + sizeof(it);
		at += sizeof(it) + it.len;
		if (it.after)
			it.after(t->arg, bytes);
		else
			t->ops->send(
			    t->arg, it.edge, it.type, it.id, span_of(bytes, it.len));
	}
	t->ops->done(t->arg, t->took_ms);
}

static void
on_commit(void *arg)
{
	struct turn *t = arg;
	if (!t->open)
		return;
	if (!t->spoiled && store_commit(t->store, &t->why))
		t->spoiled = true;
	t->took_ms = loop_now_ms(t->loop) - t->begun_ms;
	if (!t->spoiled) {
		release(t);
		forget(t);
		return;
	}
	store_rollback(t->store);
	fail_all(t);
	forget(t);
}

struct turn *
turn_new(struct loop *l, struct store *s, const struct turn_ops *ops, void *arg)
{
	struct turn *t = own_alloc(sizeof(*t));
	*t = (struct turn){.loop = l, .store = s, .ops = ops, .arg = arg};
	t->commit = (struct loop_task){.fn = on_commit, .arg = t};
	t->arena = arena_new(ARENA_MAX);
	t->kept = arena_new(OUTBOX_MAX);
	t->outbox = BUF_INIT(OUTBOX_MAX);
	t->outbox.secret = true;
	t->asks = BUF_INIT(OUTBOX_MAX);
	return t;
}

void
turn_free(struct turn *t)
{
	if (!t)
		return;
	loop_defer_cancel(&t->commit);
	if (t->open)
		store_rollback(t->store);
	arena_free(t->arena);
	arena_free(t->kept);
	buf_done(&t->outbox);
	buf_done(&t->asks);
	free(t);
}

int
turn_enter(struct turn *t, const struct ask *a, struct err *e)
{
	arena_reset(t->arena);
	if (!t->open) {
		if (store_begin(t->store, e))
			return -1;
		t->open = true;
		t->number++;
		t->begun_ms = loop_now_ms(t->loop);
		loop_defer(t->loop, LOOP_COMMIT, &t->commit);
	}
	if (a)
		buf_put(&t->asks, a, sizeof(*a));
	return buf_check(&t->asks, "requests of a turn", e);
}

int
turn_send(struct turn *t, unsigned edge, enum ipc_type type, uint64_t id, const void *msg,
    struct err *e)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	body.secret = true;
	if (ipc_msg_pack(type, msg, &body, e))
		return -1;
	struct item it = {.edge = edge, .type = type, .id = id, .len = body.len};
	buf_put(&t->outbox, &it, sizeof(it));
	buf_put_span(&t->outbox, buf_span(&body));
	return buf_check(&t->outbox, "answers of a turn", e);
}

void
turn_after(
    struct turn *t, void (*fn)(void *arg, const void *item), const void *item, size_t len)
{
	struct item it = {.after = fn, .len = len};
	buf_put(&t->outbox, &it, sizeof(it));
	buf_put(&t->outbox, item, len);
	struct err e;
	if (buf_check(&t->outbox, "effects of a turn", &e))
		turn_spoil(t, &e);
}

void
turn_spoil(struct turn *t, const struct err *why)
{
	if (!t->spoiled)
		t->why = *why;
	t->spoiled = true;
}

uint64_t
turn_number(const struct turn *t)
{
	return t->number;
}

struct arena *
turn_arena(struct turn *t)
{
	return t->arena;
}

struct arena *
turn_kept(struct turn *t)
{
	return t->kept;
}
