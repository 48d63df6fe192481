/*
 * Base64.
 */
#include "base/base64.h"

void
base64_put(struct buf *b, struct span s)
{
	static const char alphabet[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t out_len = BASE64_LEN(s.len);
	uint8_t *out = buf_room(b, out_len);
	if (!out)
		return;
	for (size_t i = 0; i < s.len; i += 3) {
		size_t n = s.len - i < 3 ? s.len - i : 3;
		uint32_t v = (uint32_t)s.p[i] << 16;
		v |= n > 1 ? (uint32_t)s.p[i + 1] << 8 : 0;
		v |= n > 2 ? s.p[i + 2] : 0;
		*out++ = (uint8_t)alphabet[v >> 18];
		*out++ = (uint8_t)alphabet[v >> 12 & 63];
		*out++ = n > 1 ? (uint8_t)alphabet[v >> 6 & 63] : '=';
		*out++ = n > 2 ? (uint8_t)alphabet[v & 63] : '=';
	}
	buf_grew(b, out_len);
}

static int
value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

static bool
is_white(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
parse(struct span s, bool folded, struct buf *out, struct err *e)
{
	uint32_t acc = 0;
	size_t chars = 0, pads = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (folded && is_white(s.p[i]))
			continue;
		int v = value(s.p[i]);
		if (s.p[i] == '=' && pads < 2) {
			pads++;
			continue;
		}
		if (v < 0 || pads)
			return err_set(
			    e, ERR_PARSE, "not base64 at character %zu", i + 1);
		acc = acc << 6 | (uint32_t)v;
		if (++chars % 4)
			continue;
		buf_u8(out, (uint8_t)(acc >> 16));
		buf_u8(out, (uint8_t)(acc >> 8));
		buf_u8(out, (uint8_t)acc);
		acc = 0;
	}
	size_t tail = chars % 4;
	if (tail == 1 || pads != (4 - tail) % 4)
		return err_set(e, ERR_PARSE, "base64 ends early or is padded wrongly");
	if ((tail == 2 && acc & 15) || (tail == 3 && acc & 3))
		return err_set(e, ERR_PARSE, "base64 has bits past its end");
	if (tail == 2)
		buf_u8(out, (uint8_t)(acc >> 4));
	if (tail == 3) {
		buf_u8(out, (uint8_t)(acc >> 10));
		buf_u8(out, (uint8_t)(acc >> 2));
	}
	return buf_check(out, "base64", e);
}

int
base64_parse(struct span s, struct buf *out, struct err *e)
{
	return parse(s, false, out, e);
}

int
base64_parse_folded(struct span s, struct buf *out, struct err *e)
{
	return parse(s, true, out, e);
}
