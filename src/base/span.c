/*
 * Spans and the bounded cursor.
 */
#include "base/span.h"

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

bool
span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

bool
span_eq_str(struct span a, const char *s)
{
	return span_eq(a, span_str(s));
}

bool
span_ieq(struct span a, struct span b)
{
	return a.len == b.len && span_istarts(a, b);
}

bool
span_ieq_str(struct span a, const char *s)
{
	return span_ieq(a, span_str(s));
}

bool
span_starts(struct span s, struct span prefix)
{
	return s.len >= prefix.len && span_eq(span_head(s, prefix.len), prefix);
}

bool
span_istarts(struct span s, struct span prefix)
{
	if (s.len < prefix.len)
		return false;
	for (size_t i = 0; i < prefix.len; i++)
		if (lower(s.p[i]) != lower(prefix.p[i]))
			return false;
	return true;
}

bool
span_ends(struct span s, struct span suffix)
{
	return s.len >= suffix.len && span_eq(span_skip(s, s.len - suffix.len), suffix);
}

size_t
span_find(struct span s, uint8_t c)
{
	const uint8_t *hit = s.len ? memchr(s.p, c, s.len) : NULL;
	return hit ? (size_t)(hit - s.p) : s.len;
}

size_t
span_rfind(struct span s, uint8_t c)
{
	for (size_t i = s.len; i > 0; i--)
		if (s.p[i - 1] == c)
			return i - 1;
	return s.len;
}

bool
span_has(struct span s, uint8_t c)
{
	return span_find(s, c) < s.len;
}

struct span
span_skip(struct span s, size_t n)
{
	if (n > s.len)
		n = s.len;
	return (struct span){s.p ? s.p + n : NULL, s.len - n};
}

struct span
span_head(struct span s, size_t n)
{
	return (struct span){s.p, n < s.len ? n : s.len};
}

static bool
is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span
span_trim(struct span s)
{
	while (s.len && is_space(s.p[0]))
		s = span_skip(s, 1);
	while (s.len && is_space(s.p[s.len - 1]))
		s.len--;
	return s;
}

struct span
span_split(struct span *rest, uint8_t sep)
{
	size_t at = span_find(*rest, sep);
	struct span head = span_head(*rest, at);
	*rest = at < rest->len ? span_skip(*rest, at + 1) : SPAN_NONE;
	return head;
}

bool
span_to_str(struct span s, char *dst, size_t size)
{
	if (size)
		dst[0] = '\0';
	if (s.len >= size || span_has(s, 0))
		return false;
	if (s.len)
		memcpy(dst, s.p, s.len);
	dst[s.len] = '\0';
	return true;
}

struct span
cursor_take(struct cursor *c, size_t n)
{
	if (c->bad || n > c->left) {
		c->bad = true;
		return SPAN_NONE;
	}
	struct span s = {c->p, n};
	c->p += n;
	c->left -= n;
	return s;
}

static uint64_t
big_endian(struct cursor *c, size_t n)
{
	struct span s = cursor_take(c, n);
	uint64_t v = 0;
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.p[i];
	return v;
}

uint8_t
cursor_u8(struct cursor *c)
{
	return (uint8_t)big_endian(c, 1);
}

uint16_t
cursor_u16(struct cursor *c)
{
	return (uint16_t)big_endian(c, 2);
}

uint32_t
cursor_u32(struct cursor *c)
{
	return (uint32_t)big_endian(c, 4);
}

uint64_t
cursor_u64(struct cursor *c)
{
	return big_endian(c, 8);
}

bool
cursor_done(const struct cursor *c)
{
	return !c->bad && c->left == 0;
}
