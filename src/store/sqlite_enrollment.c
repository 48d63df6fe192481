/*
 * Enrollment groups and individual enrollments. IDs compare without ASCII case (the
 * column's collation).
 */
#include "store/enrollment.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_enrollment, member)
static const struct stmt_col cols[] = {
    COL(kind),
    COL(id),
    COL(etag),
    COL(attestation),
    COL(primary_cert),
    COL(secondary_cert),
    COL(primary_cert_sha256),
    COL(secondary_cert_sha256),
    COL(primary_ca),
    COL(secondary_ca),
    COL(primary_key),
    COL(secondary_key),
    COL(endorsement_key),
    COL(storage_root_key),
    COL(device_id),
    STMT_JSON(struct store_enrollment, info),
    COL(enabled),
    COL(iot_edge),
    COL(allocation),
    COL(hubs),
    STMT_JSON(struct store_enrollment, tags),
    STMT_JSON(struct store_enrollment, desired),
    COL(update_hub),
    COL(migrate_data),
    COL(created_ms),
    COL(updated_ms),
    COL(reprovision_unset),
    COL(webhook_url),
    COL(webhook_api),
};
static const struct stmt_shape shapes[] = {
    [STORE_GROUP] = STMT_SHAPE("enrollment group", cols),
    [STORE_INDIVIDUAL] = STMT_SHAPE("enrollment", cols),
};
static const struct stmt_shape by_cert = STMT_SHAPE("enrollment of certificate", cols);
static const struct stmt_shape by_ca = STMT_SHAPE("enrollment group of CA", cols);

int
store_enrollment_get(struct store *s, enum store_enrollment_kind kind, const char *id,
    struct arena *a, struct store_enrollment *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_GET, &q, e))
		return -1;
	stmt_bind_int(&q, 1, kind);
	stmt_bind_text(&q, 2, id);
	return stmt_one(&q, &shapes[kind], id, a, ret, e);
}

int
store_enrollment_count(
    struct store *s, enum store_enrollment_kind kind, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_COUNT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, kind);
	int r = stmt_next(&q, e);
	if (r > 0)
		*ret = stmt_int(&q, 0);
	return r > 0 ? 0
	       : r   ? -1
		     : err_set(e, ERR_CORRUPT, "enrollments are not counted");
}

int
store_enrollment_by_cert(struct store *s, enum store_enrollment_kind kind,
    const char *sha256, struct arena *a, struct store_enrollment *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_BY_CERT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, kind);
	stmt_bind_text(&q, 2, sha256);
	return stmt_one(&q, &by_cert, sha256, a, ret, e);
}

int
store_enrollment_by_ca(struct store *s, const char *name, struct arena *a,
    struct store_enrollment *ret, struct err *e)
{
	return stmt_get(s, STMT_ENROLLMENT_BY_CA, &by_ca, name, a, ret, e);
}

int
store_enrollment_add(struct store *s, const struct store_enrollment *n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shapes[n->kind], n);
	return stmt_add(&q, shapes[n->kind].noun, n->id, e);
}

int
store_enrollment_put(struct store *s, const struct store_enrollment *n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shapes[n->kind], n);
	return stmt_change(&q, shapes[n->kind].noun, n->id, e);
}

int
store_enrollment_del(
    struct store *s, enum store_enrollment_kind kind, const char *id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_DEL, &q, e))
		return -1;
	stmt_bind_int(&q, 1, kind);
	stmt_bind_text(&q, 2, id);
	return stmt_change(&q, shapes[kind].noun, id, e);
}

int
store_enrollment_each(struct store *s, enum store_enrollment_kind kind, const char *after,
    int64_t limit,
    int (*visit)(void *ctx, const struct store_enrollment *n, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_ENROLLMENT_EACH, &q, e))
		return -1;
	stmt_bind_int(&q, 1, kind);
	stmt_bind_text(&q, 2, after);
	stmt_bind_int(&q, 3, limit);
	struct store_enrollment n;
	int r;
	while ((r = stmt_row(&q, &shapes[kind], &n, e)) > 0) {
		int stop = visit(ctx, &n, e);
		if (stop)
			return stop;
	}
	return r;
}
