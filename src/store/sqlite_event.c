/*
 * Telemetry. The running sum of bytes is in the tally, so that retention reads only what
 * it drops.
 */
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_event, member)
static const struct stmt_col cols[] = {
    COL(seq),
    COL(enqueued_ms),
    COL(device_id),
    COL(module_id),
    COL(generation),
    COL(auth),
    COL(thumb),
    STMT_JSON(struct store_event, props),
    COL(body),
};
static const struct stmt_shape event = STMT_SHAPE("event", cols);

int
store_event_add(
    struct store *s, const struct store_event *ev, int64_t *ret_seq, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_EVENT_ADD, &q, e))
		return -1;
	struct store_event row = *ev;
	row.seq = s->now.event_seq + 1;
	int64_t size = (int64_t)(ev->props.len + ev->body.len);
	stmt_bind(&q, &event, &row);
	stmt_bind_int(&q, event.n + 1, size);
	if (stmt_run(&q, e))
		return -1;
	s->now.event_seq = row.seq;
	s->now.event_bytes += size;
	*ret_seq = row.seq;
	return 0;
}

int
store_event_bound(struct store *s, struct store_event_filter *f, int64_t events,
    bool *ret_more, struct err *e)
{
	int64_t first, none = s->now.event_seq + 1;
	*ret_more = false;
	if (f->device_id && f->device_id[0])
		return 0;
	if (stmt_find_int(s, STMT_EVENT_AFTER, f->after_seq, none, &first, e))
		return -1;
	f->after_seq = first - 1;
	f->to_seq = f->after_seq + events;
	*ret_more = f->to_seq < s->now.event_seq;
	return 0;
}

int
store_event_each(struct store *s, const struct store_event_filter *f,
    int (*visit)(void *ctx, const struct store_event *ev, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	bool any = !f->device_id || f->device_id[0] == '\0';
	if (stmt_open(s, any ? STMT_EVENT_EACH : STMT_EVENT_EACH_DEVICE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, f->after_seq);
	stmt_bind_text(&q, 2, f->thumb);
	stmt_bind_int(&q, 3, f->since_ms);
	stmt_bind_int(&q, 4, f->limit);
	if (any)
		stmt_bind_int(&q, 6, f->to_seq ? f->to_seq : INT64_MAX);
	else
		stmt_bind_text(&q, 5, f->device_id);
	struct store_event ev;
	int r;
	while ((r = stmt_row(&q, &event, &ev, e)) > 0) {
		int stop = visit(ctx, &ev, e);
		if (stop)
			return stop;
	}
	return r;
}

/* *ret_seq and *ret_ms stay where there is no row. */
static int
one_end(struct store *s, enum stmt_id id, bool limit, int64_t *ret_seq, int64_t *ret_ms,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	if (limit)
		stmt_bind_int(&q, 1, 1);
	int r = stmt_next(&q, e);
	if (r <= 0)
		return r;
	*ret_seq = stmt_int(&q, 0);
	*ret_ms = stmt_int(&q, 1);
	return 0;
}

int
store_event_bounds(struct store *s, int64_t *ret_first, int64_t *ret_last,
    int64_t *ret_last_ms, struct err *e)
{
	int64_t last = s->now.event_seq, first = last + 1, last_ms = 0, first_ms = 0;
	if (one_end(s, STMT_EVENT_OLDEST, true, &first, &first_ms, e) ||
	    one_end(s, STMT_EVENT_NEWEST, false, &last, &last_ms, e))
		return -1;
	*ret_first = first;
	*ret_last = last;
	*ret_last_ms = last_ms;
	return 0;
}

struct drop {
	int64_t last_seq, rows, bytes;
};

/* Walks from the oldest until one may stay. */
static int
choose(struct store *s, int64_t before_ms, int64_t max_bytes, int64_t batch,
    struct drop *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_EVENT_OLDEST, &q, e))
		return -1;
	stmt_bind_int(&q, 1, batch);
	struct drop d = {0};
	int r;
	while ((r = stmt_next(&q, e)) > 0) {
		bool over = s->now.event_bytes - d.bytes > max_bytes;
		if (stmt_int(&q, 1) >= before_ms && !over)
			break;
		d.last_seq = stmt_int(&q, 0);
		d.bytes += stmt_int(&q, 2);
		d.rows++;
	}
	*ret = d;
	return r < 0 ? -1 : 0;
}

int
store_event_trim(struct store *s, int64_t before_ms, int64_t max_bytes, int64_t batch,
    int64_t *ret_dropped, struct err *e)
{
	struct drop d = {0};
	if (choose(s, before_ms, max_bytes, batch, &d, e))
		return -1;
	if (d.rows) {
		auto_stmt q = {0};
		if (stmt_open(s, STMT_EVENT_DROP, &q, e))
			return -1;
		stmt_bind_int(&q, 1, d.last_seq);
		if (stmt_run(&q, e))
			return -1;
	}
	s->now.event_bytes -= d.bytes;
	*ret_dropped = d.rows;
	return 0;
}
