/*
 * OCSP answers signed ahead. Each certificate has a row from store_cert_add on, so that
 * those without an answer are a range of an index.
 */
#include "store/pki.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_ocsp, member)
static const struct stmt_col cols[] = {
    COL(issuer),
    COL(serial),
    COL(this_ms),
    COL(next_ms),
    COL(revoked_ms),
    COL(reason),
    COL(der),
};
static const struct stmt_shape ocsp = STMT_SHAPE("OCSP answer for certificate", cols);

int
store_ocsp_get(struct store *s, const char *issuer, const char *serial, struct arena *a,
    struct store_ocsp *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_text(&q, 2, serial);
	return stmt_one(&q, &ocsp, serial, a, ret, e);
}

int
store_ocsp_put(struct store *s, const struct store_ocsp *o, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_PUT, &q, e))
		return -1;
	stmt_bind(&q, &ocsp, o);
	return stmt_change(&q, "certificate in the state of the answer:", o->serial, e);
}

int
store_ocsp_due(struct store *s, const char *issuer, int64_t now_ms, int64_t before_ms,
    int64_t limit, int (*visit)(void *ctx, const struct store_cert *c, struct err *e),
    void *ctx, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_DUE, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_int(&q, 2, now_ms);
	stmt_bind_int(&q, 3, before_ms);
	stmt_bind_int(&q, 4, limit);
	struct store_cert row;
	int r;
	while ((r = stmt_row(&q, &sqlite_cert, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_ocsp_trim(struct store *s, int64_t before_ms, int64_t limit, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OCSP_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	stmt_bind_int(&q, 2, limit);
	return stmt_run(&q, e);
}
