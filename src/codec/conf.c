/*
 * Configuration tables, and INI by inih. inih reports no line numbers to its handler,
 * cuts lines that are too long, joins indented ones and forgives text behind a section;
 * so lines reach it one by one through our own reader, which counts and checks them.
 */
#include "codec/conf.h"

#include <assert.h>
#include <ini.h>
#include <inttypes.h>

#include "base/num.h"
#include "codec/utf8.h"

#define field_of(type, k, config) ((type *)((char *)(config) + (k)->offset))
#define field_const(type, k, config)                                                     \
	((const type *)((const char *)(config) + (k)->offset))

static bool
is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

/* Text that stands in a line as it is, and comes back the same. */
static bool
is_plain(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
		if (s.p[i] == ';' && (i == 0 || s.p[i - 1] == ' '))
			return false; /* would begin a comment */
	}
	if (s.len && (s.p[0] == ' ' || s.p[s.len - 1] == ' '))
		return false;
	return utf8_ok(s);
}

static void
write_duration(struct buf *b, int64_t ms)
{
	static const struct {
		int64_t ms;
		const char *name;
	} units[] = {{INT64_C(31536000000), "y"}, {86400000, "d"}, {3600000, "h"},
	    {60000, "m"}, {1000, "s"}};
	for (size_t i = 0; ms && i < sizeof(units) / sizeof(units[0]); i++) {
		if (ms % units[i].ms)
			continue;
		buf_printf(b, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
		return;
	}
	buf_printf(b, "%" PRId64 "ms", ms);
}

static void
write_size(struct buf *b, int64_t n)
{
	static const char units[] = "BKMG";
	int unit = 0;
	while (n && n % 1024 == 0 && unit < 3) {
		n /= 1024;
		unit++;
	}
	buf_printf(b, "%" PRId64, n);
	if (unit)
		buf_u8(b, (uint8_t)units[unit]);
}

/* What a value may be: "a duration from 1m to 10y". */
static void
write_allowed(const struct conf_key *k, struct buf *b)
{
	switch (k->type) {
	case CONF_BOOL:
		buf_str(b, "yes or no");
		return;
	case CONF_INT:
		buf_printf(
		    b, "a whole number from %" PRId64 " to %" PRId64, k->min, k->max);
		return;
	case CONF_DURATION:
		buf_str(b, "a duration from ");
		write_duration(b, k->min);
		buf_str(b, " to ");
		write_duration(b, k->max);
		return;
	case CONF_SIZE:
		buf_str(b, "a size from ");
		write_size(b, k->min);
		buf_str(b, " to ");
		write_size(b, k->max);
		return;
	case CONF_TEXT:
		buf_printf(b, "text of %" PRId64 " to %" PRId64 " bytes", k->min, k->max);
		return;
	case CONF_LIST:
		buf_printf(b, "%" PRId64 " to %" PRId64 " words, commas between them",
		    k->min, k->max);
		return;
	case CONF_ENUM:
		for (size_t i = 0; k->words[i]; i++)
			buf_printf(b, "%s%s", i ? ", " : "one of ", k->words[i]);
		return;
	}
}

static bool
set_bool(struct span v, bool *ret)
{
	static const char *const yes[] = {"yes", "true", "on", "1"};
	static const char *const no[] = {"no", "false", "off", "0"};
	for (size_t i = 0; i < 4; i++) {
		if (!span_ieq_str(v, yes[i]) && !span_ieq_str(v, no[i]))
			continue;
		*ret = span_ieq_str(v, yes[i]);
		return true;
	}
	return false;
}

static bool
set_enum(const struct conf_key *k, struct span v, int *ret)
{
	for (int i = 0; k->words[i]; i++) {
		if (!span_eq_str(v, k->words[i]))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

static bool
in_bounds(const struct conf_key *k, size_t n)
{
	return n <= INT64_MAX && (int64_t)n >= k->min && (int64_t)n <= k->max;
}

/* The next word of a list, or one of length 0 behind the last. */
static struct span
take_word(struct span *v)
{
	size_t n = 0;
	while (v->len && (is_blank(v->p[0]) || v->p[0] == ','))
		*v = span_skip(*v, 1);
	while (n < v->len && !is_blank(v->p[n]) && v->p[n] != ',')
		n++;
	struct span word = span_head(*v, n);
	*v = span_skip(*v, n);
	return word;
}

static bool
set_list(const struct conf_key *k, struct span v, struct arena *a, struct conf_list *ret)
{
	size_t n = 0;
	struct span word, rest = v;
	for (; (word = take_word(&rest)).len; n++)
		if (word.p[0] == ';')
			return false; /* would begin a comment when written again */
	if (!in_bounds(k, n) || !is_plain(v))
		return false;
	const char **words = arena_alloc(a, (n + 1) * sizeof(*words));
	for (size_t i = 0; i < n; i++)
		words[i] = arena_str(a, take_word(&v));
	*ret = (struct conf_list){words, n};
	return true;
}

static bool
set_text(const struct conf_key *k, struct span v, struct arena *a, const char **ret)
{
	if (!in_bounds(k, v.len) || !is_plain(v))
		return false;
	*ret = arena_str(a, v);
	return true;
}

static bool
set_size(const struct conf_key *k, struct span v, size_t *ret)
{
	int64_t n;
	if (num_parse_size(v, k->min, k->max, &n, NULL) != 0)
		return false;
	*ret = (size_t)n;
	return true;
}

static bool
set_value(const struct conf_key *k, struct span v, void *config, struct arena *a)
{
	switch (k->type) {
	case CONF_BOOL:
		return set_bool(v, field_of(bool, k, config));
	case CONF_INT:
		return num_ok(v, k->min, k->max, field_of(int64_t, k, config));
	case CONF_DURATION:
		return num_parse_duration_ms(
			   v, k->min, k->max, field_of(int64_t, k, config), NULL) == 0;
	case CONF_SIZE:
		return set_size(k, v, field_of(size_t, k, config));
	case CONF_TEXT:
		return set_text(k, v, a, field_of(const char *, k, config));
	case CONF_ENUM:
		return set_enum(k, v, field_of(int, k, config));
	case CONF_LIST:
		return set_list(k, v, a, field_of(struct conf_list, k, config));
	}
	return false;
}

const struct conf_key *
conf_find(const struct conf_table *t, struct span name)
{
	for (size_t i = 0; i < t->n; i++)
		if (span_eq_str(name, t->keys[i].name))
			return &t->keys[i];
	return NULL;
}

/* Edits between two names (Levenshtein), neither over NAME_LONGEST bytes. */
enum { NAME_LONGEST = 64 };

static size_t
distance(struct span a, struct span b)
{
	size_t row[NAME_LONGEST + 1];
	for (size_t j = 0; j <= b.len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b.len; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a.p[i - 1] != b.p[j - 1]);
			best = above + 1 < best ? above + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[b.len];
}

/* Behind the first dot. */
static struct span
key_part(struct span name)
{
	span_split(&name, '.');
	return name;
}

/* The key that name was likely meant to be: the right key in a wrong section, else the
 * fewest edits, at most a third of the name. */
static const struct conf_key *
nearest(const struct conf_table *t, struct span name)
{
	const struct conf_key *best = NULL;
	size_t least = name.len / 3 + 1;
	if (name.len > NAME_LONGEST)
		return NULL;
	for (size_t i = 0; i < t->n; i++) {
		struct span known = span_str(t->keys[i].name);
		assert(known.len <= NAME_LONGEST);
		bool moved = name.len && span_eq(key_part(known), key_part(name));
		size_t d = moved ? 0 : distance(name, known);
		if (d >= least)
			continue;
		least = d;
		best = &t->keys[i];
	}
	return best;
}

static int
unknown_key(const struct conf_table *t, struct span name, struct err *e)
{
	const struct conf_key *like = nearest(t, name);
	if (!like)
		return err_set(
		    e, ERR_PARSE, "there is no key %.*s", SPAN_FMT(span_head(name, 80)));
	return err_set(e, ERR_PARSE, "there is no key %.*s; %s is close",
	    SPAN_FMT(span_head(name, 80)), like->name);
}

int
conf_set(const struct conf_table *t, struct span name, struct span value, void *config,
    struct arena *a, struct err *e)
{
	const struct conf_key *k = conf_find(t, name);
	if (!k)
		return unknown_key(t, name, e);
	if (value.len > CONF_LINE_MAX)
		return err_set(
		    e, ERR_LIMIT, "%s: value is over %d bytes", k->name, CONF_LINE_MAX);
	/* what a value can take at most: each word copied and pointed to */
	if (arena_left(a) < 32 * value.len + 64)
		return err_set(e, ERR_LIMIT, "%s: configuration is too large", k->name);
	if (set_value(k, value, config, a))
		return 0;
	auto_buf allowed = BUF_INIT(200);
	write_allowed(k, &allowed);
	if (k->secret)
		return err_set(
		    e, ERR_PARSE, "%s must be %s", k->name, buf_text(&allowed));
	return err_set(e, ERR_PARSE, "%s must be %s, not '%.*s'", k->name,
	    buf_text(&allowed), SPAN_FMT(span_head(value, 80)));
}

void
conf_defaults(const struct conf_table *t, void *config, struct arena *a)
{
	for (size_t i = 0; i < t->n; i++) {
		bool ok = set_value(&t->keys[i], span_str(t->keys[i].def), config, a);
		assert(ok);
	}
}

/* ---- lines: inih's side --------------------------------------------------------------
 */

struct job {
	conf_visit *visit;
	void *arg;
	struct err *e;
	struct span rest;
	size_t line;
	bool failed;
};

/* A section line holds nothing behind its bracket but a comment. */
static bool
section_ok(struct span line)
{
	if (line.len == 0 || line.p[0] != '[')
		return true;
	span_split(&line, ']');
	struct span tail = span_trim(line);
	return tail.len == 0 || tail.p[0] == ';' || tail.p[0] == '#';
}

static int
check_line(struct span line, size_t size, struct err *e)
{
	if (line.len > CONF_LINE_MAX || line.len >= size)
		return err_set(e, ERR_LIMIT, "over %d bytes", CONF_LINE_MAX);
	if (span_has(line, 0))
		return err_set(e, ERR_PARSE, "holds a NUL");
	if (!section_ok(line))
		return err_set(e, ERR_PARSE, "text behind a section");
	return 0;
}

/* Hands inih one line without its indentation, which it would take for a continuation. */
static char *
on_read(char *dst, int size, void *arg)
{
	struct job *j = arg;
	if (j->failed || j->rest.len == 0)
		return NULL;
	struct span line = span_trim(span_split(&j->rest, '\n'));
	j->line++;
	j->failed = check_line(line, (size_t)size, j->e) != 0 ||
		    !span_to_str(line, dst, (size_t)size);
	return j->failed ? NULL : dst;
}

static int
on_value(void *arg, const char *section, const char *key, const char *value)
{
	struct job *j = arg;
	if (!j->failed)
		j->failed = j->visit(j->arg, span_str(section), span_str(key),
				span_str(value), j->e) != 0;
	return !j->failed;
}

int
conf_each(struct span text, conf_visit *visit, void *arg, struct err *e)
{
	if (text.len > CONF_FILE_MAX)
		return err_set(
		    e, ERR_LIMIT, "configuration is over %d bytes", CONF_FILE_MAX);
	struct span bom = SPAN_LIT("\xef\xbb\xbf");
	text = span_starts(text, bom) ? span_skip(text, bom.len) : text;
	struct err cause = {0};
	struct job j = {.visit = visit, .arg = arg, .e = &cause, .rest = text};
	ini_use_stack =
	    false; /* its buffer on the stack holds 200 bytes, whatever one asks */
	ini_max_line = ini_initial_alloc = CONF_LINE_MAX + 3;
	int bad_line = ini_parse_stream(on_read, &j, on_value, &j);
	if (bad_line < 0)
		return err_set(e, ERR_INTERNAL, "inih: out of memory");
	if (bad_line > 0 && (!j.failed || (size_t)bad_line < j.line))
		return err_set(
		    e, ERR_PARSE, "line %d: neither [section] nor key = value", bad_line);
	if (!j.failed)
		return 0;
	err_copy(e, &cause);
	return err_wrap(e, "line %zu", j.line);
}

/* ---- tables --------------------------------------------------------------------------
 */

struct table_job {
	const struct conf_table *t;
	void *config;
	struct arena *a;
	bool seen[CONF_KEYS_MAX];
};

static int
set_from_line(
    void *arg, struct span section, struct span key, struct span value, struct err *e)
{
	struct table_job *j = arg;
	auto_buf name = BUF_INIT(2 * CONF_LINE_MAX);
	buf_put_span(&name, section);
	buf_u8(&name, '.');
	buf_put_span(&name, key);
	const struct conf_key *k = conf_find(j->t, buf_span(&name));
	if (!k)
		return unknown_key(j->t, buf_span(&name), e);
	size_t i = (size_t)(k - j->t->keys);
	if (j->seen[i])
		return err_set(e, ERR_PARSE, "%s is set twice", k->name);
	j->seen[i] = true;
	return conf_set(j->t, buf_span(&name), value, j->config, j->a, e);
}

int
conf_parse(const struct conf_table *t, struct span text, void *config, struct arena *a,
    struct err *e)
{
	assert(t->n <= CONF_KEYS_MAX);
	struct table_job j = {.t = t, .config = config, .a = a};
	return conf_each(text, set_from_line, &j, e);
}

static void
write_list(const struct conf_list *l, struct buf *b)
{
	for (size_t i = 0; i < l->n; i++)
		buf_printf(b, "%s%s", i ? ", " : "", l->v[i]);
}

static void
write_value(const struct conf_key *k, const void *config, struct buf *b)
{
	switch (k->type) {
	case CONF_BOOL:
		buf_str(b, *field_const(bool, k, config) ? "yes" : "no");
		return;
	case CONF_INT:
		buf_printf(b, "%" PRId64, *field_const(int64_t, k, config));
		return;
	case CONF_DURATION:
		write_duration(b, *field_const(int64_t, k, config));
		return;
	case CONF_SIZE:
		write_size(b, (int64_t)*field_const(size_t, k, config));
		return;
	case CONF_TEXT:
		buf_str(b, *field_const(const char *, k, config));
		return;
	case CONF_ENUM:
		buf_str(b, k->words[*field_const(int, k, config)]);
		return;
	case CONF_LIST:
		write_list(field_const(struct conf_list, k, config), b);
		return;
	}
}

void
conf_write(const struct conf_key *k, const void *config, struct buf *b)
{
	if (k->secret)
		buf_str(b, "(secret)");
	else
		write_value(k, config, b);
}

/* Writes a heading where key i is the first of its section. */
static void
write_section(const struct conf_table *t, size_t i, const char *fmt, struct buf *b)
{
	struct span rest = span_str(t->keys[i].name);
	struct span section = span_split(&rest, '.');
	if (i) {
		struct span before = span_str(t->keys[i - 1].name);
		if (span_eq(span_split(&before, '.'), section))
			return;
	}
	char name[NAME_LONGEST + 1];
	bool ok = span_to_str(section, name, sizeof(name));
	assert(ok);
	for (const char *p = fmt; *p; p++) {
		if (*p == '@')
			buf_str(b, name);
		else
			buf_u8(b, (uint8_t)*p);
	}
}

void
conf_dump(const struct conf_table *t, const void *config, struct buf *b)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct conf_key *k = &t->keys[i];
		write_section(t, i, i ? "\n[@]\n" : "[@]\n", b);
		if (k->secret)
			continue;
		buf_put_span(b, key_part(span_str(k->name)));
		buf_str(b, " = ");
		write_value(k, config, b);
		buf_str(b, "\n");
	}
}

static bool
differs(const struct conf_key *k, const void *was, const void *is)
{
	auto_buf x = BUF_INIT(2 * CONF_LINE_MAX);
	auto_buf y = BUF_INIT(2 * CONF_LINE_MAX);
	x.secret = y.secret = k->secret;
	write_value(k, was, &x);
	write_value(k, is, &y);
	return !span_eq(buf_span(&x), buf_span(&y));
}

const struct conf_key *
conf_needs_restart(const struct conf_table *t, const void *was, const void *is)
{
	for (size_t i = 0; i < t->n; i++)
		if (!t->keys[i].reload && differs(&t->keys[i], was, is))
			return &t->keys[i];
	return NULL;
}

static void
write_facts(const struct conf_key *k, struct buf *b)
{
	write_allowed(k, b);
	if (!k->secret)
		buf_printf(b, "; default %s", k->def[0] ? k->def : "empty");
}

void
conf_help(const struct conf_table *t, struct buf *b)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct conf_key *k = &t->keys[i];
		write_section(t, i, i ? "\n[@]\n" : "[@]\n", b);
		buf_printf(b, "  %s\n      %s\n      (", k->name, k->help);
		write_facts(k, b);
		buf_str(b, ")\n");
	}
}

/* Appends text with what roff would take for its own escaped. */
static void
roff(struct span text, struct buf *b)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.p[i] == '\\' || text.p[i] == '-')
			buf_u8(b, '\\');
		buf_u8(b, text.p[i]);
	}
}

void
conf_man(const struct conf_table *t, struct buf *b)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct conf_key *k = &t->keys[i];
		auto_buf facts = BUF_INIT(1024);
		write_facts(k, &facts);
		write_section(t, i, ".SS [@]\n", b);
		buf_str(b, ".TP\n.B ");
		roff(span_str(k->name), b);
		buf_str(b, "\n");
		roff(span_str(k->help), b);
		buf_str(b, "\n.br\nValue: ");
		roff(buf_span(&facts), b);
		buf_str(b, ".\n");
	}
}
