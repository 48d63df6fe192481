/*
 * AMQP's types by their constructors: the high half of the code says how long a value is,
 * so that one which nobody asked for is skipped by its size.
 */
#include "codec/amqp.h"

enum {
	C_DESCRIBED = 0x00,
	C_NULL = 0x40,
	C_TRUE = 0x41,
	C_FALSE = 0x42,
	C_UINT0 = 0x43,
	C_ULONG0 = 0x44,
	C_LIST0 = 0x45,
	C_UBYTE = 0x50,
	C_BYTE = 0x51,
	C_SMALL_UINT = 0x52,
	C_SMALL_ULONG = 0x53,
	C_SMALL_INT = 0x54,
	C_SMALL_LONG = 0x55,
	C_BOOL = 0x56,
	C_USHORT = 0x60,
	C_SHORT = 0x61,
	C_UINT = 0x70,
	C_INT = 0x71,
	C_ULONG = 0x80,
	C_LONG = 0x81,
	C_TIME = 0x83,
	C_BINARY8 = 0xa0,
	C_TEXT8 = 0xa1,
	C_SYMBOL8 = 0xa3,
	C_BINARY = 0xb0,
	C_TEXT = 0xb1,
	C_SYMBOL = 0xb3,
	C_LIST8 = 0xc0,
	C_MAP8 = 0xc1,
	C_LIST = 0xd0,
	C_MAP = 0xd1,
	C_ARRAY = 0xf0,
};

/* ---- reading ----------------------------------------------------------------------- */

/* The bytes behind a constructor, by the width that its high half names (1.2). */
static struct span
take_body(struct cursor *c, uint8_t code)
{
	static const uint8_t fixed[16] = {[5] = 1, [6] = 2, [7] = 4, [8] = 8, [9] = 16};
	unsigned half = code >> 4;
	if (half == 4)
		return span_of(c->p, 0);
	if (half >= 5 && half <= 9)
		return cursor_take(c, fixed[half]);
	if (half < 10) {
		c->bad = true;
		return SPAN_NONE;
	}
	return cursor_take(c, half & 1 ? cursor_u32(c) : cursor_u8(c));
}

/* Of a list or map: without the count, which says nothing that its end does not. */
static struct span
items_of(struct cursor *c, uint8_t code, struct span body)
{
	size_t count = (code >> 4) & 1 ? 4 : 1;
	if (body.len < count) {
		c->bad = true;
		return SPAN_NONE;
	}
	return span_skip(body, count);
}

static uint64_t
big_endian(struct span s)
{
	uint64_t v = 0;
	for (size_t i = 0; i < s.len; i++)
		v = v << 8 | s.p[i];
	return v;
}

static int64_t
sign_extend(struct span s)
{
	uint64_t v = big_endian(s);
	unsigned unused = (unsigned)(64 - 8 * s.len);
	return s.len ? (int64_t)(v << unused) >> unused : 0;
}

static void
set_number(struct amqp_value *v, enum amqp_kind kind, int64_t n)
{
	v->kind = kind;
	v->number = n;
}

static void
set_unsigned(struct amqp_value *v, struct span body)
{
	uint64_t n = big_endian(body);
	if (n <= INT64_MAX)
		set_number(v, AMQP_NUMBER, (int64_t)n);
}

static void
set_bytes(struct amqp_value *v, enum amqp_kind kind, struct span bytes)
{
	v->kind = kind;
	v->bytes = bytes;
}

static void
set_plain(struct cursor *c, uint8_t code, struct amqp_value *v)
{
	struct span body = take_body(c, code);
	v->kind = AMQP_OTHER;
	if (c->bad)
		return;
	switch (code) {
	case C_NULL:
		v->kind = AMQP_NULL;
		break;
	case C_TRUE:
		set_number(v, AMQP_BOOL, 1);
		break;
	case C_FALSE:
		set_number(v, AMQP_BOOL, 0);
		break;
	case C_BOOL:
		set_number(v, AMQP_BOOL, body.p[0] != 0);
		break;
	case C_UINT0:
	case C_ULONG0:
	case C_UBYTE:
	case C_USHORT:
	case C_UINT:
	case C_SMALL_UINT:
	case C_ULONG:
	case C_SMALL_ULONG:
		set_unsigned(v, body);
		break;
	case C_BYTE:
	case C_SHORT:
	case C_INT:
	case C_SMALL_INT:
	case C_LONG:
	case C_SMALL_LONG:
		set_number(v, AMQP_NUMBER, sign_extend(body));
		break;
	case C_TIME:
		set_number(v, AMQP_TIME, sign_extend(body));
		break;
	case C_TEXT8:
	case C_TEXT:
		set_bytes(v, AMQP_TEXT, body);
		break;
	case C_SYMBOL8:
	case C_SYMBOL:
		set_bytes(v, AMQP_SYMBOL, body);
		break;
	case C_BINARY8:
	case C_BINARY:
		set_bytes(v, AMQP_BINARY, body);
		break;
	case C_LIST0:
		set_bytes(v, AMQP_LIST, body);
		break;
	case C_LIST8:
	case C_LIST:
		set_bytes(v, AMQP_LIST, items_of(c, code, body));
		break;
	case C_MAP8:
	case C_MAP:
		set_bytes(v, AMQP_MAP, items_of(c, code, body));
		break;
	}
}

/* A descriptor is a number or a symbol here; others name nothing that we know. */
static void
set_descriptor(struct cursor *c, struct amqp_value *v)
{
	struct amqp_value d = {0};
	uint8_t code = cursor_u8(c);
	if (code == C_DESCRIBED) {
		c->bad = true;
		return;
	}
	set_plain(c, code, &d);
	v->described = true;
	v->descriptor = d.kind == AMQP_NUMBER ? (uint64_t)d.number : 0;
	v->symbol = d.kind == AMQP_SYMBOL ? d.bytes : SPAN_NONE;
}

bool
amqp_next(struct cursor *c, struct amqp_value *ret)
{
	const uint8_t *begin = c->p;
	if (c->bad || !c->left)
		return false;
	*ret = (struct amqp_value){.kind = AMQP_OTHER};
	uint8_t code = cursor_u8(c);
	if (code == C_DESCRIBED) {
		set_descriptor(c, ret);
		code = cursor_u8(c);
	}
	if (!c->bad && code == C_DESCRIBED)
		c->bad = true;
	if (!c->bad)
		set_plain(c, code, ret);
	ret->raw = span_of(begin, (size_t)(c->p - begin));
	return !c->bad;
}

static const struct amqp_value nothing = {.kind = AMQP_NULL};

struct amqp_value
amqp_at(const struct amqp_value *v, unsigned n)
{
	struct amqp_value item;
	struct cursor c = cursor_of(v->bytes);
	if (v->kind != AMQP_LIST)
		return nothing;
	while (amqp_next(&c, &item))
		if (!n--)
			return item;
	return nothing;
}

struct amqp_value
amqp_get(const struct amqp_value *map, const char *key)
{
	struct amqp_value k, v;
	struct cursor c = cursor_of(map->bytes);
	if (map->kind != AMQP_MAP)
		return nothing;
	while (amqp_next(&c, &k) && amqp_next(&c, &v))
		if ((k.kind == AMQP_TEXT || k.kind == AMQP_SYMBOL) &&
		    span_eq_str(k.bytes, key))
			return v;
	return nothing;
}

struct span
amqp_bytes(const struct amqp_value *v)
{
	bool has =
	    v->kind == AMQP_TEXT || v->kind == AMQP_SYMBOL || v->kind == AMQP_BINARY;
	return has ? v->bytes : SPAN_NONE;
}

int64_t
amqp_number(const struct amqp_value *v, int64_t otherwise)
{
	return v->kind == AMQP_NUMBER || v->kind == AMQP_TIME || v->kind == AMQP_BOOL
		   ? v->number
		   : otherwise;
}

/* ---- writing ----------------------------------------------------------------------- */

void
amqp_put_null(struct buf *b)
{
	buf_u8(b, C_NULL);
}

void
amqp_put_bool(struct buf *b, bool v)
{
	buf_u8(b, v ? C_TRUE : C_FALSE);
}

void
amqp_put_ubyte(struct buf *b, uint8_t v)
{
	buf_u8(b, C_UBYTE);
	buf_u8(b, v);
}

void
amqp_put_ushort(struct buf *b, uint16_t v)
{
	buf_u8(b, C_USHORT);
	buf_u16(b, v);
}

void
amqp_put_uint(struct buf *b, uint32_t v)
{
	buf_u8(b, C_UINT);
	buf_u32(b, v);
}

void
amqp_put_ulong(struct buf *b, uint64_t v)
{
	buf_u8(b, C_ULONG);
	buf_u64(b, v);
}

void
amqp_put_int(struct buf *b, int32_t v)
{
	buf_u8(b, C_INT);
	buf_u32(b, (uint32_t)v);
}

void
amqp_put_long(struct buf *b, int64_t v)
{
	buf_u8(b, C_LONG);
	buf_u64(b, (uint64_t)v);
}

void
amqp_put_time(struct buf *b, int64_t ms)
{
	buf_u8(b, C_TIME);
	buf_u64(b, (uint64_t)ms);
}

static void
put_bytes(struct buf *b, uint8_t short_code, uint8_t long_code, struct span s)
{
	buf_u8(b, s.len <= UINT8_MAX ? short_code : long_code);
	if (s.len <= UINT8_MAX)
		buf_u8(b, (uint8_t)s.len);
	else
		buf_u32(b, (uint32_t)s.len);
	buf_put_span(b, s);
}

void
amqp_put_text(struct buf *b, struct span s)
{
	put_bytes(b, C_TEXT8, C_TEXT, s);
}

void
amqp_put_symbol(struct buf *b, struct span s)
{
	put_bytes(b, C_SYMBOL8, C_SYMBOL, s);
}

void
amqp_put_binary(struct buf *b, struct span s)
{
	put_bytes(b, C_BINARY8, C_BINARY, s);
}

void
amqp_put_descriptor(struct buf *b, uint8_t code)
{
	buf_u8(b, C_DESCRIBED);
	buf_u8(b, C_SMALL_ULONG);
	buf_u8(b, code);
}

/* The place of a compound's size: always the long form, whose size is filled in later. */
static size_t
open_compound(struct buf *b, uint8_t code)
{
	buf_u8(b, code);
	size_t at = b->len;
	buf_u32(b, 0);
	buf_u32(b, 0);
	return at;
}

size_t
amqp_open_list(struct buf *b)
{
	return open_compound(b, C_LIST);
}

size_t
amqp_open_map(struct buf *b)
{
	return open_compound(b, C_MAP);
}

size_t
amqp_open_texts(struct buf *b)
{
	size_t at = open_compound(b, C_ARRAY);
	buf_u8(b, C_TEXT);
	return at;
}

size_t
amqp_open_symbols(struct buf *b)
{
	size_t at = open_compound(b, C_ARRAY);
	buf_u8(b, C_SYMBOL);
	return at;
}

void
amqp_put_item(struct buf *b, struct span s)
{
	buf_u32(b, (uint32_t)s.len);
	buf_put_span(b, s);
}

static void
fill_in(struct buf *b, size_t at, uint32_t v)
{
	for (unsigned i = 0; i < 4; i++)
		b->p[at + i] = (uint8_t)(v >> (24 - 8 * i));
}

void
amqp_close(struct buf *b, size_t open, uint32_t n)
{
	if (b->bad)
		return;
	fill_in(b, open, (uint32_t)(b->len - open - 4));
	fill_in(b, open + 4, n);
}

/* ---- frames ------------------------------------------------------------------------ */

int
amqp_frame_len(struct span bytes, size_t max, size_t *ret_len, struct err *e)
{
	struct cursor c = cursor_of(bytes);
	uint32_t size = cursor_u32(&c);
	if (c.bad) {
		*ret_len = 0;
		return 0;
	}
	if (size < AMQP_FRAME_HEAD)
		return err_set(e, ERR_PARSE, "a frame of %u bytes", (unsigned)size);
	if (size > max)
		return err_set(e, ERR_LIMIT, "a frame of %u bytes, at most %zu",
		    (unsigned)size, max);
	*ret_len = size <= bytes.len ? size : 0;
	return 0;
}

int
amqp_frame_parse(struct span bytes, struct amqp_frame *ret, struct err *e)
{
	struct cursor c = cursor_of(bytes);
	struct amqp_frame f = {0};
	cursor_u32(&c);
	uint8_t doff = cursor_u8(&c);
	f.type = cursor_u8(&c);
	f.channel = cursor_u16(&c);
	if (c.bad || doff < 2)
		return err_set(e, ERR_PARSE, "a frame's head is malformed");
	cursor_take(&c, (size_t)doff * 4 - AMQP_FRAME_HEAD);
	if (!c.bad && c.left && amqp_next(&c, &f.performative) &&
	    (!f.performative.described || f.performative.kind != AMQP_LIST))
		return err_set(e, ERR_PARSE, "a frame without a performative");
	if (c.bad)
		return err_set(e, ERR_PARSE, "a frame's performative is malformed");
	f.payload = span_of(c.p, c.left);
	*ret = f;
	return 0;
}

size_t
amqp_frame_begin(struct buf *b, uint8_t type, uint16_t channel)
{
	size_t at = b->len;
	buf_u32(b, 0);
	buf_u8(b, 2);
	buf_u8(b, type);
	buf_u16(b, channel);
	return at;
}

void
amqp_frame_end(struct buf *b, size_t begun)
{
	if (!b->bad)
		fill_in(b, begun, (uint32_t)(b->len - begun));
}
