/*
 * The growable, capped buffer.
 */
#include "base/buf.h"

#include <stdio.h>

static void
release(uint8_t *p, size_t cap, bool secret)
{
	if (p && secret)
		own_wipe(p, cap);
	free(p);
}

void
buf_done(struct buf *b)
{
	release(b->p, b->cap, b->secret);
	*b = (struct buf){.max = b->max, .secret = b->secret};
}

void
buf_reset(struct buf *b)
{
	if (b->secret && b->p)
		own_wipe(b->p, b->cap);
	b->len = 0;
	b->bad = false;
	if (b->p)
		b->p[0] = 0;
}

static bool
reserve(struct buf *b, size_t n)
{
	if (b->bad || n > b->max - b->len) {
		b->bad = true;
		return false;
	}
	size_t need = b->len + n + 1;
	if (need <= b->cap)
		return true;
	size_t cap = b->cap ? b->cap : 64;
	while (cap < need)
		cap *= 2;
	/* never realloc: a secret's old copy must be wiped */
	uint8_t *p = own_alloc(cap);
	if (b->len)
		memcpy(p, b->p, b->len);
	release(b->p, b->cap, b->secret);
	b->p = p;
	b->cap = cap;
	return true;
}

uint8_t *
buf_room(struct buf *b, size_t n)
{
	return reserve(b, n) ? b->p + b->len : NULL;
}

void
buf_grew(struct buf *b, size_t n)
{
	b->len += n;
	b->p[b->len] = 0;
}

void
buf_put(struct buf *b, const void *p, size_t n)
{
	uint8_t *room = buf_room(b, n);
	if (!room)
		return;
	if (n)
		memcpy(room, p, n);
	buf_grew(b, n);
}

void
buf_put_span(struct buf *b, struct span s)
{
	buf_put(b, s.p, s.len);
}

void
buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void
buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

static void
big_endian(struct buf *b, uint64_t v, size_t n)
{
	uint8_t out[8];
	for (size_t i = 0; i < n; i++)
		out[i] = (uint8_t)(v >> (8 * (n - 1 - i)));
	buf_put(b, out, n);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	big_endian(b, v, 2);
}

void
buf_u32(struct buf *b, uint32_t v)
{
	big_endian(b, v, 4);
}

void
buf_u64(struct buf *b, uint64_t v)
{
	big_endian(b, v, 8);
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	uint8_t *room = n < 0 ? NULL : buf_room(b, (size_t)n);
	if (!room) {
		b->bad = true;
		return;
	}
	vsnprintf((char *)room, (size_t)n + 1, fmt, ap);
	buf_grew(b, (size_t)n);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_drop(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (!n)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
	b->p[b->len] = 0;
}

int
buf_check(const struct buf *b, const char *what, struct err *e)
{
	if (b->bad)
		return err_set(e, ERR_LIMIT, "%s: larger than %zu bytes", what, b->max);
	return 0;
}
