/*
 * UTF-8, by the table of well-formed sequences (Unicode 3.9, table 3-7).
 */
#include "codec/utf8.h"

/* Bytes that must follow a lead byte, and the bounds of the first of them; 0 for no lead.
 */
static int
lead(uint8_t c, uint8_t *lo, uint8_t *hi)
{
	*lo = 0x80;
	*hi = 0xbf;
	if (c >= 0xc2 && c <= 0xdf)
		return 1;
	if (c >= 0xe0 && c <= 0xef) {
		*lo = c == 0xe0 ? 0xa0 : 0x80; /* overlong */
		*hi = c == 0xed ? 0x9f : 0xbf; /* surrogates */
		return 2;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		*lo = c == 0xf0 ? 0x90 : 0x80; /* overlong */
		*hi = c == 0xf4 ? 0x8f : 0xbf; /* past U+10FFFF */
		return 3;
	}
	return 0;
}

bool
utf8_ok(struct span s)
{
	size_t i = 0;
	while (i < s.len) {
		uint8_t lo, hi, c = s.p[i++];
		if (c < 0x80)
			continue;
		int more = lead(c, &lo, &hi);
		if (!more || s.len - i < (size_t)more)
			return false;
		for (; more; more--, i++, lo = 0x80, hi = 0xbf)
			if (s.p[i] < lo || s.p[i] > hi)
				return false;
	}
	return true;
}

bool
utf8_ok_no_nul(struct span s)
{
	return !span_has(s, 0) && utf8_ok(s);
}
