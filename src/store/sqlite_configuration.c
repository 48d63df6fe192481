/*
 * Configurations, whom they are true of, and whom to look at anew.
 */
#include "store/configuration.h"
#include "store/sqlite.h"

#define COL(member)  STMT_COL(struct store_configuration, member)
#define JSON(member) STMT_JSON(struct store_configuration, member)
static const struct stmt_col cols[] = {
    COL(hub),
    COL(id),
    COL(etag),
    COL(schema_version),
    JSON(labels),
    JSON(content),
    JSON(desired),
    COL(modules),
    COL(condition),
    COL(priority),
    JSON(metrics),
    COL(created_ms),
    COL(updated_ms),
    COL(gone),
    COL(walk),
    COL(at),
    COL(n),
    COL(targeted),
    COL(applied),
};
#define N_COLS (sizeof(cols) / sizeof(cols[0]))
static const struct stmt_shape shape = STMT_SHAPE("configuration", cols);
static const struct stmt_shape shape_new = {"configuration", cols, N_COLS - 3};
static const struct stmt_shape shape_put = {"configuration", cols, N_COLS - 2};

int
store_configuration_add(
    struct store *s, const struct store_configuration *x, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape_new, x);
	return stmt_add(&q, shape.noun, x->id, e);
}

int
store_configuration_get(struct store *s, const char *hub, const char *id, struct arena *a,
    struct store_configuration *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, id);
	return stmt_one(&q, &shape, id, a, ret, e);
}

int
store_configuration_put(
    struct store *s, const struct store_configuration *x, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shape_put, x);
	return stmt_change(&q, shape.noun, x->id, e);
}

int
store_configuration_walk(
    struct store *s, const struct store_configuration *x, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_WALK, &q, e))
		return -1;
	stmt_bind_int(&q, 1, x->n);
	stmt_bind_int(&q, 2, x->walk);
	stmt_bind_int(&q, 3, x->at);
	return stmt_run(&q, e);
}

int
store_configuration_each(struct store *s,
    int (*visit)(void *ctx, const struct store_configuration *x, struct err *e),
    void *ctx, struct err *e)
{
	auto_stmt q = {0};
	struct store_configuration x;
	int rc;
	if (stmt_open(s, STMT_CONFIGURATION_EACH, &q, e))
		return -1;
	while ((rc = stmt_row(&q, &shape, &x, e)) > 0) {
		rc = visit(ctx, &x, e);
		if (rc)
			return rc;
	}
	return rc;
}

/* ---- numbers ----------------------------------------------------------------------- */

static int
numbers(struct stmt *q, size_t max, int64_t *ret, size_t *ret_n, struct err *e)
{
	size_t n = 0;
	int rc = 0;
	while (n < max && (rc = stmt_next(q, e)) > 0)
		ret[n++] = stmt_int(q, 0);
	if (rc < 0)
		return -1;
	*ret_n = n;
	return 0;
}

static int
write(struct store *s, enum stmt_id id, int64_t a, int64_t b, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_int(&q, 1, a);
	if (b)
		stmt_bind_int(&q, 2, b);
	return stmt_run(&q, e);
}

int
store_configuration_del(struct store *s, int64_t n, struct err *e)
{
	return write(s, STMT_CONFIGURATION_DEL, n, 0, e);
}

int
store_configuration_meant(struct store *s, int64_t n, int64_t after, size_t max,
    int64_t *ret, size_t *ret_n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_MEANT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	stmt_bind_int(&q, 2, after);
	return numbers(&q, max, ret, ret_n, e);
}

int
store_configuration_of(struct store *s, int64_t device, size_t max, int64_t *ret,
    size_t *ret_n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_OF, &q, e))
		return -1;
	stmt_bind_int(&q, 1, device);
	return numbers(&q, max, ret, ret_n, e);
}

int
store_configuration_set(
    struct store *s, int64_t n, int64_t device, bool applied, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_SET, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	stmt_bind_int(&q, 2, device);
	stmt_bind_int(&q, 3, applied);
	return stmt_run(&q, e);
}

int
store_configuration_unset(struct store *s, int64_t n, int64_t device, struct err *e)
{
	return write(s, STMT_CONFIGURATION_UNSET, n, device, e);
}

int
store_configuration_due(
    struct store *s, size_t max, int64_t *ret, size_t *ret_n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONFIGURATION_DUE, &q, e))
		return -1;
	return numbers(&q, max, ret, ret_n, e);
}

int
store_configuration_done(struct store *s, int64_t device, struct err *e)
{
	return write(s, STMT_CONFIGURATION_DONE, device, 0, e);
}
