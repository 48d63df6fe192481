/*
 * Writing and reading one line of the journal, from one table of its fields.
 */
#include "store/journal_line.h"

#include "base/hex.h"
#include "base/num.h"
#include "crypto/digest.h"

#define VERSION "v1"

static const struct field {
	const char *name;
	bool number;
	size_t off;
} fields[] = {
#define TEXT(member)                                                                     \
	{                                                                                \
#member, false, offsetof(struct journal_entry, member)                   \
	}
#define NUMBER(member)                                                                   \
	{                                                                                \
#member, true, offsetof(struct journal_entry, member)                    \
	}
    NUMBER(seq),
    NUMBER(time_ms),
    TEXT(profile),
    TEXT(issuer_sha256),
    TEXT(serial),
    TEXT(subject),
    TEXT(spki_sha256),
    NUMBER(not_before_ms),
    NUMBER(not_after_ms),
    TEXT(cert_sha256),
    TEXT(requester),
};
#define FIELDS (sizeof(fields) / sizeof(fields[0]))

/* Only visible ASCII stands for itself, so neither a line, a field nor a terminal's
 * escape sequence can be forged by what a subject holds. */
static bool
is_plain(uint8_t c)
{
	return c > 0x20 && c < 0x7f && c != '%';
}

static void
put_text(struct buf *b, const char *s)
{
	if (!s || !*s) {
		buf_str(b, "-");
		return;
	}
	if (strcmp(s, "-") == 0) {
		buf_str(b, "%2D");
		return;
	}
	for (const uint8_t *p = (const uint8_t *)s; *p;) {
		size_t plain = 0;
		while (is_plain(p[plain]))
			plain++;
		buf_put(b, p, plain);
		p += plain;
		if (*p)
			buf_printf(b, "%%%02X", *p++);
	}
}

static void
put_field(struct buf *b, const struct field *f, const struct journal_entry *en)
{
	const void *m = (const char *)en + f->off;
	if (f->number)
		buf_printf(b, "%lld", (long long)*(const int64_t *)m);
	else
		put_text(b, *(const char *const *)m);
}

static void
hash(struct span s, char out[65])
{
	uint8_t raw[DIGEST_SHA256];
	digest_sha256(s, raw);
	hex_write(span_of(raw, sizeof(raw)), out);
}

int
journal_line_write(struct buf *out, struct journal_chain *c,
    const struct journal_entry *en, struct err *e)
{
	auto_buf line = BUF_INIT(JOURNAL_LINE_MAX + 1);
	struct journal_entry numbered = *en;
	numbered.seq = c->count + 1;
	buf_str(&line, VERSION);
	for (size_t i = 0; i < FIELDS; i++) {
		buf_u8(&line, ' ');
		put_field(&line, &fields[i], &numbered);
	}
	buf_printf(&line, " %s ", c->head);
	struct journal_chain next = {.count = numbered.seq};
	hash(buf_span(&line), next.head);
	buf_printf(&line, "%s\n", next.head);
	if (buf_check(&line, "line of the journal", e))
		return -1;
	if (line.len > out->max - out->len)
		return err_set(e, ERR_LIMIT,
		    "journal: more than %zu bytes wait for a sync", out->max);
	buf_put_span(out, buf_span(&line));
	*c = next;
	return 0;
}

/* The byte that "%XX" at s stands for, or -1. */
static int
unescape(struct span s)
{
	uint8_t v;
	if (s.len < 3 || hex_parse(span_of(s.p + 1, 2), &v, 1, NULL))
		return -1;
	return v;
}

/* NULL where an escape is cut short or hides a NUL. */
static const char *
get_text(struct span s, struct arena *a)
{
	if (span_eq_str(s, "-"))
		return "";
	char *out = arena_alloc(a, s.len + 1);
	char *o = out;
	while (s.len) {
		bool escaped = s.p[0] == '%';
		int v = escaped ? unescape(s) : s.p[0];
		if (v <= 0)
			return NULL;
		*o++ = (char)v;
		s = span_skip(s, escaped ? 3 : 1);
	}
	return out;
}

/* Reads s into the entry and writes it out again: what comes out differently was not
 * ours. */
static int
get_field(struct span s, const struct field *f, struct arena *a, struct journal_entry *en,
    struct err *e)
{
	void *m = (char *)en + f->off;
	const char *text = f->number ? NULL : get_text(s, a);
	bool ok = text || (f->number && num_ok(s, INT64_MIN, INT64_MAX, m));
	if (text)
		*(const char **)m = text;
	auto_buf again = BUF_INIT(JOURNAL_LINE_MAX);
	if (ok)
		put_field(&again, f, en);
	if (!ok || !span_eq(buf_span(&again), s))
		return err_set(e, ERR_CORRUPT, "field %s is malformed", f->name);
	return 0;
}

static int
get_fields(struct span *rest, struct arena *a, struct journal_entry *en, struct err *e)
{
	if (!span_eq_str(span_split(rest, ' '), VERSION))
		return err_set(e, ERR_CORRUPT, "not a " VERSION " line");
	for (size_t i = 0; i < FIELDS; i++) {
		if (!rest->p)
			return err_set(
			    e, ERR_CORRUPT, "field %s is missing", fields[i].name);
		if (get_field(span_split(rest, ' '), &fields[i], a, en, e))
			return -1;
	}
	return 0;
}

int
journal_line_parse(struct span line, struct journal_chain *c, struct arena *a,
    struct journal_entry *ret, struct err *e)
{
	if (line.len > JOURNAL_LINE_MAX)
		return err_set(e, ERR_CORRUPT, "longer than %d bytes", JOURNAL_LINE_MAX);
	struct journal_entry en;
	struct span rest = line;
	if (get_fields(&rest, a, &en, e))
		return -1;
	struct span prev = span_split(&rest, ' ');
	size_t hashed = rest.p ? (size_t)(rest.p - line.p) : line.len;
	struct journal_chain next = {.count = c->count + 1};
	hash(span_head(line, hashed), next.head);
	if (!span_eq_str(rest, next.head))
		return err_set(e, ERR_CORRUPT, "was changed: its hash is another");
	if (en.seq != next.count)
		return err_set(e, ERR_CORRUPT, "has number %lld where %lld is due",
		    (long long)en.seq, (long long)next.count);
	if (!span_eq_str(prev, c->head))
		return err_set(e, ERR_CORRUPT, "does not follow the line before it");
	*c = next;
	*ret = en;
	return 0;
}
