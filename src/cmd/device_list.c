/*
 * Lists of device IDs.
 */
#include "cmd/device_list.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/map.h"
#include "codec/id.h"
#include "io/file.h"

#define LIST_MAX     (256u << 20) /* bytes */
#define ERRORS_SHOWN 10

struct device {
	struct span id;
	size_t line;
	UT_hash_handle hh;
};

struct device_list {
	const char *path; /* for errors, while reading */
	struct buf text, folded;
	struct device *rows, *by_id;
	size_t n, errors;
};

static void
complain(struct device_list *l, size_t line, const char *text, struct span id)
{
	struct err e; /* whose text is fit for a terminal, whatever the line holds */
	if (l->errors++ >= ERRORS_SHOWN)
		return;
	err_set(&e, ERR_PARSE, "%s:%zu: %s: '%.*s'", l->path, line, text,
	    SPAN_FMT(span_head(id, 80)));
	fprintf(stderr, "%s\n", e.text);
}

static void
take_line(struct device_list *l, struct span id, size_t line)
{
	struct device *was, *d = &l->rows[l->n];
	if (!id_is_registration(id) || id.len > ID_CN_MAX) {
		complain(l, line,
		    "no device ID (letters, digits, - . _ :, at most 64, a letter, digit "
		    "or dash last)",
		    id);
		return;
	}
	const uint8_t *key = l->folded.p + (id.p - l->text.p);
	HASH_FIND(hh, l->by_id, key, id.len, was);
	if (was) {
		char text[64];
		snprintf(text, sizeof(text), "stands on line %zu already", was->line);
		complain(l, line, text, id);
		return;
	}
	*d = (struct device){.id = id, .line = line};
	HASH_ADD_KEYPTR(hh, l->by_id, key, id.len, d);
	l->n++;
}

/* The text in lower case, to compare by. */
static void
fold(struct device_list *l)
{
	for (size_t i = 0; i < l->text.len; i++) {
		uint8_t c = l->text.p[i];
		buf_u8(&l->folded, c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c);
	}
}

static void
take_lines(struct device_list *l)
{
	size_t lines = 1, line = 0;
	for (size_t i = 0; i < l->text.len; i++)
		lines += l->text.p[i] == '\n';
	l->rows = own_alloc(lines * sizeof(*l->rows));
	struct span rest = buf_span(&l->text);
	while (rest.p) {
		struct span id = span_trim(span_split(&rest, '\n'));
		line++;
		if (id.len && id.p[0] != '#')
			take_line(l, id, line);
	}
}

struct device_list *
device_list_read(const char *path, struct err *e)
{
	auto_(device_list_free) struct device_list *l = own_alloc(sizeof(*l));
	l->path = path;
	l->text = l->folded = BUF_INIT(LIST_MAX);
	if (file_read(path, &l->text, e))
		return NULL;
	fold(l);
	take_lines(l);
	if (l->errors > ERRORS_SHOWN)
		fprintf(stderr, "... and %zu more\n", l->errors - ERRORS_SHOWN);
	if (l->errors)
		err_set(e, ERR_PARSE, "%s: %zu lines are wrong; nothing was made", path,
		    l->errors);
	else if (!l->n)
		err_set(e, ERR_PARSE, "%s: no device in it", path);
	return l->errors || !l->n ? NULL : TAKE(l);
}

void
device_list_free(struct device_list *l)
{
	if (!l)
		return;
	HASH_CLEAR(hh, l->by_id);
	free(l->rows);
	buf_done(&l->text);
	buf_done(&l->folded);
	free(l);
}

size_t
device_list_len(const struct device_list *l)
{
	return l->n;
}

struct span
device_list_id(const struct device_list *l, size_t i)
{
	return l->rows[i].id;
}
