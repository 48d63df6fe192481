/*
 * File uploads and their notices.
 */
#include "store/sqlite.h"
#include "store/upload.h"

static const struct stmt_col upload_cols[] = {
    STMT_COL(struct store_upload, id),
    STMT_COL(struct store_upload, device_id),
    STMT_COL(struct store_upload, blob),
    STMT_COL(struct store_upload, started_ms),
    STMT_COL(struct store_upload, expires_ms),
};
static const struct stmt_shape upload = STMT_SHAPE("upload", upload_cols);

static const struct stmt_col notice_cols[] = {
    STMT_COL(struct store_notice, device_id),
    STMT_COL(struct store_notice, blob),
    STMT_COL(struct store_notice, ended_ms),
    STMT_COL(struct store_notice, token),
    STMT_COL(struct store_notice, locked_ms),
    STMT_COL(struct store_notice, deliveries),
    STMT_COL(struct store_notice, n),
};
static const struct stmt_shape notice = STMT_SHAPE("notice of an upload", notice_cols);
/* one that has no n yet */
static const struct stmt_shape notice_new = {
    "notice of an upload", notice_cols, sizeof(notice_cols) / sizeof(notice_cols[0]) - 1};

int
store_upload_get(struct store *s, const char *id, struct arena *a,
    struct store_upload *ret, struct err *e)
{
	return stmt_get(s, STMT_UPLOAD_GET, &upload, id, a, ret, e);
}

int
store_upload_add(struct store *s, const struct store_upload *u, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_UPLOAD_ADD, &q, e))
		return -1;
	stmt_bind(&q, &upload, u);
	return stmt_add(&q, upload.noun, u->id, e);
}

int
store_upload_del(struct store *s, const char *id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_UPLOAD_DEL, &q, e))
		return -1;
	stmt_bind_text(&q, 1, id);
	return stmt_change(&q, upload.noun, id, e);
}

int
store_upload_count(
    struct store *s, const char *device_id, int64_t now_ms, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_UPLOAD_COUNT, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	stmt_bind_int(&q, 2, now_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

int
store_upload_forget(struct store *s, const char *device_id, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_UPLOAD_FORGET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, device_id);
	return stmt_run(&q, e);
}

int
store_upload_trim(struct store *s, int64_t before_ms, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_UPLOAD_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	return stmt_run(&q, e);
}

int
store_notice_add(struct store *s, const struct store_notice *x, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_NOTICE_ADD, &q, e))
		return -1;
	stmt_bind(&q, &notice_new, x);
	return stmt_run(&q, e);
}

int
store_notice_next(struct store *s, int64_t now_ms, struct arena *a,
    struct store_notice *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_NOTICE_NEXT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, now_ms);
	return stmt_one(&q, &notice, "any", a, ret, e);
}

int
store_notice_by_token(struct store *s, const char *token, struct arena *a,
    struct store_notice *ret, struct err *e)
{
	return stmt_get(s, STMT_NOTICE_BY_TOKEN, &notice, token, a, ret, e);
}

int
store_notice_put(struct store *s, const struct store_notice *x, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_NOTICE_PUT, &q, e))
		return -1;
	stmt_bind(&q, &notice, x);
	return stmt_change(&q, notice.noun, x->token, e);
}

int
store_notice_del(struct store *s, int64_t n, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_NOTICE_DEL, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	return stmt_change(&q, notice.noun, "", e);
}

int
store_notice_trim(struct store *s, int64_t before_ms, int64_t max_rows, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_NOTICE_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	stmt_bind_int(&q, 2, max_rows);
	return stmt_run(&q, e);
}
