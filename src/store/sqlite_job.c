/*
 * Scheduled jobs and the calls they have under way.
 */
#include "store/job.h"
#include "store/sqlite.h"

#define COL(member) STMT_COL(struct store_job, member)
static const struct stmt_col cols[] = {
    COL(hub),
    COL(id),
    COL(kind),
    COL(status),
    COL(condition),
    COL(if_match),
    STMT_JSON(struct store_job, tags),
    STMT_JSON(struct store_job, desired),
    COL(method),
    STMT_JSON(struct store_job, payload),
    COL(connect_s),
    COL(response_s),
    COL(max_s),
    COL(created_ms),
    COL(start_ms),
    COL(began_ms),
    COL(ended_ms),
    COL(reason),
    COL(at),
    COL(last),
    COL(succeeded),
    COL(failed),
    COL(n),
};
static const struct stmt_shape shape = STMT_SHAPE("job", cols);
/* one that has no n yet */
static const struct stmt_shape shape_new = {
    "job", cols, sizeof(cols) / sizeof(cols[0]) - 1};

static const struct stmt_col progress_cols[] = {
    COL(n),
    COL(status),
    COL(began_ms),
    COL(ended_ms),
    COL(reason),
    COL(at),
    COL(last),
    COL(succeeded),
    COL(failed),
};
static const struct stmt_shape progress = STMT_SHAPE("job", progress_cols);

int
store_job_add(struct store *s, const struct store_job *j, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_ADD, &q, e))
		return -1;
	stmt_bind(&q, &shape_new, j);
	return stmt_add(&q, shape.noun, j->id, e);
}

int
store_job_get(struct store *s, const char *hub, const char *id, struct arena *a,
    struct store_job *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_GET, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, id);
	return stmt_one(&q, &shape, id, a, ret, e);
}

int
store_job_at(
    struct store *s, int64_t n, struct arena *a, struct store_job *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_AT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, n);
	return stmt_one(&q, &shape, "of a number", a, ret, e);
}

int
store_job_put(struct store *s, const struct store_job *j, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_PUT, &q, e))
		return -1;
	stmt_bind(&q, &progress, j);
	return stmt_change(&q, shape.noun, j->id, e);
}

int
store_job_each(struct store *s, const char *hub, const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_job *j, struct err *e), void *ctx,
    struct err *e)
{
	auto_stmt q = {0};
	struct store_job j;
	int rc;
	if (stmt_open(s, STMT_JOB_EACH, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_text(&q, 2, after);
	stmt_bind_int(&q, 3, limit);
	while ((rc = stmt_row(&q, &shape, &j, e)) > 0) {
		rc = visit(ctx, &j, e);
		if (rc)
			return rc;
	}
	return rc;
}

int
store_job_open(struct store *s, int64_t now_ms, size_t max, int64_t *ret, size_t *ret_n,
    int64_t *ret_next, struct err *e)
{
	auto_stmt q = {0};
	size_t n = 0;
	int64_t next = 0;
	int rc = 0;
	if (stmt_open(s, STMT_JOB_OPEN, &q, e))
		return -1;
	while (n < max && !next && (rc = stmt_next(&q, e)) > 0) {
		int64_t start = stmt_int(&q, 1);
		if (start > now_ms)
			next = start;
		else
			ret[n++] = stmt_int(&q, 0);
	}
	if (rc < 0)
		return -1;
	*ret_n = n;
	*ret_next = next;
	return 0;
}

int
store_job_counts(struct store *s, const char *hub, int64_t now_ms,
    struct store_job_counts *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_COUNTS, &q, e))
		return -1;
	stmt_bind_text(&q, 1, hub);
	stmt_bind_int(&q, 2, now_ms);
	if (stmt_next(&q, e) < 0)
		return -1;
	ret->open = stmt_int(&q, 0);
	ret->active = stmt_int(&q, 1);
	ret->running = stmt_int(&q, 2);
	return 0;
}

int
store_job_trim(struct store *s, int64_t before_ms, int64_t batch, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_TRIM, &q, e))
		return -1;
	stmt_bind_int(&q, 1, before_ms);
	stmt_bind_int(&q, 2, batch);
	return stmt_run(&q, e);
}

int
store_device_last(struct store *s, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_DEVICE_LAST, &q, e) || stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

/* ---- calls ------------------------------------------------------------------------- */

static int
call_open(struct store *s, enum stmt_id id, int64_t job, int64_t device, struct stmt *q,
    struct err *e)
{
	if (stmt_open(s, id, q, e))
		return -1;
	stmt_bind_int(q, 1, job);
	stmt_bind_int(q, 2, device);
	return 0;
}

int
store_job_call_add(struct store *s, int64_t job, int64_t device, struct err *e)
{
	auto_stmt q = {0};
	if (call_open(s, STMT_JOB_CALL_ADD, job, device, &q, e))
		return -1;
	return stmt_run(&q, e);
}

int
store_job_call_del(struct store *s, int64_t job, int64_t device, struct err *e)
{
	auto_stmt q = {0};
	if (call_open(s, STMT_JOB_CALL_DEL, job, device, &q, e))
		return -1;
	return stmt_change(&q, "call of a job", "", e);
}

int
store_job_call_count(struct store *s, int64_t job, int64_t *ret, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, STMT_JOB_CALL_COUNT, &q, e))
		return -1;
	stmt_bind_int(&q, 1, job);
	if (stmt_next(&q, e) < 0)
		return -1;
	*ret = stmt_int(&q, 0);
	return 0;
}

int
store_job_calls_lost(struct store *s, struct err *e)
{
	auto_stmt add = {0};
	auto_stmt drop = {0};
	if (stmt_open(s, STMT_JOB_CALLS_FAIL, &add, e) || stmt_run(&add, e) ||
	    stmt_open(s, STMT_JOB_CALLS_DROP, &drop, e))
		return -1;
	return stmt_run(&drop, e);
}
