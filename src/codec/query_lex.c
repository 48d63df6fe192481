/*
 * Words of queries.
 */
#include "codec/query_lex.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

enum { NUMBER_MAX = 64, SHOWN_MAX = 40 };

static size_t
characters_before(struct span text, size_t at)
{
	size_t n = 0;
	for (size_t i = 0; i < at && i < text.len; i++)
		n += (text.p[i] & 0xc0) != 0x80;
	return n;
}

int
query_lex_fail(const struct query_lex *l, size_t at, struct err *e, const char *fmt, ...)
{
	char what[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return err_set(e, ERR_PARSE, "query, character %zu: %s",
	    characters_before(l->text, at) + 1, what);
}

/* The text of a word for a message: cut between characters. */
static struct span
shown(struct span s)
{
	size_t n = s.len < SHOWN_MAX ? s.len : SHOWN_MAX;
	while (n < s.len && n && (s.p[n] & 0xc0) == 0x80)
		n--;
	return span_head(s, n);
}

int
query_lex_want(const struct query_lex *l, const char *what, struct err *e)
{
	if (l->word == QUERY_WORD_END)
		return query_lex_fail(l, l->at, e, "want %s, but it ends", what);
	struct span word = span_head(span_skip(l->text, l->at), l->next - l->at);
	return query_lex_fail(
	    l, l->at, e, "want %s, have %.*s", what, SPAN_FMT(shown(word)));
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* '$': of $metadata and $version. What is not ASCII is a letter. */
static bool
is_name(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) ||
	       c == '_' || c == '$' || c >= 0x80;
}

static uint8_t
peek(const struct query_lex *l, size_t ahead)
{
	return l->next + ahead < l->text.len ? l->text.p[l->next + ahead] : 0;
}

/* ---- strings ----------------------------------------------------------------------- */

static void
put_utf8(uint32_t c, struct buf *out)
{
	if (c < 0x80) {
		buf_u8(out, (uint8_t)c);
		return;
	}
	if (c < 0x800) {
		buf_u8(out, (uint8_t)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_u8(out, (uint8_t)(0xe0 | c >> 12));
		buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	} else {
		buf_u8(out, (uint8_t)(0xf0 | c >> 18));
		buf_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
		buf_u8(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
	}
	buf_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

/* Four hexadecimal digits at l->next. */
static bool
take_hex4(struct query_lex *l, uint32_t *ret)
{
	uint32_t v = 0;
	for (size_t i = 0; i < 4; i++) {
		uint8_t c = peek(l, i);
		uint8_t low = (uint8_t)(c | 0x20);
		if (!is_digit(c) && (low < 'a' || low > 'f'))
			return false;
		v = v << 4 | (uint32_t)(is_digit(c) ? c - '0' : low - 'a' + 10);
	}
	l->next += 4;
	*ret = v;
	return true;
}

/* Behind "\u". A pair of surrogates is one character; half of one is none. */
static bool
take_unicode(struct query_lex *l, struct buf *out)
{
	uint32_t c, low;
	if (!take_hex4(l, &c) || c == 0)
		return false;
	if (c >= 0xd800 && c <= 0xdbff) {
		if (peek(l, 0) != '\\' || peek(l, 1) != 'u')
			return false;
		l->next += 2;
		if (!take_hex4(l, &low) || low < 0xdc00 || low > 0xdfff)
			return false;
		c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
	} else if (c >= 0xdc00 && c <= 0xdfff) {
		return false;
	}
	put_utf8(c, out);
	return true;
}

static int
take_escape(struct query_lex *l, struct buf *out, struct err *e)
{
	size_t at = l->next;
	uint8_t c = peek(l, 1);
	l->next += 2;
	if (c == '\'' || c == '"' || c == '\\') {
		buf_u8(out, c);
		return 0;
	}
	if (c == 'u' && take_unicode(l, out))
		return 0;
	return query_lex_fail(l, at, e, "an escape is one of \\' \\\" \\\\ \\uXXXX");
}

static int
take_string(struct query_lex *l, struct err *e)
{
	uint8_t quote = peek(l, 0);
	auto_buf out = BUF_INIT(l->text.len + 1);
	l->next++;
	while (l->next < l->text.len && peek(l, 0) != quote) {
		if (peek(l, 0) != '\\')
			buf_u8(&out, l->text.p[l->next++]);
		else if (take_escape(l, &out, e))
			return -1;
	}
	if (l->next >= l->text.len)
		return query_lex_fail(l, l->at, e, "this string is not closed");
	l->next++;
	l->word = QUERY_WORD_STRING;
	l->value = arena_span(l->arena, buf_span(&out));
	return 0;
}

/* ---- the others -------------------------------------------------------------------- */

static size_t
digits(const struct query_lex *l, size_t ahead)
{
	size_t n = ahead;
	while (is_digit(peek(l, n)))
		n++;
	return n;
}

/* How long the decimal at l->next is: 1, .5, 1.5e-3 */
static size_t
decimal(const struct query_lex *l)
{
	size_t n = digits(l, 0);
	if (peek(l, n) == '.')
		n = digits(l, n + 1);
	if ((peek(l, n) | 0x20) != 'e')
		return n;
	size_t sign = peek(l, n + 1) == '+' || peek(l, n + 1) == '-';
	return is_digit(peek(l, n + 1 + sign)) ? digits(l, n + 1 + sign) : n;
}

static size_t
hexadecimal(const struct query_lex *l)
{
	size_t n = 2;
	for (uint8_t low; low = (uint8_t)(peek(l, n) | 0x20),
			  is_digit(peek(l, n)) || (low >= 'a' && low <= 'f');)
		n++;
	return n;
}

static int
take_number(struct query_lex *l, struct err *e)
{
	char text[NUMBER_MAX], *end;
	bool hex = peek(l, 0) == '0' && (peek(l, 1) | 0x20) == 'x';
	size_t n = hex ? hexadecimal(l) : decimal(l);
	struct span s = span_head(span_skip(l->text, l->next), n);
	if (!span_to_str(s, text, sizeof(text)) || is_name(peek(l, n)))
		return query_lex_fail(l, l->at, e, "this is no number");
	l->number = strtod(text, &end);
	if (*end || !isfinite(l->number))
		return query_lex_fail(l, l->at, e, "this is no number");
	l->word = QUERY_WORD_NUMBER;
	l->next += n;
	return 0;
}

static int
take_quoted(struct query_lex *l, struct err *e)
{
	size_t from = l->next + 2, to = from;
	while (
	    to + 1 < l->text.len && !(l->text.p[to] == ']' && l->text.p[to + 1] == ']'))
		to++;
	if (to + 1 >= l->text.len)
		return query_lex_fail(l, l->at, e, "this [[ is not closed by ]]");
	if (to == from)
		return query_lex_fail(l, l->at, e, "a name is missing between [[ and ]]");
	l->word = QUERY_WORD_QUOTED;
	l->value = span_of(l->text.p + from, to - from);
	l->next = to + 2;
	return 0;
}

static void
take_name(struct query_lex *l)
{
	size_t n = 0;
	while (is_name(peek(l, n)))
		n++;
	l->word = QUERY_WORD_NAME;
	l->value = span_of(l->text.p + l->next, n);
	l->next += n;
}

static int
take_sign(struct query_lex *l, struct err *e)
{
	static const char *const signs[] = {"<>", "<=", ">=", "!=", "<", ">", "=", "(",
	    ")", "[", "]", ",", ".", "*", "+", "-", "/", "%"};
	struct span rest = span_skip(l->text, l->next);
	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		struct span sign = span_str(signs[i]);
		if (!span_starts(rest, sign))
			continue;
		l->word = QUERY_WORD_SIGN;
		l->value = sign;
		l->next += sign.len;
		return 0;
	}
	return query_lex_fail(l, l->at, e, "this sign is not of the language");
}

int
query_lex_next(struct query_lex *l, struct err *e)
{
	while (is_space(peek(l, 0)))
		l->next++;
	l->at = l->next;
	l->value = SPAN_NONE;
	l->word = QUERY_WORD_END;
	if (l->next >= l->text.len)
		return 0;
	uint8_t c = peek(l, 0);
	if (c == '\'' || c == '"')
		return take_string(l, e);
	if (c == '[' && peek(l, 1) == '[')
		return take_quoted(l, e);
	if (is_digit(c) || (c == '.' && is_digit(peek(l, 1))))
		return take_number(l, e);
	if (!is_name(c))
		return take_sign(l, e);
	take_name(l);
	return 0;
}

int
query_lex_init(struct query_lex *l, struct span text, struct arena *a, struct err *e)
{
	*l = (struct query_lex){.text = text, .arena = a};
	return query_lex_next(l, e);
}

/* ---- what parsers ask -------------------------------------------------------------- */

bool
query_lex_is(const struct query_lex *l, const char *sign)
{
	return l->word == QUERY_WORD_SIGN && span_eq_str(l->value, sign);
}

bool
query_lex_is_name(const struct query_lex *l, const char *name)
{
	return l->word == QUERY_WORD_NAME && span_ieq_str(l->value, name);
}

static int
take_if(struct query_lex *l, bool was, bool *ret_was, struct err *e)
{
	if (was && query_lex_next(l, e))
		return -1;
	*ret_was = was;
	return 0;
}

int
query_lex_take(struct query_lex *l, const char *sign, bool *ret_was, struct err *e)
{
	return take_if(l, query_lex_is(l, sign), ret_was, e);
}

int
query_lex_take_name(struct query_lex *l, const char *name, bool *ret_was, struct err *e)
{
	return take_if(l, query_lex_is_name(l, name), ret_was, e);
}

int
query_lex_need(struct query_lex *l, const char *sign, struct err *e)
{
	return query_lex_is(l, sign) ? query_lex_next(l, e) : query_lex_want(l, sign, e);
}

int
query_lex_need_name(struct query_lex *l, const char *name, struct err *e)
{
	return query_lex_is_name(l, name) ? query_lex_next(l, e)
					  : query_lex_want(l, name, e);
}
