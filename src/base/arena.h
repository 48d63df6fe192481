#ifndef BASE_ARENA_H
#define BASE_ARENA_H
/*
 * Memory of one request: allocated piece by piece, freed whole. What must outlive the
 * request is copied by its new owner.
 */
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct arena;

/* max: the most bytes it will ever hand out; passing it is a caller's bug in sizing and
 * ends the process, so foreign lengths are checked against their own caps first. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *a);
void arena_reset(struct arena *a);
/* All that it holds, and will, is wiped when it is reset or freed. */
void arena_keep_secret(struct arena *a);
own_define(struct arena, arena_free);

void *arena_alloc(struct arena *a, size_t n)
    __attribute__((returns_nonnull)); /* zeroed */
char *arena_str(struct arena *a, struct span s) __attribute__((returns_nonnull));
struct span arena_span(struct arena *a, struct span s); /* a copy */
char *arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3), nonnull, returns_nonnull));
/* Bytes still to be had. */
size_t arena_left(const struct arena *a);

#endif
