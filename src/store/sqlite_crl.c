/*
 * CRLs, and what goes into the next ones. Changes are numbered, so that one which comes
 * while a CRL is being signed is not lost with those the CRL holds.
 */
#include "store/pki.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_crl, member)
static const struct stmt_col cols[] = {
    COL(issuer),
    COL(shard),
    COL(delta),
    COL(number),
    COL(this_ms),
    COL(next_ms),
    COL(mark),
    COL(der),
};
static const struct stmt_shape crl = STMT_SHAPE("CRL", cols);

static const struct stmt_col entry_cols[] = {
    STMT_COL(struct store_cert, issuer),
    STMT_COL(struct store_cert, crl_shard),
    STMT_COL(struct store_cert, serial),
    STMT_COL(struct store_cert, revoked_ms),
    STMT_COL(struct store_cert, reason),
};
static const struct stmt_shape entry = STMT_SHAPE("CRL entry", entry_cols);

int
store_crl_get(struct store *s, const char *issuer, int64_t shard, bool delta,
    struct arena *a, struct store_crl *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, shard);
	stmt_bind_int(&q, 3, delta);
	return stmt_one(&q, &crl, issuer, a, ret, e);
}

int
store_crl_put(struct store *s, const struct store_crl *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_PUT, &q, e))
		return -1;
	stmt_bind(&q, &crl, c);
	return stmt_run(&q, e);
}

int
store_crl_each(struct store *s,
    int (*visit)(void *ctx, const struct store_crl *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_EACH, &q, e))
		return -1;
	struct store_crl row;
	int r;
	while ((r = stmt_row(&q, &crl, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

static int
show_entries(struct stmt *q,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	struct store_cert c = {.profile = "",
	    .subject = "",
	    .requester = "",
	    .sha256 = "",
	    .key_sha256 = ""};
	int r;
	while ((r = stmt_row(q, &entry, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_crl_entries(struct store *s, const char *issuer, int64_t shard, int64_t since_ms,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_ENTRIES, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, shard);
	stmt_bind_int(&q, 3, since_ms);
	return show_entries(&q, visit, ctx, e);
}

int
store_crl_changes(struct store *s, const char *issuer, int64_t shard,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_CHANGES, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, shard);
	return show_entries(&q, visit, ctx, e);
}

int
store_crl_mark(struct store *s, int64_t *ret_mark, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_MARK, &q, e) || stmt_next(&q, e) < 0)
		return -1;
	*ret_mark = stmt_int(&q, 0);
	return 0;
}

struct dirty {
	const char *issuer;
	int64_t shard, changes;
};
static const struct stmt_col dirty_cols[] = {
    STMT_COL(struct dirty, issuer),
    STMT_COL(struct dirty, shard),
    STMT_COL(struct dirty, changes),
};
static const struct stmt_shape dirty = STMT_SHAPE("distribution point", dirty_cols);

int
store_crl_dirty(struct store *s,
    int (*visit)(
	void *ctx, const char *issuer, int64_t shard, int64_t changes, struct err *e),
    void *ctx, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_DIRTY, &q, e))
		return -1;
	struct dirty row;
	int r;
	while ((r = stmt_row(&q, &dirty, &row, e)) > 0) {
		int stop = visit(ctx, row.issuer, row.shard, row.changes, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_crl_settle(
    struct store *s, const char *issuer, int64_t shard, int64_t mark, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CRL_SETTLE, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, shard);
	stmt_bind_int(&q, 3, mark);
	return stmt_run(&q, e);
}
