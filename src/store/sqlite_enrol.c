/*
 * Enrolment: one-time tokens, requests that wait for an operator, and who may renew an
 * expired certificate.
 */
#include "store/pki.h"
#include "store/sqlite.h"

static const struct stmt_col token_cols[] = {
    STMT_COL(struct store_token, device_id),
    STMT_COL(struct store_token, sha256),
    STMT_COL(struct store_token, created_ms),
    STMT_COL(struct store_token, expires_ms),
    STMT_COL(struct store_token, used_ms),
    STMT_COL(struct store_token, created_by),
};
static const struct stmt_shape token = STMT_SHAPE("token of device", token_cols);

static const struct stmt_col enrol_cols[] = {
    STMT_COL(struct store_enrol, id),
    STMT_COL(struct store_enrol, device_id),
    STMT_COL(struct store_enrol, state),
    STMT_COL(struct store_enrol, key_sha256),
    STMT_COL(struct store_enrol, credential),
    STMT_COL(struct store_enrol, address),
    STMT_COL(struct store_enrol, created_ms),
    STMT_COL(struct store_enrol, decided_ms),
    STMT_COL(struct store_enrol, decided_by),
    STMT_COL(struct store_enrol, cert_sha256),
};
static const struct stmt_shape enrol = STMT_SHAPE("enrolment", enrol_cols);

static const struct stmt_col allow_cols[] = {
    STMT_COL(struct store_allow, device_id),
    STMT_COL(struct store_allow, until_ms),
    STMT_COL(struct store_allow, quarantined_ms),
    STMT_COL(struct store_allow, added_by),
};
static const struct stmt_shape allow =
    STMT_SHAPE("renewal allowance of device", allow_cols);

int
store_token_get(struct store *s, const char *device_id, struct arena *a,
    struct store_token *ret, struct err *e)
{
	return stmt_get(s, STMT_TOKEN_GET, &token, device_id, a, ret, e);
}

int
store_token_put(struct store *s, const struct store_token *t, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_PUT, &q, e))
		return -1;
	stmt_bind(&q, &token, t);
	return stmt_add(&q, token.noun, t->device_id, e);
}

int
store_token_del(struct store *s, const char *device_id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return stmt_change(&q, token.noun, device_id, e);
}

int
store_token_each(struct store *s,
    int (*visit)(void *ctx, const struct store_token *t, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_EACH, &q, e))
		return -1;
	struct store_token row;
	int r;
	while ((r = stmt_row(&q, &token, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_enrol_get(struct store *s, const char *id, struct arena *a, struct store_enrol *ret,
    struct err *e)
{
	return stmt_get(s, STMT_ENROL_GET, &enrol, id, a, ret, e);
}

int
store_enrol_put(struct store *s, const struct store_enrol *r, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROL_PUT, &q, e))
		return -1;
	stmt_bind(&q, &enrol, r);
	return stmt_run(&q, e);
}

int
store_enrol_each(struct store *s, const char *state, int64_t limit,
    int (*visit)(void *ctx, const struct store_enrol *r, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	bool any = !state || state[0] == '\0';
	if (stmt_open(s, any ? STMT_ENROL_EACH : STMT_ENROL_EACH_STATE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, limit);
	if (!any)
		stmt_bind_text(&q, 2, state);
	struct store_enrol row;
	int r;
	while ((r = stmt_row(&q, &enrol, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_enrol_trim(struct store *s, int64_t before_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROL_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	return stmt_run(&q, e);
}

int
store_allow_get(struct store *s, const char *device_id, struct arena *a,
    struct store_allow *ret, struct err *e)
{
	return stmt_get(s, STMT_ALLOW_GET, &allow, device_id, a, ret, e);
}

int
store_allow_put(struct store *s, const struct store_allow *w, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ALLOW_PUT, &q, e))
		return -1;
	stmt_bind(&q, &allow, w);
	return stmt_run(&q, e);
}

int
store_allow_del(struct store *s, const char *device_id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ALLOW_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return stmt_change(&q, allow.noun, device_id, e);
}

int
store_allow_each(struct store *s,
    int (*visit)(void *ctx, const struct store_allow *w, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ALLOW_EACH, &q, e))
		return -1;
	struct store_allow row;
	int r;
	while ((r = stmt_row(&q, &allow, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}
