/*
 * Hexadecimal.
 */
#include "base/hex.h"

void
hex_write(struct span s, char *out)
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < s.len; i++) {
		*out++ = digits[s.p[i] >> 4];
		*out++ = digits[s.p[i] & 15];
	}
	*out = '\0';
}

void
hex_put(struct buf *b, struct span s)
{
	uint8_t *room = buf_room(b, 2 * s.len);
	if (!room)
		return;
	hex_write(s, (char *)room);
	buf_grew(b, 2 * s.len);
}

static int
nibble(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

int
hex_parse(struct span s, uint8_t *out, size_t n, struct err *e)
{
	if (s.len != 2 * n)
		return err_set(
		    e, ERR_PARSE, "expected %zu hex digits, got %zu", 2 * n, s.len);
	for (size_t i = 0; i < s.len; i++)
		if (nibble(s.p[i]) < 0)
			return err_set(
			    e, ERR_PARSE, "not a hex digit at character %zu", i + 1);
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(nibble(s.p[2 * i]) << 4 | nibble(s.p[2 * i + 1]));
	return 0;
}
