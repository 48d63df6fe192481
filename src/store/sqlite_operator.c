/*
 * Operators by name, and the keys of their tokens.
 */
#include "store/operator.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_principal, member)
static const struct stmt_col cols[] = {
    COL(name),
    COL(app_id),
    COL(role),
    COL(salt),
    COL(secret),
    COL(added_ms),
    COL(secret_ms),
    COL(secret_end_ms),
    COL(signin_ms),
};
static const struct stmt_shape shape = STMT_SHAPE("operator", cols);

static const struct stmt_col key_cols[] = {
    STMT_COL(struct store_token_key, kid),
    STMT_COL(struct store_token_key, key),
    STMT_COL(struct store_token_key, spki),
    STMT_COL(struct store_token_key, made_ms),
};
static const struct stmt_shape key_shape = STMT_SHAPE("key of tokens", key_cols);

int
store_principal_get(struct store *s, const char *name, struct arena *a,
    struct store_principal *ret, struct err *e)
{
	return stmt_get(s, STMT_PRINCIPAL_GET, &shape, name, a, ret, e);
}

int
store_principal_by_app(struct store *s, const char *app_id, struct arena *a,
    struct store_principal *ret, struct err *e)
{
	return stmt_get(s, STMT_PRINCIPAL_BY_APP, &shape, app_id, a, ret, e);
}

int
store_principal_put(struct store *s, const struct store_principal *p, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_PRINCIPAL_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shape, p);
	return stmt_run(&q, e);
}

int
store_principal_del(struct store *s, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_PRINCIPAL_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, name);
	return stmt_change(&q, shape.noun, name, e);
}

int
store_principal_each(struct store *s,
    int (*visit)(void *ctx, const struct store_principal *p, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_PRINCIPAL_EACH, &q, e))
		return -1;
	struct store_principal p;
	int r;
	while ((r = stmt_row(&q, &shape, &p, e)) > 0) {
		int stop = visit(ctx, &p, e);
		if (stop)
			return stop;
	}
	return r;
}

/* ---- certificates ---- */

int
store_operator_count(
    struct store *s, const char *name, int64_t now_ms, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OPERATOR_COUNT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, name);
	stmt_bind_int(&q, 2, now_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

int
store_operator_disable(struct store *s, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_OPERATOR_DISABLE, &q, e))
		return -1;
	stmt_bind_text(&q, 1, name);
	return stmt_run(&q, e);
}

/* ---- keys of tokens ---- */

int
store_token_key_get(struct store *s, const char *kid, struct arena *a,
    struct store_token_key *ret, struct err *e)
{
	return stmt_get(s, STMT_TOKEN_KEY_GET, &key_shape, kid, a, ret, e);
}

int
store_token_key_newest(
    struct store *s, struct arena *a, struct store_token_key *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_KEY_NEWEST, &q, e))
		return -1;
	return stmt_one(&q, &key_shape, "newest", a, ret, e);
}

int
store_token_key_add(struct store *s, const struct store_token_key *k, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_KEY_ADD, &q, e))
		return -1;
	stmt_bind(&q, &key_shape, k);
	return stmt_add(&q, key_shape.noun, k->kid, e);
}

int
store_token_key_trim(struct store *s, int64_t before_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TOKEN_KEY_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	return stmt_run(&q, e);
}
