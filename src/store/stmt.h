#ifndef STORE_STMT_H
#define STORE_STMT_H
/*
 * Prepared statements. Their texts are the rows of sql.def; all are prepared once, when
 * the store opens, so a text that does not fit the schema shows at start. A struct of
 * store.h is bound and read by a const table of its columns, which takes each kind from
 * the member's own type.
 */
#include <stddef.h>

#include <sqlite3.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

struct store;

enum stmt_id {
#define STMT(name, sql) STMT_##name,
#include "store/sql.def"
#undef STMT
	STMT_N
};

enum stmt_kind {
	STMT_TEXT,
	STMT_I64,
	STMT_INT,
	STMT_U32,
	STMT_BOOL,
	STMT_BLOB,
	STMT_JSON
};

struct stmt_col {
	enum stmt_kind kind;
	size_t off;
};

/* clang-format off */
#define STMT_COL_AS(type, member, kind_) {.kind = (kind_), .off = offsetof(type, member)}
/* An enum without negative values is a uint32_t to the compiler. */
#define STMT_COL(type, member)                                                             \
	STMT_COL_AS(type, member, _Generic(((type *)0)->member,                            \
	    const char *: STMT_TEXT,                                                       \
	    int64_t: STMT_I64,                                                             \
	    int: STMT_INT,                                                                 \
	    uint32_t: STMT_U32,                                                            \
	    bool: STMT_BOOL,                                                               \
	    struct span: STMT_BLOB))
/* A span that holds text: kept as TEXT, so SQLite's JSON functions can read it. */
#define STMT_JSON(type, member) STMT_COL_AS(type, member, STMT_JSON)

/* How a struct lies in a row, column by column from the first. */
struct stmt_shape {
	const char *noun; /* for messages: "device" */
	const struct stmt_col *cols;
	int n;
};
#define STMT_SHAPE(noun_, cols_) {(noun_), (cols_), sizeof(cols_) / sizeof((cols_)[0])}
/* clang-format on */

/* A statement in use. Several may be, also of the same text: a visitor may call the
 * store. */
struct stmt {
	struct store *s;
	enum stmt_id id;
	sqlite3_stmt *q;
	bool extra; /* the cached one was in use already; this one is finalized */
	int bad;    /* first result code of a bind that failed */
};
#define auto_stmt __attribute__((cleanup(stmt_done))) struct stmt

/* Prepares every row of sql.def. */
must_check int stmt_prepare_all(struct store *s, struct err *e);
void stmt_finalize_all(struct store *s);

/* auto_stmt q = {0}; then stmt_open(s, STMT_X, &q, e). What is bound must live until the
 * statement is done. */
must_check int stmt_open(struct store *s, enum stmt_id id, struct stmt *q, struct err *e);
void stmt_done(struct stmt *q);

/* Parameters count from 1. A failed bind is reported by the next step. NULL text is "".
 */
void stmt_bind_int(struct stmt *q, int n, int64_t v);
void stmt_bind_text(struct stmt *q, int n, const char *v);
void stmt_bind_json(struct stmt *q, int n, struct span v); /* as TEXT */
void stmt_bind_blob(struct stmt *q, int n, struct span v);
/* Binds row's members to the first parameters. */
void stmt_bind(struct stmt *q, const struct stmt_shape *sh, const void *row);

/* A read's next row: 1, 0 when there is none, -1. */
must_check int stmt_next(struct stmt *q, struct err *e);
int64_t stmt_int(struct stmt *q, int col); /* from 0 */
/* As stmt_next, filling *row; what it points to lives until the next step. */
must_check int stmt_row(
    struct stmt *q, const struct stmt_shape *sh, void *row, struct err *e);
/* The one row asked for, copied into a. NOT_FOUND names noun and key; LIMIT when a is too
 * small; *row is untouched then. */
must_check int stmt_one(struct stmt *q, const struct stmt_shape *sh, const char *key,
    struct arena *a, void *row, struct err *e);
/* The same of a read whose one parameter is key. */
must_check int stmt_get(struct store *s, enum stmt_id id, const struct stmt_shape *sh,
    const char *key, struct arena *a, void *row, struct err *e);

/* The number that a read whose one parameter is a number finds first, or none. */
must_check int stmt_find_int(struct store *s, enum stmt_id id, int64_t arg, int64_t none,
    int64_t *ret, struct err *e);

/* A write. Any failure but EXISTS dooms the transaction. */
must_check int stmt_run(struct stmt *q, struct err *e);
/* As stmt_run; EXISTS names noun and key. */
must_check int stmt_add(struct stmt *q, const char *noun, const char *key, struct err *e);
/* As stmt_run; NOT_FOUND names noun and key when no row was there to be changed. */
must_check int stmt_change(
    struct stmt *q, const char *noun, const char *key, struct err *e);

#endif
