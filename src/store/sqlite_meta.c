/*
 * Small named values.
 */
#include "store/sqlite.h"

struct value {
	const char *text;
};
static const struct stmt_col cols[] = {STMT_COL(struct value, text)};
static const struct stmt_shape shape = STMT_SHAPE("value", cols);

int
store_meta_get(
    struct store *s, const char *key, struct arena *a, const char **ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_META_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, key);
	struct value v;
	if (stmt_one(&q, &shape, key, a, &v, e))
		return -1;
	*ret = v.text;
	return 0;
}

int
store_meta_put(struct store *s, const char *key, const char *value, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_META_PUT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, key);
	stmt_bind_text(&q, 2, value);
	return stmt_run(&q, e);
}
