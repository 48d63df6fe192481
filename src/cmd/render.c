/*
 * Tables, JSON and TSV.
 */
#include "cmd/render.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "codec/js.h"

#define COLUMNS_MAX 24
#define BLOCK_ROWS  1000 /* a page of the service APIs */
#define CELL_MAX    (1024 * 1024)
#define CUT_WELL    24 /* still says what it is */
#define CUT_MIN     8
#define GAP         2

struct render {
	const struct render_column *cols;
	enum render_form form;
	FILE *out;
	int width;
	size_t n; /* columns */
	char **cells;
	size_t rows, total; /* that wait; in all */
	size_t wide[COLUMNS_MAX];
	bool seen[COLUMNS_MAX]; /* some row had it */
	bool shown[COLUMNS_MAX];
	bool begun; /* widths are decided */
};

int
render_form_parse(const char *name, enum render_form *ret, struct err *e)
{
	static const char *const names[] = {"table", "json", "tsv"};
	if (!name || !name[0])
		name = names[RENDER_TABLE];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) != 0)
			continue;
		*ret = (enum render_form)i;
		return 0;
	}
	return err_set(e, ERR_USAGE, "--output %s: table, json or tsv", name);
}

int
render_width(FILE *out)
{
	struct winsize w;
	const char *told = getenv("COLUMNS");
	int64_t columns;
	if (!isatty(fileno(out)))
		return 0;
	if (ioctl(fileno(out), TIOCGWINSZ, &w) == 0 && w.ws_col)
		return w.ws_col;
	return told && num_ok(span_str(told), 20, 10000, &columns) ? (int)columns : 80;
}

/* ---- text ----------------------------------------------------------------------------
 */

static bool
is_tail(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* What terminals give two columns (Unicode's East Asian Width W and F), and none. */
static const struct {
	uint32_t first, last;
	uint8_t columns;
} widths[] = {{0x300, 0x36f, 0}, {0x1100, 0x115f, 2}, {0x200b, 0x200d, 0},
    {0x20d0, 0x20ff, 0}, {0x2e80, 0x303e, 2}, {0x3041, 0xa4cf, 2}, {0xac00, 0xd7a3, 2},
    {0xf900, 0xfaff, 2}, {0xfe00, 0xfe0f, 0}, {0xfe30, 0xfe6f, 2}, {0xff00, 0xff60, 2},
    {0xffe0, 0xffe6, 2}, {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2},
    {0x1f900, 0x1faff, 2}, {0x20000, 0x3fffd, 2}};

/* The columns of the character that begins at s, 0 inside one. */
static size_t
columns_at(const char *s)
{
	uint8_t c = (uint8_t)*s;
	if (c < 0x80)
		return 1;
	if (is_tail(c))
		return 0;
	uint32_t code = c < 0xe0 ? c & 0x1f : c < 0xf0 ? c & 0x0f : c & 0x07;
	for (s++; is_tail((uint8_t)*s); s++)
		code = code << 6 | (*s & 0x3f);
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++)
		if (code >= widths[i].first && code <= widths[i].last)
			return widths[i].columns;
	return 1;
}

static size_t
width_of(const char *s)
{
	size_t n = 0;
	for (; *s; s++)
		n += columns_at(s);
	return n;
}

/* Control characters (C1 too), and those that turn the direction of what follows. */
static bool
is_unsafe(struct span s)
{
	uint8_t a = s.p[0], b = s.len > 1 ? s.p[1] : 0, c = s.len > 2 ? s.p[2] : 0;
	if (a < ' ' || is_tail(a) || (a == 0xd8 && b == 0x9c) || a == 0x7f ||
	    (a == 0xc2 && b < 0xa0))
		return true;
	bool turns = (c >= 0xaa && c <= 0xae) || c == 0x8e || c == 0x8f;
	return a == 0xe2 && ((b == 0x80 && (turns || c == 0xa8 || c == 0xa9)) ||
				(b == 0x81 && c >= 0xa6 && c <= 0xa9));
}

void
render_text(struct buf *out, struct span s)
{
	while (s.len) {
		size_t len = 1;
		while (len < s.len && is_tail(s.p[len]))
			len++;
		if (is_unsafe(s))
			buf_str(out, s.p[0] == '\n' || s.p[0] == '\t' ? " " : "?");
		else
			buf_put(out, s.p, len);
		s = span_skip(s, len);
	}
}

/* A character of TSV stands for itself, but for those that TSV is made of, and for what a
 * terminal would obey. */
static void
put_tsv(FILE *out, const char *s)
{
	for (; *s; s++) {
		uint8_t c = (uint8_t)s[0], next = (uint8_t)s[1];
		if (*s == '\t')
			fputs("\\t", out);
		else if (*s == '\n')
			fputs("\\n", out);
		else if (*s == '\r')
			fputs("\\r", out);
		else if (*s == '\\')
			fputs("\\\\", out);
		else if (c < ' ' || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			fprintf(out, "\\u%04x", (uint8_t) * ++s);
		else
			fputc(*s, out);
	}
}

/* ---- cells ---------------------------------------------------------------------------
 */

static const struct js *
follow(const struct js *v, struct span path)
{
	while (v && path.p) {
		char name[128];
		if (!span_to_str(span_split(&path, '.'), name, sizeof(name)))
			return NULL;
		v = js_get(v, name);
	}
	return v && !js_is(v, JS_NULL) ? v : NULL;
}

static const struct js *
find(const struct js *row, const char *path)
{
	const struct js *v = NULL;
	for (struct span rest = span_str(path); !v && rest.p;)
		v = follow(row, span_split(&rest, '|'));
	return v;
}

static void
put_value(struct buf *b, const struct js *v)
{
	if (js_is(v, JS_STRING))
		buf_put_span(b, js_as_str(v));
	else if (js_is(v, JS_BOOL))
		buf_str(b, js_as_bool(v) ? "yes" : "no");
	else if (v)
		js_dump(v, JS_AS_BUILT, b);
}

static bool
is_plain(const struct js *v)
{
	return !js_is(v, JS_ARRAY) && !js_is(v, JS_OBJECT);
}

/* A list of plain values is read more easily than its JSON; an empty one is nothing. */
static void
put_cell(struct buf *b, const struct js *v)
{
	bool plain = js_is(v, JS_ARRAY);
	for (size_t i = 0; i < js_len(v) && plain; i++)
		plain = is_plain(js_at(v, i));
	if (is_plain(v) || (js_len(v) && !plain)) {
		put_value(b, v);
		return;
	}
	for (size_t i = 0; i < js_len(v) && plain; i++) {
		buf_str(b, i ? ", " : "");
		put_value(b, js_at(v, i));
	}
}

/* Seconds are enough for people; programs read JSON. */
static void
put_time(struct buf *b, const struct js *v)
{
	struct span s = js_as_str(v);
	if (span_starts(s, SPAN_LIT("0001-")))
		buf_str(b, "never");
	else if (s.len > 20 && s.p[19] == '.' && span_ends(s, SPAN_LIT("Z")))
		buf_printf(b, "%.*sZ", 19, (const char *)s.p);
	else
		buf_put_span(b, s);
}

static void
put_ms(struct buf *b, const struct js *v)
{
	char text[CLOCK_TEXT];
	if (!js_as_int(v))
		return;
	clock_iso(js_as_int(v), 0, text);
	buf_str(b, text);
}

static char *
cell(const struct render_column *c, const struct js *row, enum render_form form)
{
	auto_buf b = BUF_INIT(CELL_MAX), clean = BUF_INIT(CELL_MAX);
	const struct js *v = find(row, c->path);
	switch (c->kind) {
	case RENDER_TEXT:
		put_cell(&b, v);
		break;
	case RENDER_TIME:
		put_time(&b, v);
		break;
	case RENDER_MS:
		put_ms(&b, v);
		break;
	}
	if (form == RENDER_TSV)
		return own_strdup(buf_text(&b));
	render_text(&clean, buf_span(&b));
	return own_strdup(buf_text(&clean));
}

/* ---- tables --------------------------------------------------------------------------
 */

static void
measure(struct render *s)
{
	for (size_t c = 0; c < s->n; c++) {
		size_t wide = 0;
		for (size_t r = 0; r < s->rows; r++) {
			size_t len = width_of(s->cells[r * s->n + c]);
			wide = len > wide ? len : wide;
		}
		size_t head = strlen(s->cols[c].head);
		s->seen[c] |= wide > 0;
		s->shown[c] = s->seen[c] || !(s->cols[c].flags & RENDER_IF_ANY);
		s->wide[c] = wide > head ? wide : head;
	}
}

static size_t
line_width(const struct render *s)
{
	size_t sum = 0;
	for (size_t c = 0; c < s->n; c++)
		if (s->shown[c])
			sum += s->wide[c] + (sum ? GAP : 0);
	return sum;
}

/* Takes columns from the widest that gives way, one at a time. */
static bool
narrow(struct render *s, size_t least)
{
	size_t at = s->n;
	for (size_t c = 0; c < s->n; c++)
		if (s->shown[c] && (s->cols[c].flags & RENDER_CUT) &&
		    s->wide[c] > least && (at == s->n || s->wide[c] > s->wide[at]))
			at = c;
	if (at == s->n)
		return false;
	s->wide[at]--;
	return true;
}

static bool
drop(struct render *s)
{
	for (size_t c = s->n; c-- > 0;) {
		if (!s->shown[c] || !(s->cols[c].flags & RENDER_EXTRA))
			continue;
		s->shown[c] = false;
		return true;
	}
	return false;
}

static void
fit(struct render *s)
{
	measure(s);
	if (!s->width)
		return;
	while (line_width(s) > (size_t)s->width && narrow(s, CUT_WELL))
		;
	while (line_width(s) > (size_t)s->width && drop(s))
		;
	while (line_width(s) > (size_t)s->width && narrow(s, CUT_MIN))
		;
}

/* At most wide columns; a cut one ends in an ellipsis. Returns those written. */
static size_t
put_cut(FILE *out, const char *text, size_t wide, bool cut)
{
	size_t len = width_of(text), n = 0;
	if (!cut || len <= wide) {
		fputs(text, out);
		return len;
	}
	for (; *text; text++) {
		size_t more = columns_at(text);
		if (n + more >= wide && !is_tail((uint8_t)*text))
			break;
		n += more;
		fputc(*text, out);
	}
	fputs("\xe2\x80\xa6", out);
	return n + 1;
}

static void
put_line(const struct render *s, char *const *cells)
{
	size_t pad = 0;
	for (size_t c = 0; c < s->n; c++) {
		if (!s->shown[c])
			continue;
		const char *text = cells ? cells[c] : s->cols[c].head;
		bool cut = s->width && (s->cols[c].flags & RENDER_CUT);
		if (cells && !text[0])
			text = "-";
		fprintf(s->out, "%*s", (int)pad, "");
		size_t got = put_cut(s->out, text, s->wide[c], cut);
		pad = (got < s->wide[c] ? s->wide[c] - got : 0) + GAP;
	}
	fputc('\n', s->out);
}

static void
put_head(const struct render *s)
{
	bool bold = s->width && !getenv("NO_COLOR");
	fputs(bold ? "\033[1m" : "", s->out);
	put_line(s, NULL);
	fputs(bold ? "\033[0m" : "", s->out);
}

static void
put_tsv_line(const struct render *s, char *const *cells)
{
	for (size_t c = 0; c < s->n; c++) {
		fputs(c ? "\t" : "", s->out);
		put_tsv(s->out, cells[c]);
	}
	fputc('\n', s->out);
}

/* Something that earlier blocks had no column for: the reason of a refusal, say, for
 * somebody who has watched devices come and go for an hour. */
static bool
is_new_to_it(const struct render *s)
{
	for (size_t c = 0; c < s->n; c++) {
		bool found = s->seen[c] || !(s->cols[c].flags & RENDER_IF_ANY);
		for (size_t r = 0; r < s->rows && !found; r++)
			if (s->cells[r * s->n + c][0])
				return true;
	}
	return false;
}

void
render_flush(struct render *s)
{
	if (s->rows && s->form == RENDER_TABLE && (!s->begun || is_new_to_it(s))) {
		s->begun = true;
		fit(s);
		put_head(s);
	}
	for (size_t r = 0; r < s->rows; r++) {
		char **cells = s->cells + r * s->n;
		if (s->form == RENDER_TABLE)
			put_line(s, cells);
		else
			put_tsv_line(s, cells);
		for (size_t c = 0; c < s->n; c++)
			free(cells[c]);
	}
	s->rows = 0;
	fflush(s->out);
}

/* ---- rows ----------------------------------------------------------------------------
 */

static size_t
count(const struct render_column *cols)
{
	size_t n = 0;
	while (n < COLUMNS_MAX && cols[n].head)
		n++;
	return n;
}

struct render *
render_new(const struct render_column *cols, enum render_form form, FILE *out, int width)
{
	struct render *s = own_alloc(sizeof(*s));
	*s = (struct render){
	    .cols = cols, .form = form, .out = out, .width = width, .n = count(cols)};
	s->cells = own_alloc(BLOCK_ROWS * s->n * sizeof(char *));
	return s;
}

static void
put_json_line(FILE *out, const struct js *v)
{
	auto_buf b = BUF_INIT(64 * CELL_MAX);
	b.secret = true;
	js_dump(v, JS_AS_BUILT, &b);
	fprintf(out, "%s\n", buf_text(&b));
}

void
render_row(struct render *s, const struct js *row)
{
	s->total++;
	if (s->form == RENDER_JSON) {
		put_json_line(s->out, row);
		return;
	}
	for (size_t c = 0; c < s->n; c++)
		s->cells[s->rows * s->n + c] = cell(&s->cols[c], row, s->form);
	if (++s->rows == BLOCK_ROWS)
		render_flush(s);
}

size_t
render_count(const struct render *s)
{
	return s->total;
}

void
render_free(struct render *s)
{
	if (!s)
		return;
	render_flush(s);
	free(s->cells);
	free(s);
}

/* ---- one thing -----------------------------------------------------------------------
 */

static void
put_lines(const struct render *s)
{
	size_t wide = 0;
	for (size_t c = 0; c < s->n; c++) {
		size_t len = strlen(s->cols[c].head);
		wide = len > wide ? len : wide;
	}
	for (size_t c = 0; c < s->n; c++) {
		const char *text = s->cells[c];
		if (text[0] || !(s->cols[c].flags & RENDER_IF_ANY))
			fprintf(s->out, "%-*s  %s\n", (int)wide, s->cols[c].head,
			    text[0] ? text : "-");
		free(s->cells[c]);
	}
	free(s->cells);
}

void
render_one(const struct render_column *cols, enum render_form form, FILE *out,
    const struct js *v)
{
	if (form == RENDER_JSON) {
		render_json(out, v, 0);
		fputc('\n', out);
		return;
	}
	struct render s = {.cols = cols, .form = form, .out = out, .n = count(cols)};
	s.cells = own_alloc(s.n * sizeof(char *));
	for (size_t c = 0; c < s.n; c++)
		s.cells[c] = cell(&cols[c], v, form);
	if (form == RENDER_TABLE) {
		put_lines(&s);
		return;
	}
	put_tsv_line(&s, s.cells);
	for (size_t c = 0; c < s.n; c++)
		free(s.cells[c]);
	free(s.cells);
}

/* ---- documents -----------------------------------------------------------------------
 */

static void
put_key(FILE *out, const char *key)
{
	auto_buf b = BUF_INIT(CELL_MAX);
	struct err ignored;
	auto_(js_free) struct js *v = js_str(span_str(key), &ignored);
	js_dump(v, JS_AS_BUILT, &b);
	fprintf(out, "%s: ", buf_text(&b));
}

void
render_json(FILE *out, const struct js *v, int margin)
{
	bool object = js_is(v, JS_OBJECT);
	if ((!object && !js_is(v, JS_ARRAY)) || !js_len(v)) {
		auto_buf b = BUF_INIT(64 * CELL_MAX);
		b.secret = true;
		js_dump(v, JS_AS_BUILT, &b);
		fputs(buf_text(&b), out);
		return;
	}
	struct js_iter it = js_members(v);
	fputs(object ? "{" : "[", out);
	for (size_t i = 0; i < js_len(v); i++) {
		fprintf(out, "%s\n%*s", i ? "," : "", margin + 2, "");
		if (object && js_next(&it))
			put_key(out, it.key);
		render_json(out, object ? it.value : js_at(v, i), margin + 2);
	}
	fprintf(out, "\n%*s%c", margin, "", object ? '}' : ']');
}

struct flat {
	FILE *out; /* NULL: measures */
	int margin;
	size_t wide, n;
};

static void
flat_leaf(struct flat *f, const char *path, const struct js *v)
{
	auto_buf b = BUF_INIT(CELL_MAX), name = BUF_INIT(CELL_MAX),
		 clean = BUF_INIT(CELL_MAX);
	render_text(&name, span_str(path));
	size_t len = width_of(buf_text(&name));
	f->n++;
	if (!f->out) {
		f->wide = len > f->wide ? len : f->wide;
		return;
	}
	put_value(&b, v);
	render_text(&clean, buf_span(&b));
	fprintf(f->out, "%*s%s%*s  %s\n", f->margin, "", buf_text(&name),
	    (int)(f->wide > len ? f->wide - len : 0), "", buf_text(&clean));
}

static void
flat_walk(struct flat *f, const char *path, const struct js *v)
{
	if (!js_is(v, JS_OBJECT) || !js_len(v)) {
		flat_leaf(f, path, v);
		return;
	}
	struct js_iter it = js_members(v);
	while (js_next(&it)) {
		auto_buf b = BUF_INIT(CELL_MAX);
		if (it.key[0] == '$')
			continue;
		buf_printf(&b, "%s%s%s", path, path[0] ? "." : "", it.key);
		flat_walk(f, buf_text(&b), it.value);
	}
}

void
render_flat(FILE *out, const struct js *v, int margin)
{
	struct flat f = {.margin = margin};
	if (js_len(v))
		flat_walk(&f, "", v);
	if (!f.n) {
		fprintf(out, "%*s(none)\n", margin, "");
		return;
	}
	f.out = out;
	flat_walk(&f, "", v);
}
