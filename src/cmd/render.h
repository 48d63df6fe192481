#ifndef CMD_RENDER_H
#define CMD_RENDER_H
/*
 * Rows of JSON for people and for programs: a table whose columns are as wide as what is
 * in them and fit the terminal, JSON, or TSV. What comes from elsewhere reaches a
 * terminal without its control characters.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/buf.h"

struct js;
struct render;

enum render_form { RENDER_TABLE, RENDER_JSON, RENDER_TSV };
/* NULL or "": a table. ERR_USAGE names those there are. */
must_check int render_form_parse(const char *name, enum render_form *ret, struct err *e);

enum render_kind {
	RENDER_TEXT, /* as it is; lists of plain values with commas, others as JSON */
	RENDER_TIME, /* ISO 8601 text; the year 1 is "never" */
	RENDER_MS,   /* milliseconds since 1970; 0 is "-" */
};

enum {
	RENDER_IF_ANY = 1, /* not in a table where no row has it */
	RENDER_CUT = 2,    /* gives way on a narrow terminal */
	RENDER_EXTRA = 4,  /* goes before others are cut very short */
};

/* path: members by name, "authentication.type"; of several, "a|b", the first there is. */
struct render_column {
	const char *head, *path;
	enum render_kind kind;
	unsigned flags;
};

/* Columns the terminal has; 0 where out is none: nothing is cut then. */
int render_width(FILE *out);

/* cols end with one without a head, and are borrowed. */
struct render *render_new(
    const struct render_column *cols, enum render_form form, FILE *out, int width);
/* JSON: an object a line. A table comes in blocks: the first rows decide the widths, for
 * themselves and for those that follow, until a column is wanted that they had not. */
void render_row(struct render *s, const struct js *row);
/* Writes what waits, for somebody who watches. */
void render_flush(struct render *s);
/* Rows so far. */
size_t render_count(const struct render *s);
/* Flushes. */
void render_free(struct render *s);

/* One thing: a line a column, "HEAD  value"; indented JSON; or its one line of TSV. */
void render_one(const struct render_column *cols, enum render_form form, FILE *out,
    const struct js *v);
/* JSON for people: indented, each line behind margin spaces; UTF-8 as \uXXXX. */
void render_json(FILE *out, const struct js *v, int margin);
/* The members of an object as "path  value" lines, the way down joined by '.', each
 * behind margin spaces; members that begin with '$' left out. Without any: "(none)". */
void render_flat(FILE *out, const struct js *v, int margin);
/* Text from elsewhere as one line without control characters. */
void render_text(struct buf *out, struct span s);

#endif
