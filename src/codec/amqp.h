#ifndef CODEC_AMQP_H
#define CODEC_AMQP_H
/*
 * The types of AMQP 1.0 (OASIS, part 1) and the frames they travel in (part 2, 2.3):
 * values out of bytes and into them. What stands inside a list or map is read only when
 * asked for, so nothing here recurses and nothing is allocated.
 */
#include "base/buf.h"

enum amqp_kind {
	AMQP_NULL,
	AMQP_BOOL,
	AMQP_NUMBER, /* every integer that an int64_t holds */
	AMQP_TIME,   /* milliseconds since 1970 */
	AMQP_TEXT,   /* string */
	AMQP_SYMBOL,
	AMQP_BINARY,
	AMQP_LIST,
	AMQP_MAP,  /* keys and values by turns */
	AMQP_OTHER /* arrays, floats, UUIDs ...: skipped, or passed on raw */
};

struct amqp_value {
	enum amqp_kind kind;
	bool described; /* by descriptor, as a number; 0: by a symbol, in symbol */
	uint64_t descriptor;
	struct span symbol;
	struct span raw;   /* all of it, with its descriptor */
	struct span bytes; /* TEXT, SYMBOL, BINARY; of LIST and MAP what stands in it */
	int64_t number;    /* BOOL, NUMBER, TIME */
};

/* The next value at the cursor; false at its end, and where it is malformed (then
 * c->bad).
 */
must_check bool amqp_next(struct cursor *c, struct amqp_value *ret);
/* The n-th value of a list, or the value of a key (a string or symbol) of a map;
 * AMQP_NULL where it is absent, or v is no such thing. */
struct amqp_value amqp_at(const struct amqp_value *v, unsigned n);
struct amqp_value amqp_get(const struct amqp_value *map, const char *key);
/* Bytes of a string, symbol or binary; empty for anything else. */
struct span amqp_bytes(const struct amqp_value *v);
/* A number, or that instead. */
int64_t amqp_number(const struct amqp_value *v, int64_t otherwise);

/* ---- writing ---- */

void amqp_put_null(struct buf *b);
void amqp_put_bool(struct buf *b, bool v);
void amqp_put_ubyte(struct buf *b, uint8_t v);
void amqp_put_ushort(struct buf *b, uint16_t v);
void amqp_put_uint(struct buf *b, uint32_t v);
void amqp_put_ulong(struct buf *b, uint64_t v);
void amqp_put_int(struct buf *b, int32_t v);
void amqp_put_long(struct buf *b, int64_t v);
void amqp_put_time(struct buf *b, int64_t ms);
void amqp_put_text(struct buf *b, struct span s);
void amqp_put_symbol(struct buf *b, struct span s);
void amqp_put_binary(struct buf *b, struct span s);
/* What begins a described value; the value follows. */
void amqp_put_descriptor(struct buf *b, uint8_t code);
/* An open list, map, or array of strings or symbols: what is put between belongs to it.
 * n: of values (of a map keys count too). Inside an array only amqp_put_item. */
size_t amqp_open_list(struct buf *b);
size_t amqp_open_map(struct buf *b);
size_t amqp_open_texts(struct buf *b);
size_t amqp_open_symbols(struct buf *b);
void amqp_put_item(struct buf *b, struct span s);
void amqp_close(struct buf *b, size_t open, uint32_t n);

/* ---- frames ---- */

#define AMQP_FRAME_HEAD 8
enum amqp_frame_type { AMQP_FRAME = 0, AMQP_FRAME_SASL = 1 };

struct amqp_frame {
	uint8_t type;
	uint16_t channel;
	struct amqp_value performative; /* kind NULL, not described: an empty frame */
	struct span payload;
};

/* Where a frame at the front of bytes ends: *ret_len, 0 while it is not whole. ERR_LIMIT
 * over max, ERR_PARSE where it cannot be one. */
must_check int amqp_frame_len(
    struct span bytes, size_t max, size_t *ret_len, struct err *e);
/* One whole frame. ERR_PARSE. */
must_check int amqp_frame_parse(struct span bytes, struct amqp_frame *ret, struct err *e);
/* Begins a frame, which amqp_frame_end gives its size. */
size_t amqp_frame_begin(struct buf *b, uint8_t type, uint16_t channel);
void amqp_frame_end(struct buf *b, size_t begun);

#endif
