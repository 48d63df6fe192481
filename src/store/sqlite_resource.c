/*
 * Tags of hubs and of the provisioning service, what that is linked to, and
 * consumer groups of hubs.
 */
#include "store/resource.h"
#include "store/sqlite.h"

static const struct stmt_col cols[] = {
    STMT_COL(struct store_resource, kind),
    STMT_COL(struct store_resource, name),
    STMT_JSON(struct store_resource, tags),
    STMT_COL(struct store_resource, etag),
    STMT_COL(struct store_resource, linked),
    STMT_COL(struct store_resource, allocation),
    STMT_JSON(struct store_resource, routes),
    STMT_COL(struct store_resource, routed),
    STMT_COL(struct store_resource, fallback),
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

static const struct stmt_col link_cols[] = {
    STMT_COL(struct store_link, dps),
    STMT_COL(struct store_link, hub),
    STMT_COL(struct store_link, location),
    STMT_COL(struct store_link, apply),
    STMT_COL(struct store_link, weight),
};
static const struct stmt_shape link = STMT_SHAPE("linked hub", link_cols);

int
store_link_add(struct store *s, const struct store_link *l, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_LINK_ADD, &q, e))
		return -1;
	stmt_bind(&q, &link, l);
	return stmt_add(&q, link.noun, l->hub, e);
}

int
store_link_clear(struct store *s, const char *dps, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_LINK_CLEAR, &q, e))
		return -1;
	stmt_bind_text(&q, 1, dps);
	return stmt_run(&q, e);
}

int
store_link_each(struct store *s, const char *dps,
    int (*visit)(void *ctx, const struct store_link *l, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_LINK_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, dps);
	struct store_link l;
	int r;
	while ((r = stmt_row(&q, &link, &l, e)) > 0) {
		int stop = visit(ctx, &l, e);
		if (stop)
			return stop;
	}
	return r;
}

static const struct stmt_col consumer_cols[] = {
    STMT_COL(struct store_consumer, hub),
    STMT_COL(struct store_consumer, name),
    STMT_COL(struct store_consumer, made_ms),
};
static const struct stmt_shape consumer = STMT_SHAPE("consumer group", consumer_cols);

int
store_consumer_get(struct store *s, const char *hub, const char *name, struct arena *a,
    struct store_consumer *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONSUMER_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, name);
	return stmt_one(&q, &consumer, name, a, ret, e);
}

int
store_consumer_add(struct store *s, const struct store_consumer *c, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONSUMER_ADD, &q, e))
		return -1;
	stmt_bind(&q, &consumer, c);
	return stmt_add(&q, consumer.noun, c->name, e);
}

int
store_consumer_del(struct store *s, const char *hub, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONSUMER_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, name);
	return stmt_change(&q, consumer.noun, name, e);
}

int
store_consumer_each(struct store *s, const char *hub,
    int (*visit)(void *ctx, const struct store_consumer *c, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_CONSUMER_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	struct store_consumer c;
	int r;
	while ((r = stmt_row(&q, &consumer, &c, e)) > 0) {
		int stop = visit(ctx, &c, e);
		if (stop)
			return stop;
	}
	return r;
}
