/*
 * The connection log, and since when it is complete.
 */
#include "store/sqlite.h"

#include "base/num.h"

#define COL(member) STMT_COL(struct store_conn, member)
static const struct stmt_col cols[] = {
    COL(seq),
    COL(at_ms),
    COL(what),
    COL(plane),
    COL(device_id),
    COL(module_id),
    COL(auth),
    COL(scope),
    COL(thumb),
    COL(code),
    COL(reason),
    COL(peer),
    COL(agent),
    COL(proto),
};
static const struct stmt_shape conn = STMT_SHAPE("connection", cols);

int
store_conn_add(struct store *s, const struct store_conn *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONN_ADD, &q, e))
		return -1;
	struct store_conn row = *c;
	row.seq = s->now.conn_seq + 1;
	stmt_bind(&q, &conn, &row);
	if (stmt_run(&q, e))
		return -1;
	s->now.conn_seq = row.seq;
	if (row.at_ms < s->now.conn_top_ms)
		s->now.conn_back_ms = s->now.conn_top_ms;
	else
		s->now.conn_top_ms = row.at_ms;
	return 0;
}

/* Where a walk begins, so that a reader of the last day does not walk a year. Where the
 * clock was set back since then, the first may be any line, and each is looked at. */
static int
find_start(
    struct store *s, const struct store_conn_filter *f, int64_t *ret_after, struct err *e)
{
	int64_t first, none = s->now.conn_seq + 1;
	bool rising = f->since_ms > s->now.conn_back_ms;
	enum stmt_id id = rising ? STMT_CONN_RISING_SINCE : STMT_CONN_FIRST_SINCE;
	/* a later page starts behind it already */
	if (f->since_ms <= 0 || f->after_seq)
		id = STMT_CONN_AFTER;
	int64_t arg = id == STMT_CONN_AFTER ? f->after_seq : f->since_ms;
	if (stmt_find_int(s, id, arg, none, &first, e))
		return -1;
	*ret_after = (first ? first : none) - 1; /* min() of none is NULL */
	return 0;
}

static bool
is_of_device(const struct store_conn_filter *f)
{
	return f->device_id && f->device_id[0];
}

int
store_conn_bound(struct store *s, struct store_conn_filter *f, int64_t lines,
    bool *ret_more, struct err *e)
{
	int64_t after;
	*ret_more = false;
	if (is_of_device(f))
		return 0;
	if (find_start(s, f, &after, e))
		return -1;
	f->after_seq = after;
	f->to_seq = after + lines;
	*ret_more = f->to_seq < s->now.conn_seq;
	return 0;
}

int
store_conn_each(struct store *s, const struct store_conn_filter *f,
    int (*visit)(void *ctx, const struct store_conn *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	bool one = is_of_device(f);
	if (stmt_open(s, one ? STMT_CONN_EACH_DEVICE : STMT_CONN_EACH, &q, e))
		return -1;
	stmt_bind_int(&q, 1, f->after_seq);
	stmt_bind_int(&q, 2, f->since_ms);
	stmt_bind_text(&q, 3, f->what);
	stmt_bind_text(&q, 4, f->auth);
	stmt_bind_text(&q, 5, f->plane);
	stmt_bind_int(&q, 6, f->limit);
	if (one)
		stmt_bind_text(&q, 7, f->device_id);
	else
		stmt_bind_int(&q, 8, f->to_seq ? f->to_seq : INT64_MAX);
	struct store_conn c;
	int r;
	while ((r = stmt_row(&q, &conn, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}

struct drop {
	int64_t last_seq, rows, last_ms;
};

/* Walks from the oldest until one may stay. Lines are numbered without a gap, and only
 * the oldest go: a number says how many follow. */
static int
choose(struct store *s, int64_t before_ms, int64_t max_rows, int64_t batch,
    struct drop *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONN_OLDEST, &q, e))
		return -1;
	stmt_bind_int(&q, 1, batch);
	struct drop d = {0};
	int r;
	while ((r = stmt_next(&q, e)) > 0) {
		bool over = s->now.conn_seq - stmt_int(&q, 0) >= max_rows;
		if (stmt_int(&q, 1) >= before_ms && !over)
			break;
		d.last_seq = stmt_int(&q, 0);
		d.rows++;
		if (stmt_int(&q, 1) > d.last_ms)
			d.last_ms = stmt_int(&q, 1);
	}
	*ret = d;
	return r < 0 ? -1 : 0;
}

int
store_conn_trim(struct store *s, int64_t before_ms, int64_t max_rows, int64_t batch,
    int64_t *ret_dropped, struct err *e)
{
	struct drop d = {0};
	if (choose(s, before_ms, max_rows, batch, &d, e))
		return -1;
	if (d.rows) {
		auto_stmt q = {0};
		if (stmt_open(s, STMT_CONN_DROP, &q, e))
			return -1;
		stmt_bind_int(&q, 1, d.last_seq);
		if (stmt_run(&q, e))
			return -1;
	}
	if (d.last_ms > s->now.conn_dropped_ms)
		s->now.conn_dropped_ms = d.last_ms;
	*ret_dropped = d.rows;
	return 0;
}

int
store_conn_complete_since(struct store *s, int64_t *ret_ms, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(256);
	const char *text;
	int64_t created;
	if (store_meta_get(s, "created_ms", a, &text, e) ||
	    num_parse(span_str(text), 1, INT64_MAX, &created, e))
		return err_wrap(e, "since when the connection log is complete");
	int64_t dropped = s->now.conn_dropped_ms;
	*ret_ms = dropped >= created ? dropped + 1 : created;
	return 0;
}
