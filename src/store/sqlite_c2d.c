/*
 * Cloud-to-device messages. What a device's queue holds is at most some dozen rows
 * (hub.c2d_queue), so its walks go by the index of the device alone.
 */
#include "store/c2d.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_c2d, member)
#define HEAD                                                                             \
	COL(seq), COL(device_id), COL(generation), COL(message_id), COL(correlation_id), \
	    COL(user_id), COL(ack), COL(enqueued_ms), COL(expires_ms), COL(deliveries),  \
	    COL(holder), COL(lock), COL(locked_until_ms)
static const struct stmt_col cols[] = {
    HEAD,
    STMT_JSON(struct store_c2d, props),
    COL(body),
};
static const struct stmt_shape message = STMT_SHAPE("message", cols);
static const struct stmt_col head_cols[] = {HEAD};
static const struct stmt_shape head = STMT_SHAPE("message", head_cols);

int
store_c2d_add(struct store *s, const struct store_c2d *m, int64_t *ret_seq, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_ADD, &q, e))
		return -1;
	stmt_bind(&q, &message, m);
	stmt_bind_int(&q, message.n + 1, (int64_t)(m->props.len + m->body.len));
	if (stmt_run(&q, e))
		return -1;
	*ret_seq = sqlite3_last_insert_rowid(s->db);
	return 0;
}

int
store_c2d_next(struct store *s, const char *device_id, int64_t now_ms, struct arena *a,
    struct store_c2d *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_NEXT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	stmt_bind_int(&q, 2, now_ms);
	return stmt_one(&q, &message, device_id, a, ret, e);
}

int
store_c2d_held(struct store *s, const char *device_id, int64_t holder, int64_t seq,
    struct arena *a, struct store_c2d *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_HELD, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	stmt_bind_int(&q, 2, holder);
	stmt_bind_int(&q, 3, seq);
	return stmt_one(&q, &head, device_id, a, ret, e);
}

int
store_c2d_locked(struct store *s, const char *device_id, const char *lock, int64_t now_ms,
    struct arena *a, struct store_c2d *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_LOCKED, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	stmt_bind_text(&q, 2, lock);
	stmt_bind_int(&q, 3, now_ms);
	return stmt_one(&q, &head, device_id, a, ret, e);
}

int
store_c2d_take(struct store *s, int64_t seq, int64_t holder, const char *lock,
    int64_t locked_until_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_TAKE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, seq);
	stmt_bind_int(&q, 2, holder);
	stmt_bind_text(&q, 3, lock);
	stmt_bind_int(&q, 4, locked_until_ms);
	return stmt_change(&q, message.noun, "to hand out", e);
}

static int
change(struct store *s, enum stmt_id id, int64_t seq, const char *what, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_int(&q, 1, seq);
	return stmt_change(&q, message.noun, what, e);
}

int
store_c2d_free(struct store *s, int64_t seq, struct err *e)
{
	return change(s, STMT_C2D_FREE, seq, "to free", e);
}

int
store_c2d_del(struct store *s, int64_t seq, struct err *e)
{
	return change(s, STMT_C2D_DEL, seq, "to delete", e);
}

int
store_c2d_free_all(struct store *s, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_FREE_ALL, &q, e))
		return -1;
	return stmt_run(&q, e);
}

int
store_c2d_load(struct store *s, const char *device_id, int64_t holder, int64_t now_ms,
    struct store_c2d_load *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_LOAD, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	stmt_bind_int(&q, 2, holder);
	stmt_bind_int(&q, 3, now_ms);
	int r = stmt_next(&q, e);
	if (r < 0)
		return -1;
	*ret = (struct store_c2d_load){.pending = r ? stmt_int(&q, 0) : 0,
	    .held = r ? stmt_int(&q, 1) : 0,
	    .held_bytes = r ? stmt_int(&q, 2) : 0,
	    .all = r ? stmt_int(&q, 3) : 0};
	return 0;
}

static int
show(struct stmt *q, store_c2d_visit *visit, void *ctx, struct err *e)
{
	struct store_c2d m = {0};
	int r;
	while ((r = stmt_row(q, &head, &m, e)) > 0) {
		int stop = visit(ctx, &m, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_c2d_each_held(
    struct store *s, int64_t holder, store_c2d_visit *visit, void *ctx, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_EACH_HELD, &q, e))
		return -1;
	stmt_bind_int(&q, 1, holder);
	return show(&q, visit, ctx, e);
}

int
store_c2d_each_holder(struct store *s, int64_t after, int64_t limit,
    int (*visit)(void *ctx, int64_t holder, struct err *e), void *ctx, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_EACH_HOLDER, &q, e))
		return -1;
	stmt_bind_int(&q, 1, after);
	stmt_bind_int(&q, 2, limit);
	int r;
	while ((r = stmt_next(&q, e)) > 0) {
		int stop = visit(ctx, stmt_int(&q, 0), e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_c2d_each(struct store *s, const char *device_id, store_c2d_visit *visit, void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_C2D_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return show(&q, visit, ctx, e);
}

static int
each_until(struct store *s, enum stmt_id id, int64_t now_ms, int64_t limit,
    store_c2d_visit *visit, void *ctx, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_int(&q, 1, now_ms);
	stmt_bind_int(&q, 2, limit);
	return show(&q, visit, ctx, e);
}

int
store_c2d_each_expired(struct store *s, int64_t now_ms, int64_t limit,
    store_c2d_visit *visit, void *ctx, struct err *e)
{
	return each_until(s, STMT_C2D_EACH_EXPIRED, now_ms, limit, visit, ctx, e);
}

int
store_c2d_each_unlocked(struct store *s, int64_t now_ms, int64_t limit,
    store_c2d_visit *visit, void *ctx, struct err *e)
{
	return each_until(s, STMT_C2D_EACH_UNLOCKED, now_ms, limit, visit, ctx, e);
}

/* ---- feedback ---- */

static const struct stmt_col feedback_cols[] = {
    STMT_COL(struct store_feedback, seq),
    STMT_COL(struct store_feedback, message_id),
    STMT_COL(struct store_feedback, device_id),
    STMT_COL(struct store_feedback, generation),
    STMT_COL(struct store_feedback, at_ms),
    STMT_COL(struct store_feedback, outcome),
    STMT_COL(struct store_feedback, expires_ms),
    STMT_COL(struct store_feedback, deliveries),
    STMT_COL(struct store_feedback, lock),
    STMT_COL(struct store_feedback, locked_until_ms),
};
static const struct stmt_shape feedback = STMT_SHAPE("feedback", feedback_cols);

int
store_feedback_add(struct store *s, const struct store_feedback *f, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FEEDBACK_ADD, &q, e))
		return -1;
	stmt_bind(&q, &feedback, f);
	return stmt_run(&q, e);
}

int
store_feedback_lock(struct store *s, const char *lock, int64_t locked_until_ms,
    int64_t now_ms, int64_t limit, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FEEDBACK_LOCK, &q, e))
		return -1;
	stmt_bind_text(&q, 1, lock);
	stmt_bind_int(&q, 2, locked_until_ms);
	stmt_bind_int(&q, 3, now_ms);
	stmt_bind_int(&q, 4, limit);
	return stmt_run(&q, e);
}

int
store_feedback_each(struct store *s, const char *lock,
    int (*visit)(void *ctx, const struct store_feedback *f, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FEEDBACK_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, lock);
	struct store_feedback f;
	int r;
	while ((r = stmt_row(&q, &feedback, &f, e)) > 0) {
		int stop = visit(ctx, &f, e);
		if (stop)
			return stop;
	}
	return r;
}

static int
end_lock(
    struct store *s, enum stmt_id id, const char *lock, int64_t now_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_text(&q, 1, lock);
	stmt_bind_int(&q, 2, now_ms);
	return stmt_change(&q, feedback.noun, lock, e);
}

int
store_feedback_del(struct store *s, const char *lock, int64_t now_ms, struct err *e)
{
	return end_lock(s, STMT_FEEDBACK_DEL, lock, now_ms, e);
}

int
store_feedback_free(struct store *s, const char *lock, int64_t now_ms, struct err *e)
{
	return end_lock(s, STMT_FEEDBACK_FREE, lock, now_ms, e);
}

int
store_feedback_trim(struct store *s, int64_t now_ms, int64_t most_deliveries,
    int64_t batch, struct err *e)
{
	auto_stmt expired = {0};
	auto_stmt exhausted = {0};
	if (stmt_open(s, STMT_FEEDBACK_TRIM, &expired, e) ||
	    stmt_open(s, STMT_FEEDBACK_EXHAUSTED, &exhausted, e))
		return -1;
	stmt_bind_int(&expired, 1, now_ms);
	stmt_bind_int(&expired, 2, batch);
	if (stmt_run(&expired, e))
		return -1;
	stmt_bind_int(&exhausted, 1, now_ms);
	stmt_bind_int(&exhausted, 2, most_deliveries);
	return stmt_run(&exhausted, e);
}

int
store_c2d_forget(struct store *s, const char *device_id, struct err *e)
{
	static const enum stmt_id ids[] = {STMT_C2D_FORGET, STMT_FEEDBACK_FORGET};
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		auto_stmt q = {0};
		if (stmt_open(s, ids[i], &q, e))
			return -1;
		stmt_bind_text(&q, 1, device_id);
		if (stmt_run(&q, e))
			return -1;
	}
	return 0;
}
