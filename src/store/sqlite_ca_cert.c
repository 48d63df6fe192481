/*
 * CA certificates of the provisioning service and of hubs, by name.
 */
#include "store/enrollment.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_ca_cert, member)
static const struct stmt_col cols[] = {
    COL(owner),
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

static int
get(struct store *s, enum stmt_id id, const char *owner, const char *key, struct arena *a,
    struct store_ca_cert *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_text(&q, 1, owner);
	stmt_bind_text(&q, 2, key);
	return stmt_one(&q, &shape, key, a, ret, e);
}

int
store_ca_cert_get(struct store *s, const char *owner, const char *name, struct arena *a,
    struct store_ca_cert *ret, struct err *e)
{
	return get(s, STMT_CA_CERT_GET, owner, name, a, ret, e);
}

int
store_ca_cert_by_sha256(struct store *s, const char *owner, const char *sha256,
    struct arena *a, struct store_ca_cert *ret, struct err *e)
{
	return get(s, STMT_CA_CERT_BY_SHA256, owner, sha256, a, ret, e);
}

int
store_ca_cert_add(struct store *s, const struct store_ca_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CA_CERT_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape, c);
	return stmt_add(&q, shape.noun, c->name, e);
}

int
store_ca_cert_put(struct store *s, const struct store_ca_cert *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CA_CERT_PUT, &q, e))
		return -1;
	stmt_bind(&q, &shape, c);
	return stmt_change(&q, shape.noun, c->name, e);
}

int
store_ca_cert_del(struct store *s, const char *owner, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CA_CERT_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, owner);
	stmt_bind_text(&q, 2, name);
	return stmt_change(&q, shape.noun, name, e);
}

int
store_ca_cert_each(struct store *s, const char *owner,
    int (*visit)(void *ctx, const struct store_ca_cert *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CA_CERT_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, owner);
	struct store_ca_cert c;
	int r;
	while ((r = stmt_row(&q, &shape, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}
