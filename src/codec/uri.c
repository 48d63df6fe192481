/*
 * Percent-encoding and what it is used in.
 */
#include "codec/uri.h"

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at the start of s stands for, or -1. */
static int
escape(struct span s)
{
	if (s.len < 3 || s.p[0] != '%' || hex_value(s.p[1]) < 0 || hex_value(s.p[2]) < 0)
		return -1;
	return hex_value(s.p[1]) << 4 | hex_value(s.p[2]);
}

void
uri_decode_lenient(struct span s, struct buf *out)
{
	while (s.len) {
		int c = escape(s);
		buf_u8(out, c < 0 ? s.p[0] : (uint8_t)c);
		s = span_skip(s, c < 0 ? 1 : 3);
	}
}

/* 0 where s decodes strictly. */
static int
check_escapes(struct span s, struct err *e)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == 0)
			return err_set(e, ERR_PARSE, "NUL at character %zu", i + 1);
		if (s.p[i] != '%')
			continue;
		if (escape(span_skip(s, i)) <= 0)
			return err_set(
			    e, ERR_PARSE, "bad percent-encoding at character %zu", i + 1);
	}
	return 0;
}

int
uri_decode(struct span s, struct buf *out, struct err *e)
{
	if (check_escapes(s, e) != 0)
		return -1;
	uri_decode_lenient(s, out);
	return buf_check(out, "percent-encoded text", e);
}

/* RFC 3986 2.3 */
static bool
is_unreserved(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	       (c >= 'a' && c <= 'z') || c == '-' || c == '.' || c == '_' || c == '~';
}

void
uri_encode(struct buf *out, struct span s)
{
	static const char digits[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i];
		if (is_unreserved(c)) {
			buf_u8(out, c);
			continue;
		}
		buf_u8(out, '%');
		buf_u8(out, (uint8_t)digits[c >> 4]);
		buf_u8(out, (uint8_t)digits[c & 15]);
	}
}

/* What stands behind scheme and authority; "/" where nothing does (RFC 9112 3.2.2). */
static struct span
drop_authority(struct span target)
{
	static const char *const schemes[] = {"http://", "https://"};
	for (size_t i = 0; i < 2; i++) {
		struct span scheme = span_str(schemes[i]);
		if (!span_istarts(target, scheme))
			continue;
		struct span rest = span_skip(target, scheme.len);
		rest = span_skip(rest, span_find(rest, '/'));
		return rest.len ? rest : SPAN_LIT("/");
	}
	return target;
}

int
uri_target_parse(struct span target, struct uri_target *ret, struct err *e)
{
	for (size_t i = 0; i < target.len; i++)
		if (target.p[i] <= ' ' || target.p[i] >= 0x7f || target.p[i] == '#')
			return err_set(e, ERR_PARSE,
			    "character %zu has no place in a request target", i + 1);
	struct span query = drop_authority(target);
	struct span path = span_split(&query, '?');
	if (path.len == 0 || path.p[0] != '/')
		return err_set(
		    e, ERR_PARSE, "request target does not begin with a slash");
	*ret = (struct uri_target){path, query};
	return 0;
}

bool
uri_pair_next(struct span *rest, struct uri_pair *ret)
{
	while (rest->p) {
		struct span pair = span_split(rest, '&');
		if (pair.len == 0)
			continue;
		ret->has_value = span_has(pair, '=');
		ret->key = span_split(&pair, '=');
		ret->value = pair;
		return true;
	}
	return false;
}

/* s decoded into a, terminated. */
static int
decode_into(struct span s, struct arena *a, struct span *ret, struct err *e)
{
	if (check_escapes(s, e) != 0)
		return -1;
	if (arena_left(a) <= s.len)
		return err_set(e, ERR_LIMIT, "percent-encoded text is too long");
	uint8_t *p = arena_alloc(a, s.len + 1);
	size_t n = 0;
	while (s.len) {
		int c = escape(s);
		p[n++] = c < 0 ? s.p[0] : (uint8_t)c;
		s = span_skip(s, c < 0 ? 1 : 3);
	}
	*ret = span_of(p, n);
	return 0;
}

/* True where s, decoded leniently, is text. */
static bool
decodes_to(struct span s, struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		int c = escape(s);
		if (s.len == 0 || (c < 0 ? s.p[0] : c) != text.p[i])
			return false;
		s = span_skip(s, c < 0 ? 1 : 3);
	}
	return s.len == 0;
}

int
uri_query_get(
    struct span query, const char *key, struct arena *a, struct span *ret, struct err *e)
{
	struct uri_pair pair, hit;
	bool found = false;
	while (uri_pair_next(&query, &pair)) {
		if (!decodes_to(pair.key, span_str(key)))
			continue;
		if (found)
			return err_set(e, ERR_PARSE, "query holds %s twice", key);
		found = true;
		hit = pair;
	}
	if (!found)
		return 0;
	if (decode_into(hit.value, a, ret, e) != 0)
		return err_wrap(e, "query parameter %s", key);
	return 0;
}

int
uri_path_parse(
    struct span path, bool collapse, struct arena *a, struct uri_path *ret, struct err *e)
{
	if (path.len == 0 || path.p[0] != '/')
		return err_set(e, ERR_PARSE, "path does not begin with a slash");
	struct uri_path out = {.n = 0};
	struct span rest = span_skip(path, 1);
	if (rest.len == 0)
		rest = SPAN_NONE;
	if (rest.len && rest.p[rest.len - 1] == '/')
		rest.len--;
	while (rest.p) {
		struct span seg = span_split(&rest, '/');
		if (seg.len == 0 && collapse)
			continue;
		if (seg.len == 0)
			return err_set(e, ERR_PARSE, "path has an empty segment");
		if (out.n == URI_SEGMENTS_MAX)
			return err_set(e, ERR_LIMIT, "path has too many segments");
		if (decode_into(seg, a, &out.seg[out.n], e) != 0)
			return err_wrap(e, "path segment %zu", out.n + 1);
		out.n++;
	}
	*ret = out;
	return 0;
}
