/*
 * IP addresses in text.
 */
#include "codec/addr.h"

#include "base/num.h"

enum { V4_BITS = 32, V4_AT = ADDR_LEN - 4, GROUPS = 8 };

/* Four numbers without leading zeros, which some readers take for octal. */
static bool
parse_v4(struct span text, uint8_t out[4])
{
	struct span rest = text;
	for (int i = 0; i < 4; i++) {
		struct span part = span_split(&rest, '.');
		int64_t n;
		if ((part.len > 1 && part.p[0] == '0') || !num_ok(part, 0, 255, &n) ||
		    (i < 3) != (rest.p != NULL))
			return false;
		out[i] = (uint8_t)n;
	}
	return true;
}

static int
hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
parse_group(struct span text, uint8_t out[2])
{
	unsigned v = 0;
	if (text.len < 1 || text.len > 4)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		int digit = hex_value(text.p[i]);
		if (digit < 0)
			return false;
		v = v << 4 | (unsigned)digit;
	}
	out[0] = (uint8_t)(v >> 8);
	out[1] = (uint8_t)v;
	return true;
}

/* Groups between colons, the last perhaps an IPv4 address: how many bytes, -1 where it is
 * none. An empty text is none of them. */
static int
parse_groups(struct span text, uint8_t out[ADDR_LEN])
{
	int n = 0;
	if (!text.len)
		return 0;
	for (struct span rest = text; rest.p;) {
		struct span part = span_split(&rest, ':');
		if (!rest.p && span_has(part, '.'))
			return n <= V4_AT && parse_v4(part, out + n) ? n + 4 : -1;
		if (n == 2 * GROUPS || !parse_group(part, out + n))
			return -1;
		n += 2;
	}
	return n;
}

/* Where "::" begins, or text.len. */
static size_t
find_gap(struct span text)
{
	for (size_t i = 0; i + 1 < text.len; i++)
		if (text.p[i] == ':' && text.p[i + 1] == ':')
			return i;
	return text.len;
}

static bool
parse_v6(struct span text, uint8_t out[ADDR_LEN])
{
	uint8_t head[ADDR_LEN] = {0}, tail[ADDR_LEN] = {0};
	size_t gap = find_gap(text);
	int n = parse_groups(span_head(text, gap), head);
	if (gap == text.len) {
		memcpy(out, head, ADDR_LEN);
		return n == ADDR_LEN;
	}
	int m = parse_groups(span_skip(text, gap + 2), tail);
	/* the gap stands for one group at least; an IPv4 address ends the text */
	if (n < 0 || m < 0 || n + m > ADDR_LEN - 2 || span_has(span_head(text, gap), '.'))
		return false;
	memcpy(out, head, (size_t)n);
	memset(out + n, 0, (size_t)(ADDR_LEN - n - m));
	memcpy(out + ADDR_LEN - m, tail, (size_t)m);
	return true;
}

static void
map_v4(uint8_t ip[ADDR_LEN])
{
	memset(ip, 0, V4_AT);
	ip[V4_AT - 1] = ip[V4_AT - 2] = 0xff;
}

int
addr_parse(struct span text, uint8_t ret[ADDR_LEN], struct err *e)
{
	uint8_t ip[ADDR_LEN];
	map_v4(ip);
	if (!parse_v4(text, ip + V4_AT) && !parse_v6(text, ip))
		return err_set(e, ERR_PARSE, "'%.*s' is no IP address",
		    SPAN_FMT(span_head(text, 60)));
	memcpy(ret, ip, ADDR_LEN);
	return 0;
}

int
addr_parse_peer(struct span text, uint8_t ret[ADDR_LEN], struct err *e)
{
	struct span host = span_head(text, span_rfind(text, ':'));
	if (host.len > 2 && host.p[0] == '[' && host.p[host.len - 1] == ']')
		host = span_head(span_skip(host, 1), host.len - 2);
	return addr_parse(host, ret, e);
}

static bool
has_bits_behind(const struct addr_prefix *p)
{
	for (unsigned i = p->bits; i < ADDR_BITS; i++)
		if (p->ip[i / 8] & 0x80 >> i % 8)
			return true;
	return false;
}

int
addr_parse_prefix(struct span text, struct addr_prefix *ret, struct err *e)
{
	struct addr_prefix p;
	struct span rest = text;
	struct span host = span_split(&rest, '/');
	int64_t most = span_has(host, ':') ? ADDR_BITS : V4_BITS, bits;
	if (addr_parse(host, p.ip, e))
		return -1;
	if (!rest.p || !num_ok(rest, 0, most, &bits))
		return err_set(e, ERR_PARSE, "'%.*s' is no prefix: want ADDRESS/BITS",
		    SPAN_FMT(span_head(text, 60)));
	p.bits = (unsigned)(ADDR_BITS - most + bits);
	if (has_bits_behind(&p))
		return err_set(e, ERR_PARSE, "'%.*s': bits are set behind the prefix",
		    SPAN_FMT(span_head(text, 60)));
	*ret = p;
	return 0;
}

bool
addr_within(const uint8_t ip[ADDR_LEN], const struct addr_prefix *p)
{
	unsigned whole = p->bits / 8, rest = p->bits % 8;
	if (memcmp(ip, p->ip, whole) != 0)
		return false;
	return !rest || ((ip[whole] ^ p->ip[whole]) & (0xff00 >> rest & 0xff)) == 0;
}
