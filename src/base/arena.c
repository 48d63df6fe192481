/*
 * The arena: a list of blocks, bumped through.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#define BLOCK 4096

struct block {
	struct block *next;
	size_t used, cap;
	alignas(max_align_t) uint8_t bytes[];
};

struct arena {
	struct block *head;
	size_t given, max;
	bool secret;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = own_alloc(sizeof(*a));
	a->max = max;
	return a;
}

void
arena_reset(struct arena *a)
{
	while (a->head) {
		struct block *b = a->head;
		a->head = b->next;
		if (a->secret)
			own_wipe(b->bytes, b->used);
		free(b);
	}
	a->given = 0;
}

void
arena_keep_secret(struct arena *a)
{
	a->secret = true;
}

void
arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a);
}

size_t
arena_left(const struct arena *a)
{
	return a->max - a->given;
}

void *
arena_alloc(struct arena *a, size_t n)
{
	size_t align = alignof(max_align_t);
	assert(n <= arena_left(a));
	n = (n + align - 1) / align * align;
	struct block *b = a->head;
	if (!b || b->cap - b->used < n) {
		size_t cap = n > BLOCK ? n : BLOCK;
		b = own_alloc(sizeof(*b) + cap);
		b->cap = cap;
		b->next = a->head;
		a->head = b;
	}
	void *p = b->bytes + b->used;
	b->used += n;
	a->given += n < arena_left(a) ? n : arena_left(a);
	return p;
}

char *
arena_str(struct arena *a, struct span s)
{
	char *p = arena_alloc(a, s.len + 1);
	if (s.len)
		memcpy(p, s.p, s.len);
	return p;
}

struct span
arena_span(struct arena *a, struct span s)
{
	return s.p ? span_of(arena_str(a, s), s.len) : SPAN_NONE;
}

char *
arena_printf(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	assert(n >= 0);
	char *p = arena_alloc(a, (size_t)n + 1);
	vsnprintf(p, (size_t)n + 1, fmt, again);
	va_end(again);
	return p;
}
