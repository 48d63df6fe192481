/*
 * The audit record.
 */
#include "store/audit.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_audit, member)
static const struct stmt_col cols[] = {
    COL(at_ms),
    COL(who),
    COL(auth),
    COL(what),
    COL(target),
    COL(result),
    COL(detail),
    COL(peer),
    COL(agent),
    COL(seq),
#define GIVEN 9 /* the last is the store's own */
};
static const struct stmt_shape shape = STMT_SHAPE("audit line", cols);
static const struct stmt_shape shape_new = {"audit line", cols, GIVEN};

int
store_audit_add(struct store *s, const struct store_audit *a, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_AUDIT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape_new, a);
	return stmt_run(&q, e);
}

/* Where a walk begins, behind *from, and the last that it may see: what was trimmed is
 * not walked. */
static int
find_walk(
    struct store *s, int64_t *from, int64_t *ret_to, int64_t *ret_next, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_AUDIT_ENDS, &q, e) || stmt_next(&q, e) < 0)
		return -1;
	int64_t first = stmt_int(&q, 0), last = stmt_int(&q, 1);
	if (*from < first - 1)
		*from = first - 1;
	bool all = *from >= last - STORE_AUDIT_WALK;
	*ret_to = all ? last : *from + STORE_AUDIT_WALK;
	*ret_next = all ? 0 : *ret_to;
	return 0;
}

int
store_audit_each(struct store *s, int64_t after_seq, int64_t since_ms, int64_t limit,
    int (*visit)(void *ctx, const struct store_audit *a, struct err *e), void *ctx,
    int64_t *ret_next, struct err *e)
{
	auto_stmt q = {0};
	int64_t to;
	if (find_walk(s, &after_seq, &to, ret_next, e) ||
	    stmt_open(s, STMT_AUDIT_EACH, &q, e))
		return -1;
	stmt_bind_int(&q, 1, after_seq);
	stmt_bind_int(&q, 2, since_ms);
	stmt_bind_int(&q, 3, limit);
	stmt_bind_int(&q, 4, to);
	struct store_audit a;
	int r;
	while ((r = stmt_row(&q, &shape, &a, e)) > 0) {
		int stop = visit(ctx, &a, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_audit_trim(struct store *s, int64_t before_ms, int64_t max_rows, int64_t batch,
    int64_t *ret_dropped, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_AUDIT_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	stmt_bind_int(&q, 2, batch);
	stmt_bind_int(&q, 3, max_rows);
	if (stmt_run(&q, e))
		return -1;
	*ret_dropped = sqlite3_changes(s->db);
	return 0;
}
