/*
 * What is refused by name: certificates that others issued, and registration IDs that
 * may not enrol (these compare without ASCII case).
 */
#include "store/pki.h"
#include "store/sqlite.h"

static const struct stmt_col foreign_cols[] = {
    STMT_COL(struct store_foreign, issuer),
    STMT_COL(struct store_foreign, serial),
    STMT_COL(struct store_foreign, sha256),
    STMT_COL(struct store_foreign, device_id),
    STMT_COL(struct store_foreign, revoked_ms),
    STMT_COL(struct store_foreign, reason),
};
static const struct stmt_shape foreign = STMT_SHAPE("foreign certificate", foreign_cols);

static const struct stmt_col blocked_cols[] = {
    STMT_COL(struct store_blocked, registration_id),
    STMT_COL(struct store_blocked, at_ms),
    STMT_COL(struct store_blocked, reason),
    STMT_COL(struct store_blocked, added_by),
};
static const struct stmt_shape blocked =
    STMT_SHAPE("blocked registration ID", blocked_cols);

int
store_foreign_get(struct store *s, const char *issuer, const char *serial,
    struct arena *a, struct store_foreign *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FOREIGN_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_text(&q, 2, serial);
	return stmt_one(&q, &foreign, serial, a, ret, e);
}

int
store_foreign_by_sha256(struct store *s, const char *sha256, struct arena *a,
    struct store_foreign *ret, struct err *e)
{
	return stmt_get(s, STMT_FOREIGN_BY_SHA256, &foreign, sha256, a, ret, e);
}

int
store_foreign_put(struct store *s, const struct store_foreign *f, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FOREIGN_PUT, &q, e))
		return -1;
	stmt_bind(&q, &foreign, f);
	return stmt_run(&q, e);
}

int
store_foreign_del(struct store *s, const char *issuer, const char *serial, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_FOREIGN_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, issuer);
	stmt_bind_text(&q, 2, serial);
	return stmt_change(&q, foreign.noun, serial, e);
}

int
store_blocked_get(struct store *s, const char *registration_id, struct arena *a,
    struct store_blocked *ret, struct err *e)
{
	return stmt_get(s, STMT_BLOCKED_GET, &blocked, registration_id, a, ret, e);
}

int
store_blocked_put(struct store *s, const struct store_blocked *b, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_BLOCKED_PUT, &q, e))
		return -1;
	stmt_bind(&q, &blocked, b);
	return stmt_run(&q, e);
}

int
store_blocked_del(struct store *s, const char *registration_id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_BLOCKED_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, registration_id);
	return stmt_change(&q, blocked.noun, registration_id, e);
}
