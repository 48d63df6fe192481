/*
 * The CAs, and the rollovers from one to the next.
 */
#include "store/pki.h"
#include "store/sqlite.h"

static const struct stmt_col issuer_cols[] = {
    STMT_COL(struct store_issuer, sha256),
    STMT_COL(struct store_issuer, name),
    STMT_COL(struct store_issuer, purpose),
    STMT_COL(struct store_issuer, state),
    STMT_COL(struct store_issuer, reason),
    STMT_COL(struct store_issuer, custody),
    STMT_COL(struct store_issuer, cert),
    STMT_COL(struct store_issuer, added_ms),
    STMT_COL(struct store_issuer, state_ms),
};
static const struct stmt_shape issuer = STMT_SHAPE("CA", issuer_cols);

static const struct stmt_col rollover_cols[] = {
    STMT_COL(struct store_rollover, from_issuer),
    STMT_COL(struct store_rollover, to_issuer),
    STMT_COL(struct store_rollover, state),
    STMT_COL(struct store_rollover, share),
    STMT_COL(struct store_rollover, spread_ms),
    STMT_COL(struct store_rollover, started_ms),
    STMT_COL(struct store_rollover, wave_ms),
    STMT_COL(struct store_rollover, ended_ms),
#define ROLLOVER_GIVEN 8 /* the last is the store's own */
    STMT_COL(struct store_rollover, n),
};
static const struct stmt_shape rollover = STMT_SHAPE("rollover", rollover_cols);
static const struct stmt_shape rollover_new = {"rollover", rollover_cols, ROLLOVER_GIVEN};
_Static_assert(sizeof(rollover_cols) / sizeof(rollover_cols[0]) == ROLLOVER_GIVEN + 1,
    "a column too many");

int
store_issuer_get(struct store *s, const char *sha256, struct arena *a,
    struct store_issuer *ret, struct err *e)
{
	return stmt_get(s, STMT_ISSUER_GET, &issuer, sha256, a, ret, e);
}

int
store_issuer_by_name(struct store *s, const char *name, struct arena *a,
    struct store_issuer *ret, struct err *e)
{
	return stmt_get(s, STMT_ISSUER_BY_NAME, &issuer, name, a, ret, e);
}

int
store_issuer_put(struct store *s, const struct store_issuer *i, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ISSUER_PUT, &q, e))
		return -1;
	stmt_bind(&q, &issuer, i);
	return stmt_add(&q, issuer.noun, i->name, e);
}

int
store_issuer_each(struct store *s,
    int (*visit)(void *ctx, const struct store_issuer *i, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ISSUER_EACH, &q, e))
		return -1;
	struct store_issuer row;
	int r;
	while ((r = stmt_row(&q, &issuer, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

static int
add_rollover(struct store *s, const struct store_rollover *r, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ROLLOVER_ADD, &q, e))
		return -1;
	stmt_bind(&q, &rollover_new, r);
	return stmt_add(&q, rollover.noun, r->to_issuer, e);
}

int
store_rollover_put(struct store *s, const struct store_rollover *r, struct err *e)
{
	auto_stmt q = {0};
	if (r->n == 0)
		return add_rollover(s, r, e);
	if (stmt_open(s, STMT_ROLLOVER_PUT, &q, e))
		return -1;
	stmt_bind(&q, &rollover, r);
	return stmt_change(&q, rollover.noun, r->to_issuer, e);
}

int
store_rollover_each(struct store *s, int64_t limit,
    int (*visit)(void *ctx, const struct store_rollover *r, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ROLLOVER_EACH, &q, e))
		return -1;
	stmt_bind_int(&q, 1, limit);
	struct store_rollover row;
	int r;
	while ((r = stmt_row(&q, &rollover, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}
