/*
 * Inventory lines.
 */
#include "codec/csv.h"

#include "codec/id.h"
#include "codec/utf8.h"

enum { FIELDS_MIN = 3, FIELDS_MAX = 4 };

struct csv
csv_of(struct span text)
{
	struct span bom = SPAN_LIT("\xef\xbb\xbf");
	return (struct csv){.rest = span_starts(text, bom) ? span_skip(text, 3) : text};
}

/* The content of a quoted field: s stands behind the opening quote and is moved behind
 * the closing one. */
static int
take_quoted(struct span *s, struct arena *a, struct span *ret, struct err *e)
{
	struct span rest = *s;
	size_t n = 0, doubled = 0;
	for (; n < rest.len; n++) {
		if (rest.p[n] != '"')
			continue;
		if (n + 1 == rest.len || rest.p[n + 1] != '"')
			break;
		doubled++;
		n++;
	}
	if (n == rest.len)
		return err_set(e, ERR_PARSE, "quote is not closed on its line");
	struct span field = span_head(rest, n);
	*s = span_skip(rest, n + 1);
	*ret = field;
	if (!doubled)
		return 0;
	if (arena_left(a) <= n)
		return err_set(e, ERR_LIMIT, "inventory is too large");
	uint8_t *p = arena_alloc(a, n + 1);
	size_t len = 0;
	for (size_t i = 0; i < n; i++) {
		p[len++] = field.p[i];
		i += field.p[i] == '"';
	}
	*ret = span_of(p, len);
	return 0;
}

/* Takes a field and the comma behind it; *line is SPAN_NONE behind the last. */
static int
take_field(struct span *line, struct arena *a, struct span *ret, struct err *e)
{
	struct span s = *line;
	while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
		s = span_skip(s, 1);
	if (s.len == 0 || s.p[0] != '"') {
		*ret = span_trim(span_split(line, ','));
		if (span_has(*ret, '"'))
			return err_set(
			    e, ERR_PARSE, "quote inside a field that is not quoted");
		return 0;
	}
	s = span_skip(s, 1);
	if (take_quoted(&s, a, ret, e) != 0)
		return -1;
	if (span_trim(span_split(&s, ',')).len)
		return err_set(e, ERR_PARSE, "text behind a closing quote");
	*line = s;
	return 0;
}

static bool
has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static int
split_line(
    struct span line, struct arena *a, struct span fields[FIELDS_MAX], struct err *e)
{
	size_t n = 0;
	while (line.p) {
		if (n == FIELDS_MAX)
			return err_set(e, ERR_PARSE,
			    "too many fields: device_id,address,user[,host_key]");
		if (take_field(&line, a, &fields[n], e) != 0)
			return -1;
		if (has_control(fields[n]) || !utf8_ok(fields[n]))
			return err_set(
			    e, ERR_PARSE, "field %zu is not plain text", n + 1);
		n++;
	}
	if (n < FIELDS_MIN)
		return err_set(
		    e, ERR_PARSE, "too few fields: device_id,address,user[,host_key]");
	return 0;
}

/* An option of ssh could be smuggled in by a leading dash. */
static bool
is_ssh_word(struct span s)
{
	return s.len > 0 && s.len <= 255 && s.p[0] != '-' && !span_has(s, ' ');
}

static int
check_row(const struct csv_row *row, struct err *e)
{
	if (!id_is_device(row->device_id))
		return err_set(e, ERR_PARSE, "'%.*s' is not a device ID",
		    SPAN_FMT(span_head(row->device_id, 140)));
	if (!is_ssh_word(row->address))
		return err_set(e, ERR_PARSE, "'%.*s' is not an address",
		    SPAN_FMT(span_head(row->address, 80)));
	if (!is_ssh_word(row->user))
		return err_set(e, ERR_PARSE, "'%.*s' is not a user name",
		    SPAN_FMT(span_head(row->user, 80)));
	return 0;
}

static int
parse_row(
    struct span line, bool first, struct arena *a, struct csv_row *row, struct err *e)
{
	struct span f[FIELDS_MAX] = {0};
	if (line.len > CSV_LINE_MAX)
		return err_set(e, ERR_LIMIT, "over %d bytes", CSV_LINE_MAX);
	if (split_line(line, a, f, e) != 0)
		return -1;
	if (first && span_ieq_str(f[0], "device_id"))
		return 0;
	struct csv_row r = {f[0], f[1], f[2], f[3], row->line};
	if (check_row(&r, e) != 0)
		return -1;
	*row = r;
	return 0;
}

int
csv_next(struct csv *c, struct arena *a, struct csv_row *ret, struct err *e)
{
	while (c->rest.p) {
		struct span line = span_trim(span_split(&c->rest, '\n'));
		struct csv_row row = {.line = ++c->line};
		if (line.len == 0 || line.p[0] == '#')
			continue;
		bool first = !c->past_header;
		c->past_header = true;
		if (parse_row(line, first, a, &row, e) != 0)
			return err_wrap(e, "line %zu", c->line);
		if (!row.device_id.p)
			continue; /* the header */
		*ret = row;
		return 0;
	}
	*ret = (struct csv_row){0};
	return 0;
}
