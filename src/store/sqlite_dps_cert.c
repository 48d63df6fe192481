/*
 * CA certificates of the provisioning service, by name.
 */
#include "store/enrollment.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_dps_cert, member)
static const struct stmt_col cols[] = {
    COL(name),
    COL(sha256),
    COL(der),
    COL(verified),
    COL(code),
    COL(etag),
    COL(created_ms),
    COL(updated_ms),
};
static const struct stmt_shape shape = STMT_SHAPE("certificate", cols);

int
store_dps_cert_get(struct store *s, const char *name, struct arena *a,
    struct store_dps_cert *ret, struct err *e)
{
	return stmt_get(s, STMT_DPS_CERT_GET, &shape, name, a, ret, e);
}

int
store_dps_cert_by_sha256(struct store *s, const char *sha256, struct arena *a,
    struct store_dps_cert *ret, struct err *e)
{
	return stmt_get(s, STMT_DPS_CERT_BY_SHA256, &shape, sha256, a, ret, e);
}

int
store_dps_cert_add(struct store *s, const struct store_dps_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DPS_CERT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape, c);
	return stmt_add(&q, shape.noun, c->name, e);
}

int
store_dps_cert_put(struct store *s, const struct store_dps_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DPS_CERT_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shape, c);
	return stmt_change(&q, shape.noun, c->name, e);
}

int
store_dps_cert_del(struct store *s, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DPS_CERT_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, name);
	return stmt_change(&q, shape.noun, name, e);
}

int
store_dps_cert_each(struct store *s,
    int (*visit)(void *ctx, const struct store_dps_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DPS_CERT_EACH, &q, e))
		return -1;
	struct store_dps_cert c;
	int r;
	while ((r = stmt_row(&q, &shape, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}
