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
	return 0;
}

/* Moves *after up to just before the first row of since_ms or later, so that a reader of
 * the last day does not walk a year. */
static int
skip_older(struct store *s, int64_t since_ms, int64_t *after, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONN_FIRST_SINCE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, since_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	int64_t first = stmt_int(&q, 0); /* 0 where there is none */
	if (first > *after)
		*after = first - 1;
	return 0;
}

int
store_conn_each(struct store *s, const struct store_conn_filter *f,
    int (*visit)(void *ctx, const struct store_conn *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	bool any = !f->device_id || f->device_id[0] == '\0';
	int64_t after = f->after_seq;
	/* a later page starts behind it already */
	if (any && after == 0 && f->since_ms > 0 && skip_older(s, f->since_ms, &after, e))
		return -1;
	if (stmt_open(s, any ? STMT_CONN_EACH : STMT_CONN_EACH_DEVICE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, after);
	stmt_bind_int(&q, 2, f->since_ms);
	stmt_bind_text(&q, 3, f->what);
	stmt_bind_text(&q, 4, f->auth);
	stmt_bind_text(&q, 5, f->plane);
	stmt_bind_int(&q, 6, f->limit);
	if (!any)
		stmt_bind_text(&q, 7, f->device_id);
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
