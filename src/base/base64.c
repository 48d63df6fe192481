/*
 * Base64.
 */
#include "base/base64.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static void
put(struct buf *b, struct span s, const char *alphabet)
{
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

void
base64_put(struct buf *b, struct span s)
{
	put(b, s, LETTERS "+/");
}

void
base64_url_put(struct buf *b, struct span s)
{
	struct buf text = BUF_INIT(BASE64_LEN(s.len));
	text.secret = b->secret;
	put(&text, s, LETTERS "-_");
	buf_put_span(b, span_head(buf_span(&text), span_find(buf_span(&text), '=')));
	buf_done(&text);
}

/* What differs between the two alphabets. */
struct form {
	char c62, c63;
	bool folded, padded;
};

static int
value(uint8_t c, const struct form *f)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == (uint8_t)f->c62)
		return 62;
	return c == (uint8_t)f->c63 ? 63 : -1;
}

static bool
is_white(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static int
parse(struct span s, const struct form *f, struct buf *out, struct err *e)
{
	uint32_t acc = 0;
	size_t chars = 0, pads = 0;
	for (size_t i = 0; i < s.len; i++) {
		if (f->folded && is_white(s.p[i]))
			continue;
		int v = value(s.p[i], f);
		if (s.p[i] == '=' && f->padded && pads < 2) {
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
	if (tail == 1 || (f->padded && pads != (4 - tail) % 4))
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
	static const struct form f = {'+', '/', false, true};
	return parse(s, &f, out, e);
}

int
base64_parse_folded(struct span s, struct buf *out, struct err *e)
{
	static const struct form f = {'+', '/', true, true};
	return parse(s, &f, out, e);
}

int
base64_url_parse(struct span s, struct buf *out, struct err *e)
{
	static const struct form f = {'-', '_', false, false};
	return parse(s, &f, out, e);
}
