/*
 * Tags of hubs and of the provisioning service.
 */
#include "store/resource.h"
#include "store/sqlite.h"

static const struct stmt_col cols[] = {
    STMT_COL(struct store_resource, kind),
    STMT_COL(struct store_resource, name),
    STMT_JSON(struct store_resource, tags),
    STMT_COL(struct store_resource, etag),
};
static const struct stmt_shape shape = STMT_SHAPE("resource", cols);

int
store_resource_get(struct store *s, const char *kind, const char *name, struct arena *a,
    struct store_resource *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_RESOURCE_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, kind);
	stmt_bind_text(&q, 2, name);
	return stmt_one(&q, &shape, name, a, ret, e);
}

int
store_resource_put(struct store *s, const struct store_resource *r, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_RESOURCE_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shape, r);
	return stmt_run(&q, e);
}
