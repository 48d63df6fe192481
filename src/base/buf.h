#ifndef BASE_BUF_H
#define BASE_BUF_H
/*
 * A growable byte buffer with a cap. Once a write would pass the cap (or a printf fails)
 * the buffer turns bad, keeps what it had and ignores further writes; check once, at the
 * end.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct buf {
	uint8_t *p; /* always terminated by a NUL past len once anything was written */
	size_t len, cap, max;
	bool bad;
	bool secret; /* wiped when freed or grown */
};

/* An empty buffer that holds at most max bytes. Owns nothing until written to. */
#define BUF_INIT(max_) ((struct buf){.max = (max_)})
void buf_done(struct buf *b);
void buf_reset(struct buf *b); /* empty again, memory kept */

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_span(struct buf *b, struct span s);
void buf_str(struct buf *b, const char *s);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v); /* big endian */
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap) printf_like(2, 0);
/* Room for n more bytes, or NULL (and bad); call buf_grew(b, used) afterwards. */
uint8_t *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
/* Drops the first n bytes. */
void buf_drop(struct buf *b, size_t n);

static inline struct span
buf_span(const struct buf *b)
{
	return (struct span){b->p, b->len};
}

/* The text, terminated; "" when nothing was written. */
static inline const char *
buf_text(const struct buf *b)
{
	return b->p ? (const char *)b->p : "";
}

/* 0, or -1 with ERR_LIMIT naming what the buffer was for. */
must_check int buf_check(const struct buf *b, const char *what, struct err *e);

#define auto_buf __attribute__((cleanup(buf_done))) struct buf

#endif
