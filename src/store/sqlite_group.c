/*
 * Enrollment groups. IDs compare without ASCII case (the column's collation).
 */
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_group, member)
static const struct stmt_col cols[] = {
    COL(id),
    COL(etag),
    COL(attestation),
    COL(primary_cert),
    COL(secondary_cert),
    COL(primary_cert_sha256),
    COL(secondary_cert_sha256),
    COL(primary_key),
    COL(secondary_key),
    COL(enabled),
    COL(iot_edge),
    COL(allocation),
    COL(hubs),
    STMT_JSON(struct store_group, tags),
    STMT_JSON(struct store_group, desired),
    COL(update_hub),
    COL(migrate_data),
    COL(created_ms),
    COL(updated_ms),
};
static const struct stmt_shape group = STMT_SHAPE("enrollment group", cols);

static int
get(struct store *s, enum stmt_id id, const char *key, const struct stmt_shape *shape,
    struct arena *a, struct store_group *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_text(&q, 1, key);
	return stmt_one(&q, shape, key, a, ret, e);
}

int
store_group_get(struct store *s, const char *id, struct arena *a, struct store_group *ret,
    struct err *e)
{
	return get(s, STMT_GROUP_GET, id, &group, a, ret, e);
}

int
store_group_by_cert(struct store *s, const char *sha256, struct arena *a,
    struct store_group *ret, struct err *e)
{
	static const struct stmt_shape by_cert =
	    STMT_SHAPE("enrollment group of certificate", cols);
	return get(s, STMT_GROUP_BY_CERT, sha256, &by_cert, a, ret, e);
}

int
store_group_add(struct store *s, const struct store_group *g, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_GROUP_ADD, &q, e))
		return -1;
	stmt_bind(&q, &group, g);
	return stmt_add(&q, group.noun, g->id, e);
}

int
store_group_put(struct store *s, const struct store_group *g, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_GROUP_PUT, &q, e))
		return -1;
	stmt_bind(&q, &group, g);
	return stmt_change(&q, group.noun, g->id, e);
}

int
store_group_del(struct store *s, const char *id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_GROUP_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	return stmt_change(&q, group.noun, id, e);
}

int
store_group_each(struct store *s, const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_group *g, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_GROUP_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, after);
	stmt_bind_int(&q, 2, limit);
	struct store_group g;
	int r;
	while ((r = stmt_row(&q, &group, &g, e)) > 0) {
		int stop = visit(ctx, &g, e);
		if (stop)
			return stop;
	}
	return r;
}
