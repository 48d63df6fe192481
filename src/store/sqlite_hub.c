/*
 * The hub's properties, and the shared access policies of hub and DPS.
 */
#include "store/sqlite.h"

static const struct stmt_col hub_cols[] = {
    STMT_COL(struct store_hub, disable_local_auth),
    STMT_COL(struct store_hub, disable_device_sas),
    STMT_COL(struct store_hub, disable_module_sas),
    STMT_COL(struct store_hub, etag),
};
static const struct stmt_shape hub = STMT_SHAPE("hub", hub_cols);

static const struct stmt_col policy_cols[] = {
    STMT_COL(struct store_policy, name),
    STMT_COL(struct store_policy, plane),
    STMT_COL(struct store_policy, primary_key),
    STMT_COL(struct store_policy, secondary_key),
    STMT_COL(struct store_policy, rights),
};
static const struct stmt_shape policy = STMT_SHAPE("policy", policy_cols);

int
store_hub_get(struct store *s, struct store_hub *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_HUB_GET, &q, e))
		return -1;
	int got = stmt_row(&q, &hub, ret, e);
	if (got == 0)
		return err_set(e, ERR_CORRUPT, "%s: table hub is empty", s->path);
	return got < 0 ? -1 : 0;
}

int
store_hub_put(struct store *s, const struct store_hub *h, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_HUB_PUT, &q, e))
		return -1;
	stmt_bind(&q, &hub, h);
	return stmt_change(&q, hub.noun, "row", e);
}

int
store_policy_get(struct store *s, const char *plane, const char *name, struct arena *a,
    struct store_policy *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_POLICY_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, plane);
	stmt_bind_text(&q, 2, name);
	return stmt_one(&q, &policy, name, a, ret, e);
}

int
store_policy_put(struct store *s, const struct store_policy *p, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_POLICY_PUT, &q, e))
		return -1;
	stmt_bind(&q, &policy, p);
	return stmt_run(&q, e);
}

int
store_policy_del(struct store *s, const char *plane, const char *name, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_POLICY_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, plane);
	stmt_bind_text(&q, 2, name);
	return stmt_change(&q, policy.noun, name, e);
}

int
store_policy_each(struct store *s, const char *plane,
    int (*visit)(void *ctx, const struct store_policy *p, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_POLICY_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, plane);
	struct store_policy p;
	int r;
	while ((r = stmt_row(&q, &policy, &p, e)) > 0) {
		int stop = visit(ctx, &p, e);
		if (stop)
			return stop;
	}
	return r;
}
