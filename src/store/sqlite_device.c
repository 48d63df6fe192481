/*
 * Device identities and their twins.
 */
#include "store/module.h"
#include "store/query.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_device, member)
static const struct stmt_col cols[] = {
    COL(id),
    COL(generation),
    COL(etag),
    COL(enabled),
    COL(status_reason),
    COL(auth),
    COL(sas_window),
    COL(primary_key),
    COL(secondary_key),
    COL(primary_thumb),
    COL(secondary_thumb),
    COL(iot_edge),
    COL(created_ms),
    COL(status_updated_ms),
    COL(conn_updated_ms),
    COL(last_activity_ms),
    COL(connected),
    COL(group_id),
    COL(hub),
    COL(subs),
    COL(managed_by),
#define TWIN_FIRST 21
    STMT_JSON(struct store_device, tags),
    STMT_JSON(struct store_device, desired),
    STMT_JSON(struct store_device, reported),
    COL(desired_version),
    COL(reported_version),
    COL(twin_etag),
    STMT_JSON(struct store_device, desired_meta),
    STMT_JSON(struct store_device, reported_meta),
#define TWIN_N 8
};
static const struct stmt_shape device = STMT_SHAPE("device", cols);
static const struct stmt_shape identity = {"device", cols, TWIN_FIRST};
static const struct stmt_shape twin = {"twin", cols + TWIN_FIRST, TWIN_N};
_Static_assert(
    sizeof(cols) / sizeof(cols[0]) == TWIN_FIRST + TWIN_N, "a column too many");

int
store_device_get(struct store *s, const char *id, struct arena *a,
    struct store_device *ret, struct err *e)
{
	return stmt_get(s, STMT_DEVICE_GET, &device, id, a, ret, e);
}

/* ---- tags, for queries ---- */

static int
are_tags_same(struct store *s, const struct store_device *d, bool *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TAG_SAME, &q, e))
		return -1;
	stmt_bind_text(&q, 1, d->id);
	stmt_bind_json(&q, 2, d->tags);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0) != 0;
	return 0;
}

/* Before what is stored changes: it says what to drop. */
static int
drop_tags(struct store *s, const char *id, bool and_modules, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TAG_DROP, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	stmt_bind_int(&q, 2, and_modules);
	return stmt_run(&q, e);
}

static int
add_tags(struct store *s, const struct store_device *d, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TAG_ADD, &q, e))
		return -1;
	stmt_bind_text(&q, 1, d->id);
	stmt_bind_json(&q, 2, d->tags);
	return stmt_run(&q, e);
}

static int
put_twin(struct store *s, const struct store_device *d, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_TWIN_PUT, &q, e))
		return -1;
	stmt_bind(&q, &twin, d);
	stmt_bind_text(&q, TWIN_N + 1, d->id);
	return stmt_run(&q, e);
}

int
store_twin_put(struct store *s, const struct store_device *d, struct err *e)
{
	bool same;
	if (are_tags_same(s, d, &same, e))
		return -1;
	if (same)
		return put_twin(s, d, e);
	if (drop_tags(s, d->id, false, e) || put_twin(s, d, e))
		return -1;
	return add_tags(s, d, e);
}

/* ---- identities ---- */

int
store_device_add(struct store *s, const struct store_device *d, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_ADD, &q, e))
		return -1;
	stmt_bind(&q, &identity, d);
	stmt_bind_int(&q, TWIN_FIRST + 1, s->now.device_n + 1);
	if (stmt_add(&q, "device", d->id, e))
		return -1;
	s->now.device_n++;
	return store_twin_put(s, d, e);
}

int
store_device_put(struct store *s, const struct store_device *d, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_PUT, &q, e))
		return -1;
	stmt_bind(&q, &identity, d);
	return stmt_change(&q, "device", d->id, e) ? -1 : store_twin_put(s, d, e);
}

int
store_device_del(struct store *s, const char *id, struct err *e)
{
	auto_stmt q = {0};
	if (drop_tags(s, id, true, e) || stmt_open(s, STMT_DEVICE_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	return stmt_change(&q, "device", id, e);
}

int
store_device_seen(
    struct store *s, const char *id, bool connected, int64_t at_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_SEEN, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	stmt_bind_int(&q, 2, connected);
	stmt_bind_int(&q, 3, at_ms);
	return stmt_change(&q, "device", id, e);
}

int
store_device_subs(struct store *s, const char *id, uint32_t subs, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_SUBS, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	stmt_bind_int(&q, 2, subs);
	return stmt_change(&q, "device", id, e);
}

int
store_device_active(struct store *s, const char *id, int64_t at_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_ACTIVE, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	stmt_bind_int(&q, 2, at_ms);
	return stmt_change(&q, "device", id, e);
}

int
store_device_connected(struct store *s, int (*visit)(void *ctx, int64_t n, struct err *e),
    void *ctx, struct err *e)
{
	auto_stmt q = {0};
	int r;
	if (stmt_open(s, STMT_DEVICE_CONNECTED, &q, e))
		return -1;
	while ((r = stmt_next(&q, e)) > 0) {
		int stop = visit(ctx, stmt_int(&q, 0), e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_device_gone(struct store *s, int64_t n, int64_t at_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_GONE, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	stmt_bind_int(&q, 2, at_ms);
	return stmt_run(&q, e);
}

static int
visit_all(struct stmt *q,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e)
{
	struct store_device d;
	int r;
	while ((r = stmt_row(q, &device, &d, e)) > 0) {
		int stop = visit(ctx, &d, e);
		if (stop)
			return stop;
	}
	return r;
}

int
store_device_each(struct store *s, const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, after);
	stmt_bind_int(&q, 2, limit);
	return visit_all(&q, visit, ctx, e);
}

int
store_device_at(struct store *s, int64_t n, bool with_twin,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	struct store_device d = {.id = ""};
	if (stmt_open(s, with_twin ? STMT_DEVICE_AT : STMT_IDENTITY_AT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	int r = stmt_row(&q, with_twin ? &device : &identity, &d, e);
	return r > 0 ? visit(ctx, &d, e) : r;
}

int
store_module_each(struct store *s, const char *device_id,
    int (*visit)(void *ctx, const struct store_device *m, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_MODULE_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return visit_all(&q, visit, ctx, e);
}
