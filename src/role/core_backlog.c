/*
 * The slices of what a start leaves to do.
 */
#include "role/core_backlog.h"

#include "base/log.h"
#include "store/query.h"

#define CONNECTED_MAX (256u << 20) /* bytes of their numbers */
#define AT_ONCE       10000        /* identities let go before anybody is served */
#define SLICE_MS      2            /* until the next */
#define WORK_MS       5            /* what a slice takes */
#define TAGS          50           /* twins between two looks at the clock */

struct core_backlog {
	struct core *core;
	struct loop_timer *timer;
	struct buf connected; /* numbers, int64_t; shorter with each slice */
	int64_t start_ms;     /* of the clock on the wall */
	int64_t began_ms;     /* of the loop's */
};

/* ---- connections that ended with the core before ------------------------------------
 */

struct letting_go {
	struct core_backlog *b;
	int64_t n;
};

/* A session that this turn opens is in no table yet, but has marked its identity. */
static int
let_go(void *ctx, const struct store_device *d, struct err *e)
{
	const struct letting_go *l = ctx;
	struct core *c = l->b->core;
	int64_t now = domain_now(&c->d);
	bool marked = d->conn_updated_ms >= l->b->start_ms && d->conn_updated_ms <= now;
	if (!d->connected || marked || session_of(&c->sessions, d->id))
		return 0;
	return store_device_gone(c->store, l->n, now, e);
}

static size_t
count_of(const struct core_backlog *b)
{
	return b->connected.len / sizeof(int64_t);
}

static int64_t
number_at(const struct core_backlog *b, size_t i)
{
	int64_t n;
	memcpy(&n, b->connected.p + i * sizeof(n), sizeof(n));
	return n;
}

/* The last first, until the time is over; *ret_left are left. */
static int
let_some_go(struct core_backlog *b, int64_t end, size_t *ret_left, struct err *e)
{
	struct core *c = b->core;
	size_t left = count_of(b);
	while (left && clock_mono_ms(c->d.clock) < end) {
		struct letting_go l = {b, number_at(b, left - 1)};
		if (store_device_at(c->store, l.n, false, let_go, &l, e))
			return -1;
		left--;
	}
	*ret_left = left;
	return 0;
}

/* ---- slices --------------------------------------------------------------------------
 */

static int
fill_tags(struct core_backlog *b, int64_t end, struct err *e)
{
	struct core *c = b->core;
	while (!store_tags_ready(c->store) && clock_mono_ms(c->d.clock) < end) {
		int64_t left;
		if (store_tags_fill(c->store, TAGS, &left, e))
			return -1;
	}
	return 0;
}

/* What was done is durable. */
static void
after_slice(void *arg, const void *item)
{
	struct core *c = arg;
	struct core_backlog *b = c->backlog;
	size_t left;
	memcpy(&left, item, sizeof(left));
	b->connected.len = left * sizeof(int64_t);
	if (left || !store_tags_ready(c->store))
		return;
	loop_timer_cancel(b->timer);
	log_event(LOG_INFO, "core.backlog_done",
	    LOG_INT("ms", loop_now_ms(c->loop) - b->began_ms));
}

static void
on_timer(void *arg)
{
	struct core_backlog *b = arg;
	struct core *c = b->core;
	int64_t end = clock_mono_ms(c->d.clock) + WORK_MS;
	size_t left;
	struct err e = {0};
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	if (let_some_go(b, end, &left, &e) || fill_tags(b, end, &e))
		turn_spoil(c->turn, &e);
	else
		turn_after(c->turn, after_slice, &left, sizeof(left));
}

/* ---- the process ---------------------------------------------------------------------
 */

static int
note_connected(void *ctx, int64_t n, struct err *e)
{
	struct core_backlog *b = ctx;
	buf_put(&b->connected, &n, sizeof(n));
	return buf_check(&b->connected, "identities that were connected", e);
}

static int
begin(struct core_backlog *b, struct err *e)
{
	struct core *c = b->core;
	if (store_device_connected(c->store, note_connected, b, e))
		return -1;
	size_t n = count_of(b);
	for (size_t i = 0; i < AT_ONCE && n; i++)
		if (store_device_gone(c->store, number_at(b, --n), b->start_ms, e))
			return -1;
	b->connected.len = n * sizeof(int64_t);
	if (!n && store_tags_ready(c->store))
		return 0;
	log_event(LOG_INFO, "core.backlog", LOG_INT("connected", n),
	    LOG_INT("tags_ready", store_tags_ready(c->store)));
	loop_timer_repeat(b->timer, SLICE_MS);
	return 0;
}

struct core_backlog *
core_backlog_new(struct core *c, struct err *e)
{
	auto_(core_backlog_free) struct core_backlog *b = own_alloc(sizeof(*b));
	b->core = c;
	b->connected = BUF_INIT(CONNECTED_MAX);
	b->start_ms = domain_now(&c->d);
	b->began_ms = loop_now_ms(c->loop);
	b->timer = loop_timer_new(c->loop, on_timer, b);
	return begin(b, e) ? NULL : TAKE(b);
}

void
core_backlog_free(struct core_backlog *b)
{
	if (!b)
		return;
	loop_timer_free(b->timer);
	buf_done(&b->connected);
	free(b);
}
