/*
 * Registrations: what DPS answered each registration ID. IDs compare without ASCII case.
 */
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_registration, member)
static const struct stmt_col cols[] = {
    COL(id),
    COL(group_id),
    COL(device_id),
    COL(hub),
    COL(status),
    COL(substatus),
    COL(operation_id),
    COL(error_code),
    COL(error_text),
    COL(attestation),
    COL(thumb),
    COL(etag),
    COL(created_ms),
    COL(updated_ms),
    COL(ready_ms),
    STMT_JSON(struct store_registration, payload),
    COL(hubs),
    COL(deadline_ms),
    COL(cert),
    COL(csr_key),
};
static const struct stmt_shape registration = STMT_SHAPE("registration", cols);

int
store_registration_get(struct store *s, const char *id, struct arena *a,
    struct store_registration *ret, struct err *e)
{
	return stmt_get(s, STMT_REGISTRATION_GET, &registration, id, a, ret, e);
}

int
store_registration_put(struct store *s, const struct store_registration *r, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_REGISTRATION_PUT, &q, e))
		return -1;
	stmt_bind(&q, &registration, r);
	return stmt_run(&q, e);
}

int
store_registration_del(struct store *s, const char *id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_REGISTRATION_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	return stmt_change(&q, registration.noun, id, e);
}

int
store_registration_each(struct store *s, const char *group_id, const char *after,
    int64_t limit,
    int (*visit)(void *ctx, const struct store_registration *r, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	bool any = group_id[0] == '\0';
	if (stmt_open(
		s, any ? STMT_REGISTRATION_EACH : STMT_REGISTRATION_EACH_GROUP, &q, e))
		return -1;
	stmt_bind_text(&q, 1, after);
	stmt_bind_int(&q, 2, limit);
	if (!any)
		stmt_bind_text(&q, 3, group_id);
	struct store_registration row;
	int r;
	while ((r = stmt_row(&q, &registration, &row, e)) > 0) {
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return r;
}
