/*
 * Jobs that import or export identities.
 */
#include "store/sqlite.h"
#include "store/transfer.h"

#define COL(member) STMT_COL(struct store_transfer, member)
static const struct stmt_col cols[] = {
    COL(hub),
    COL(id),
    COL(exports),
    COL(input),
    COL(input_name),
    COL(output),
    COL(output_name),
    COL(no_keys),
    COL(created_ms),
    COL(status),
    COL(ended_ms),
    COL(reason),
    COL(at),
    COL(blocks),
    COL(done),
    COL(failed),
    STMT_JSON(struct store_transfer, errors),
    COL(n),
};
static const struct stmt_shape shape = STMT_SHAPE("job", cols);
/* one that has no n yet */
static const struct stmt_shape shape_new = {
    "job", cols, sizeof(cols) / sizeof(cols[0]) - 1};

static const struct stmt_col progress_cols[] = {
    COL(n),
    COL(status),
    COL(ended_ms),
    COL(reason),
    COL(at),
    COL(blocks),
    COL(done),
    COL(failed),
    STMT_JSON(struct store_transfer, errors),
};
static const struct stmt_shape progress = STMT_SHAPE("job", progress_cols);

int
store_transfer_add(struct store *s, const struct store_transfer *t, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TRANSFER_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape_new, t);
	return stmt_add(&q, shape.noun, t->id, e);
}

int
store_transfer_get(struct store *s, const char *hub, const char *id, struct arena *a,
    struct store_transfer *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TRANSFER_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, id);
	return stmt_one(&q, &shape, id, a, ret, e);
}

int
store_transfer_open(
    struct store *s, struct arena *a, struct store_transfer *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TRANSFER_OPEN, &q, e))
		return -1;
	return stmt_one(&q, &shape, "that is open", a, ret, e);
}

int
store_transfer_put(struct store *s, const struct store_transfer *t, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TRANSFER_PUT, &q, e))
		return -1;
	stmt_bind(&q, &progress, t);
	return stmt_change(&q, shape.noun, t->id, e);
}

int
store_transfer_each(struct store *s, const char *hub, int64_t limit,
    int (*visit)(void *ctx, const struct store_transfer *t, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	struct store_transfer t;
	int rc;
	if (stmt_open(s, STMT_TRANSFER_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_int(&q, 2, limit);
	while ((rc = stmt_row(&q, &shape, &t, e)) > 0) {
		rc = visit(ctx, &t, e);
		if (rc)
			return rc;
	}
	return rc;
}

int
store_transfer_trim(struct store *s, int64_t before_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TRANSFER_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	return stmt_run(&q, e);
}
