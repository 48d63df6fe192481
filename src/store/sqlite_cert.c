/*
 * Certificates issued, and the operators' certificates.
 */
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_cert, member)
static const struct stmt_col cert_cols[] = {
    COL(serial),
    COL(issuer),
    COL(profile),
    COL(subject),
    COL(requester),
    COL(sha256),
    COL(not_before_ms),
    COL(not_after_ms),
    COL(issued_ms),
    COL(der),
};
static const struct stmt_shape cert = STMT_SHAPE("certificate", cert_cols);

static const struct stmt_col operator_cols[] = {
    STMT_COL(struct store_operator, sha256),
    STMT_COL(struct store_operator, name),
    STMT_COL(struct store_operator, added_ms),
    STMT_COL(struct store_operator, not_after_ms),
    STMT_COL(struct store_operator, enabled),
};
static const struct stmt_shape operators = STMT_SHAPE("operator", operator_cols);

int
store_cert_add(struct store *s, const struct store_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &cert, c);
	return stmt_add(&q, cert.noun, c->serial, e);
}

int
store_cert_by_sha256(struct store *s, const char *sha256, struct arena *a,
    struct store_cert *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_BY_SHA256, &q, e))
		return -1;
	stmt_bind_text(&q, 1, sha256);
	return stmt_one(&q, &cert, sha256, a, ret, e);
}

int
store_cert_each(struct store *s, const char *subject, int64_t limit,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CERT_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, subject);
	stmt_bind_int(&q, 2, limit);
	struct store_cert c;
	int r;
	while ((r = stmt_row(&q, &cert, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_operator_get(struct store *s, const char *sha256, struct arena *a,
    struct store_operator *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OPERATOR_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, sha256);
	return stmt_one(&q, &operators, sha256, a, ret, e);
}

int
store_operator_put(struct store *s, const struct store_operator *o, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OPERATOR_PUT, &q, e))
		return -1;
	stmt_bind(&q, &operators, o);
	return stmt_run(&q, e);
}
