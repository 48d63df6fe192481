/*
 * DER. The writer builds inside out of order: a TLV's length is one byte until der_end
 * knows better and moves the content.
 */
#include "codec/der.h"

#include "codec/utf8.h"

size_t
der_begin(struct buf *b, uint8_t tag)
{
	const uint8_t head[] = {tag, 0};
	buf_put(b, head, sizeof(head));
	return b->len;
}

/* How many bytes a length of n takes, its first included (X.690 8.1.3). */
static size_t
length_size(size_t n)
{
	size_t size = 1;
	if (n < 0x80)
		return 1;
	for (; n; n >>= 8)
		size++;
	return size;
}

static void
put_length(uint8_t *at, size_t n)
{
	size_t size = length_size(n);
	at[0] = (uint8_t)(size == 1 ? n : 0x80 | (size - 1));
	for (size_t i = size - 1; i >= 1; i--, n >>= 8)
		at[i] = (uint8_t)n;
}

void
der_end(struct buf *b, size_t mark)
{
	if (b->bad)
		return;
	size_t n = b->len - mark, more = length_size(n) - 1;
	if (more && !buf_room(b, more))
		return;
	if (more) {
		memmove(b->p + mark + more, b->p + mark, n);
		buf_grew(b, more);
	}
	put_length(b->p + mark - 1, n);
}

/* Room for a whole TLV of n bytes, its head written; NULL where n is too many for a
 * length of one byte, or for b. Most values are this short, and this is a third of the
 * price. */
static uint8_t *
short_tlv(struct buf *b, uint8_t tag, size_t n)
{
	uint8_t *p = n < 0x80 ? buf_room(b, n + 2) : NULL;
	if (!p)
		return NULL;
	buf_grew(b, n + 2);
	p[0] = tag;
	p[1] = (uint8_t)n;
	return p + 2;
}

void
der_put(struct buf *b, uint8_t tag, struct span content)
{
	uint8_t *p = short_tlv(b, tag, content.len);
	if (p) {
		if (content.len)
			memcpy(p, content.p, content.len);
		return;
	}
	size_t mark = der_begin(b, tag);
	buf_put_span(b, content);
	der_end(b, mark);
}

void
der_put_unsigned(struct buf *b, struct span magnitude)
{
	while (magnitude.len && magnitude.p[0] == 0)
		magnitude = span_skip(magnitude, 1);
	size_t sign = magnitude.len == 0 || magnitude.p[0] & 0x80;
	uint8_t *p = short_tlv(b, DER_INTEGER, sign + magnitude.len);
	if (p) {
		p[0] = 0;
		if (magnitude.len)
			memcpy(p + sign, magnitude.p, magnitude.len);
		return;
	}
	size_t mark = der_begin(b, DER_INTEGER);
	if (sign)
		buf_u8(b, 0);
	buf_put_span(b, magnitude);
	der_end(b, mark);
}

void
der_put_int(struct buf *b, int64_t v)
{
	uint8_t bytes[8];
	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)((uint64_t)v >> (56 - 8 * i));
	/* drop bytes that only repeat the sign (X.690 8.3.2) */
	struct span s = span_of(bytes, 8);
	uint8_t fill = v < 0 ? 0xff : 0;
	while (s.len > 1 && s.p[0] == fill && (s.p[1] & 0x80) == (fill & 0x80))
		s = span_skip(s, 1);
	der_put(b, DER_INTEGER, s);
}

void
der_put_bool(struct buf *b, bool v)
{
	der_put(b, DER_BOOLEAN, v ? SPAN_LIT("\xff") : SPAN_LIT("\0"));
}

void
der_put_null(struct buf *b)
{
	der_put(b, DER_NULL, SPAN_NONE);
}

void
der_put_oid(struct buf *b, struct span content)
{
	der_put(b, DER_OID, content);
}

void
der_put_bits(struct buf *b, struct span bytes, uint8_t unused)
{
	size_t mark = der_begin(b, DER_BIT_STRING);
	buf_u8(b, unused);
	buf_put_span(b, bytes);
	der_end(b, mark);
}

void
der_put_named_bits(struct buf *b, uint16_t v)
{
	uint8_t bytes[2] = {0};
	size_t n_bits = 0;
	for (size_t i = 0; i < 16; i++) {
		if (!(v >> i & 1))
			continue;
		bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
		n_bits = i + 1;
	}
	size_t n_bytes = (n_bits + 7) / 8;
	der_put_bits(b, span_of(bytes, n_bytes), (uint8_t)(n_bytes * 8 - n_bits));
}

#define YEAR_1950  INT64_C(-631152000)
#define YEAR_2050  INT64_C(2524608000)
#define YEAR_10000 INT64_C(253402300800)

/*
 * Days since 1970 to a date of the Gregorian calendar and back, by years that begin in
 * March, so that the leap day is a year's last: a list of 100,000 revocations has as many
 * dates, and the C library would take longer for them than for the signature.
 */
static void
date_of_days(int64_t days, unsigned *y, unsigned *m, unsigned *d)
{
	unsigned n = (unsigned)(days + 719468);         /* since 1 March of the year 0 */
	unsigned era = n / 146097, in_era = n % 146097; /* 400 years */
	unsigned year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	unsigned day = in_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * day + 2) / 153; /* 0: March */
	*d = day - (153 * month + 2) / 5 + 1;
	*m = month < 10 ? month + 3 : month - 9;
	*y = era * 400 + year + (*m <= 2);
}

static int64_t
days_of_date(unsigned y, unsigned m, unsigned d)
{
	y -= m <= 2;
	unsigned era = y / 400, year = y % 400;
	unsigned day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return (int64_t)era * 146097 + year * 365 + year / 4 - year / 100 + day - 719468;
}

static char *
put_two(char *out, unsigned v)
{
	out[0] = (char)('0' + v / 10 % 10);
	out[1] = (char)('0' + v % 10);
	return out + 2;
}

/* YYYYMMDDHHMMSSZ; at_s lies in the years 1950 to 9999. */
static void
compact_time(int64_t at_s, char out[15])
{
	unsigned y, m, d;
	int64_t days = at_s / 86400 - (at_s % 86400 < 0);
	unsigned s = (unsigned)(at_s - days * 86400);
	date_of_days(days, &y, &m, &d);
	out = put_two(put_two(out, y / 100), y % 100);
	out = put_two(put_two(out, m), d);
	out = put_two(put_two(put_two(out, s / 3600), s / 60 % 60), s % 60);
	out[0] = 'Z';
}

void
der_put_time(struct buf *b, int64_t at_s)
{
	if (at_s < YEAR_1950 || at_s >= YEAR_2050) {
		der_put_generalized_time(b, at_s);
		return;
	}
	char text[15];
	compact_time(at_s, text);
	der_put(b, DER_UTC_TIME, span_of(text + 2, 13));
}

void
der_put_generalized_time(struct buf *b, int64_t at_s)
{
	if (at_s < YEAR_1950 || at_s >= YEAR_10000) {
		b->bad = true;
		return;
	}
	char text[15];
	compact_time(at_s, text);
	der_put(b, DER_GENERALIZED_TIME, span_of(text, 15));
}

void
der_put_utf8(struct buf *b, struct span text)
{
	if (!utf8_ok(text))
		b->bad = true;
	der_put(b, DER_UTF8_STRING, text);
}

/* X.680 41.4 */
static bool
is_printable(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || span_has(SPAN_LIT(" '()+,-./:=?"), c);
}

void
der_put_printable(struct buf *b, struct span text)
{
	for (size_t i = 0; i < text.len; i++)
		if (!is_printable(text.p[i]))
			b->bad = true;
	der_put(b, DER_PRINTABLE_STRING, text);
}

/* A definite length in its shortest form (X.690 10.1), at most 4 bytes of it. */
static int
take_length(struct cursor *c, size_t *ret, struct err *e)
{
	uint8_t first = cursor_u8(c);
	size_t n = first & 0x7f, len = 0;
	if (first < 0x80) {
		*ret = first;
		return 0;
	}
	if (n == 0 || n > 4)
		return err_set(e, ERR_PARSE, "DER: indefinite or huge length");
	for (size_t i = 0; i < n; i++)
		len = len << 8 | cursor_u8(c);
	if (length_size(len) != n + 1)
		return err_set(e, ERR_PARSE, "DER: length is not minimal");
	*ret = len;
	return 0;
}

int
der_next(struct span *in, struct der_tlv *ret, struct err *e)
{
	struct cursor c = cursor_of(*in);
	struct der_tlv t = {.tag = cursor_u8(&c)};
	size_t len = 0;
	if (c.bad)
		return err_set(e, ERR_PARSE, "DER: ends where a value should begin");
	if ((t.tag & 0x1f) == 0x1f)
		return err_set(e, ERR_PARSE, "DER: tag number over 30");
	if (take_length(&c, &len, e) != 0)
		return -1;
	t.content = cursor_take(&c, len);
	if (c.bad)
		return err_set(e, ERR_PARSE, "DER: a value runs past its end");
	t.whole = span_head(*in, in->len - c.left);
	*in = span_skip(*in, t.whole.len);
	*ret = t;
	return 0;
}

int
der_expect(struct span *in, uint8_t tag, struct span *ret_content, struct err *e)
{
	struct span rest = *in;
	struct der_tlv t;
	if (der_next(&rest, &t, e) != 0)
		return -1;
	if (t.tag != tag)
		return err_set(
		    e, ERR_PARSE, "DER: tag %02x where %02x belongs", t.tag, tag);
	*in = rest;
	*ret_content = t.content;
	return 0;
}

int
der_finish(struct span in, const char *what, struct err *e)
{
	if (in.len)
		return err_set(
		    e, ERR_PARSE, "DER: %zu bytes too many in %s", in.len, what);
	return 0;
}

int
der_expect_unsigned(struct span *in, struct span *ret_magnitude, struct err *e)
{
	struct span rest = *in, v;
	if (der_expect(&rest, DER_INTEGER, &v, e) != 0)
		return -1;
	if (v.len == 0 || v.p[0] & 0x80)
		return err_set(e, ERR_PARSE, "DER: integer is empty or negative");
	if (v.len > 1 && v.p[0] == 0 && !(v.p[1] & 0x80))
		return err_set(e, ERR_PARSE, "DER: integer is not minimal");
	*in = rest;
	*ret_magnitude = v.p[0] == 0 ? span_skip(v, 1) : v;
	return 0;
}

/* n decimal digits off *s, which has them. */
static unsigned
take_digits(struct span *s, size_t n, bool *bad)
{
	unsigned v = 0;
	for (size_t i = 0; i < n; i++) {
		unsigned digit = (unsigned)s->p[i] - '0';
		*bad |= digit > 9;
		v = v * 10 + digit;
	}
	*s = span_skip(*s, n);
	return v;
}

int
der_expect_time(struct span *in, int64_t *ret_s, struct err *e)
{
	struct span rest = *in;
	struct der_tlv t;
	if (der_next(&rest, &t, e) != 0)
		return -1;
	bool utc = t.tag == DER_UTC_TIME, bad = !utc && t.tag != DER_GENERALIZED_TIME;
	if (bad || t.content.len != (utc ? 13 : 15))
		return err_set(e, ERR_PARSE, "DER: no time, or not to the second in UTC");
	struct span s = t.content;
	unsigned y = take_digits(&s, utc ? 2 : 4, &bad);
	if (utc) /* RFC 5280 4.1.2.5.1 */
		y += y < 50 ? 2000 : 1900;
	unsigned m = take_digits(&s, 2, &bad), d = take_digits(&s, 2, &bad);
	unsigned hour = take_digits(&s, 2, &bad), min = take_digits(&s, 2, &bad),
		 sec = take_digits(&s, 2, &bad);
	if (bad || s.p[0] != 'Z' || y < 1950 || m < 1 || m > 12 || d < 1 || hour > 23 ||
	    min > 59 || sec > 59)
		return err_set(e, ERR_PARSE, "DER: no date");
	unsigned y2, m2, d2; /* 31 April comes back as 1 May */
	int64_t days = days_of_date(y, m, d);
	date_of_days(days, &y2, &m2, &d2);
	if (y2 != y || m2 != m || d2 != d)
		return err_set(e, ERR_PARSE, "DER: no date");
	*in = rest;
	*ret_s = days * 86400 + (int64_t)(hour * 3600 + min * 60 + sec);
	return 0;
}

int
der_expect_bits(struct span *in, struct span *ret_bytes, struct err *e)
{
	struct span rest = *in, v;
	if (der_expect(&rest, DER_BIT_STRING, &v, e) != 0)
		return -1;
	if (v.len == 0 || v.p[0] != 0)
		return err_set(e, ERR_PARSE, "DER: bit string is not of whole bytes");
	*in = rest;
	*ret_bytes = span_skip(v, 1);
	return 0;
}
