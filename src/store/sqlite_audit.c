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

int
store_audit_each(struct store *s, int64_t after_seq, int64_t since_ms, int64_t limit,
    int (*visit)(void *ctx, const struct store_audit *a, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_AUDIT_EACH, &q, e))
		return -1;
	stmt_bind_int(&q, 1, after_seq);
	stmt_bind_int(&q, 2, since_ms);
	stmt_bind_int(&q, 3, limit);
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
store_audit_trim(struct store *s, int64_t before_ms, int64_t batch, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_AUDIT_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	stmt_bind_int(&q, 2, batch);
	return stmt_run(&q, e);
}
