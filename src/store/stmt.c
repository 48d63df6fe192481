/*
 * Prepared statements: binding, stepping, reading by column tables.
 */
#include "store/stmt.h"

#include <assert.h>

#include "store/sqlite.h"

static const struct {
	const char *name, *sql;
} texts[STMT_N] = {
#define STMT(name, sql) [STMT_##name] = {#name, sql},
#include "store/sql.def"
#undef STMT
};

static int
prepare(
    struct store *s, enum stmt_id id, unsigned flags, sqlite3_stmt **ret, struct err *e)
{
	int rc = sqlite3_prepare_v3(s->db, texts[id].sql, -1, flags, ret, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_fail(s, rc, texts[id].name, e);
}

int
stmt_prepare_all(struct store *s, struct err *e)
{
	for (int id = 0; id < STMT_N; id++)
		if (prepare(
			s, (enum stmt_id)id, SQLITE_PREPARE_PERSISTENT, &s->stmts[id], e))
			return -1;
	return 0;
}

void
stmt_finalize_all(struct store *s)
{
	for (int id = 0; id < STMT_N; id++)
		sqlite3_finalize(TAKE(s->stmts[id]));
}

int
stmt_open(struct store *s, enum stmt_id id, struct stmt *q, struct err *e)
{
	*q = (struct stmt){.s = s, .id = id, .q = s->stmts[id]};
	if (!sqlite3_stmt_busy(q->q))
		return 0;
	q->q = NULL;
	q->extra = true;
	return prepare(s, id, 0, &q->q, e);
}

void
stmt_done(struct stmt *q)
{
	if (!q->q)
		return;
	if (q->extra) {
		sqlite3_finalize(TAKE(q->q));
		return;
	}
	/* an error here is the one that the step reported */
	(void)sqlite3_reset(q->q);
	(void)sqlite3_clear_bindings(q->q);
	q->q = NULL;
}

static void
bound(struct stmt *q, int rc)
{
	if (rc != SQLITE_OK && q->bad == SQLITE_OK)
		q->bad = rc;
}

void
stmt_bind_int(struct stmt *q, int n, int64_t v)
{
	bound(q, sqlite3_bind_int64(q->q, n, v));
}

void
stmt_bind_text(struct stmt *q, int n, const char *v)
{
	bound(q, sqlite3_bind_text(q->q, n, v ? v : "", -1, SQLITE_STATIC));
}

/* A NULL pointer would be bound as NULL; none of our columns may be. */
static void
bind_span(struct stmt *q, int n, struct span s, bool text)
{
	const void *p = s.p ? (const void *)s.p : "";
	bound(q, text ? sqlite3_bind_text64(q->q, n, p, s.len, SQLITE_STATIC, SQLITE_UTF8)
		      : sqlite3_bind_blob64(q->q, n, p, s.len, SQLITE_STATIC));
}

void
stmt_bind_json(struct stmt *q, int n, struct span v)
{
	bind_span(q, n, v, true);
}

void
stmt_bind_blob(struct stmt *q, int n, struct span v)
{
	bind_span(q, n, v, false);
}

static void
bind_member(struct stmt *q, int n, const struct stmt_col *c, const void *row)
{
	const void *m = (const char *)row + c->off;
	switch (c->kind) {
	case STMT_TEXT:
		stmt_bind_text(q, n, *(const char *const *)m);
		return;
	case STMT_I64:
		stmt_bind_int(q, n, *(const int64_t *)m);
		return;
	case STMT_INT:
		stmt_bind_int(q, n, *(const int *)m);
		return;
	case STMT_U32:
		stmt_bind_int(q, n, *(const uint32_t *)m);
		return;
	case STMT_BOOL:
		stmt_bind_int(q, n, *(const bool *)m);
		return;
	case STMT_BLOB:
	case STMT_JSON:
		bind_span(q, n, *(const struct span *)m, c->kind == STMT_JSON);
		return;
	}
}

void
stmt_bind(struct stmt *q, const struct stmt_shape *sh, const void *row)
{
	for (int i = 0; i < sh->n; i++)
		bind_member(q, i + 1, &sh->cols[i], row);
}

int
stmt_next(struct stmt *q, struct err *e)
{
	int rc = q->bad != SQLITE_OK ? q->bad : sqlite3_step(q->q);
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : sqlite_fail(q->s, rc, texts[q->id].name, e);
}

int64_t
stmt_int(struct stmt *q, int col)
{
	return sqlite3_column_int64(q->q, col);
}

int
stmt_find_int(struct store *s, enum stmt_id id, int64_t arg, int64_t none, int64_t *ret,
    struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_int(&q, 1, arg);
	int got = stmt_next(&q, e);
	if (got < 0)
		return -1;
	*ret = got ? stmt_int(&q, 0) : none;
	return 0;
}

static const char *
read_text(sqlite3_stmt *q, int n)
{
	const char *p = (const char *)sqlite3_column_text(q, n);
	return p ? p : "";
}

/* The pointer before the length, as SQLite wants it. */
static struct span
read_span(sqlite3_stmt *q, int n, bool text)
{
	const void *p = text ? sqlite3_column_text(q, n) : sqlite3_column_blob(q, n);
	size_t len = (size_t)sqlite3_column_bytes(q, n);
	return len ? span_of(p, len) : SPAN_NONE;
}

static void
read_member(sqlite3_stmt *q, int n, const struct stmt_col *c, void *row)
{
	void *m = (char *)row + c->off;
	switch (c->kind) {
	case STMT_TEXT:
		*(const char **)m = read_text(q, n);
		return;
	case STMT_I64:
		*(int64_t *)m = sqlite3_column_int64(q, n);
		return;
	case STMT_INT:
		*(int *)m = sqlite3_column_int(q, n);
		return;
	case STMT_U32:
		*(uint32_t *)m = (uint32_t)sqlite3_column_int64(q, n);
		return;
	case STMT_BOOL:
		*(bool *)m = sqlite3_column_int(q, n) != 0;
		return;
	case STMT_BLOB:
	case STMT_JSON:
		*(struct span *)m = read_span(q, n, c->kind == STMT_JSON);
		return;
	}
}

static void
read_row(struct stmt *q, const struct stmt_shape *sh, void *row)
{
	assert(sqlite3_column_count(q->q) == sh->n);
	for (int i = 0; i < sh->n; i++)
		read_member(q->q, i, &sh->cols[i], row);
}

int
stmt_row(struct stmt *q, const struct stmt_shape *sh, void *row, struct err *e)
{
	int got = stmt_next(q, e);
	if (got > 0)
		read_row(q, sh, row);
	return got;
}

/* What the row's texts and spans take in an arena, terminators and alignment included. */
static size_t
row_size(struct stmt *q, const struct stmt_shape *sh)
{
	size_t sum = 0;
	for (int i = 0; i < sh->n; i++)
		sum += (size_t)sqlite3_column_bytes(q->q, i) + 1 + _Alignof(max_align_t);
	return sum;
}

static void
move_member(const struct stmt_col *c, struct arena *a, void *row)
{
	void *m = (char *)row + c->off;
	if (c->kind == STMT_TEXT)
		*(const char **)m = arena_str(a, span_str(*(const char **)m));
	if (c->kind == STMT_BLOB || c->kind == STMT_JSON)
		*(struct span *)m = arena_span(a, *(struct span *)m);
}

int
stmt_one(struct stmt *q, const struct stmt_shape *sh, const char *key, struct arena *a,
    void *row, struct err *e)
{
	int got = stmt_next(q, e);
	if (got < 0)
		return -1;
	if (got == 0)
		return err_set(e, ERR_NOT_FOUND, "no %s %s", sh->noun, key);
	if (row_size(q, sh) > arena_left(a))
		return err_set(e, ERR_LIMIT,
		    "%s %s: row larger than the request may hold", sh->noun, key);
	read_row(q, sh, row);
	for (int i = 0; i < sh->n; i++)
		move_member(&sh->cols[i], a, row);
	return 0;
}

int
stmt_get(struct store *s, enum stmt_id id, const struct stmt_shape *sh, const char *key,
    struct arena *a, void *row, struct err *e)
{
	auto_stmt q = {0};
	if (stmt_open(s, id, &q, e))
		return -1;
	stmt_bind_text(&q, 1, key);
	return stmt_one(&q, sh, key, a, row, e);
}

int
stmt_run(struct stmt *q, struct err *e)
{
	struct store *s = q->s;
	if (!s->tx)
		return err_set(e, ERR_INTERNAL, "%s: %s outside a transaction", s->path,
		    texts[q->id].name);
	if (s->doomed)
		return err_copy(e, &s->why);
	struct err why;
	int got = stmt_next(q, &why);
	if (got == 0)
		return 0;
	if (got > 0)
		err_set(&why, ERR_INTERNAL, "%s: a write gave rows", texts[q->id].name);
	if (why.code != ERR_EXISTS) {
		stmt_done(q);
		sqlite_doom(s, &why);
	}
	return err_copy(e, &why);
}

int
stmt_add(struct stmt *q, const char *noun, const char *key, struct err *e)
{
	struct err why;
	if (stmt_run(q, &why) == 0)
		return 0;
	if (why.code == ERR_EXISTS)
		return err_set(e, ERR_EXISTS, "%s %s exists already", noun, key);
	return err_copy(e, &why);
}

int
stmt_change(struct stmt *q, const char *noun, const char *key, struct err *e)
{
	if (stmt_run(q, e))
		return -1;
	if (sqlite3_changes(q->s->db) == 0)
		return err_set(e, ERR_NOT_FOUND, "no %s %s", noun, key);
	return 0;
}
