#ifndef BASE_SPAN_H
#define BASE_SPAN_H
/*
 * Borrowed bytes, and the one bounded cursor through which foreign bytes are read. A span
 * never owns; it is valid as long as what it points into. Text spans are not terminated.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t len;
};

#define SPAN_NONE   ((struct span){NULL, 0})
#define SPAN_LIT(s) ((struct span){(const uint8_t *)("" s), sizeof(s) - 1})
/* For printf: "%.*s", SPAN_FMT(s) */
#define SPAN_FMT(s) (int)(s).len, (const char *)((s).p ? (s).p : (const uint8_t *)"")

static inline struct span
span_of(const void *p, size_t len)
{
	return (struct span){p, len};
}

static inline struct span
span_str(const char *s)
{
	return (struct span){(const uint8_t *)s, s ? strlen(s) : 0};
}

bool span_eq(struct span a, struct span b);
bool span_eq_str(struct span a, const char *s);
/* ASCII case folded; never locale dependent. */
bool span_ieq(struct span a, struct span b);
bool span_ieq_str(struct span a, const char *s);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);
/* Index of the first c, or s.len. */
size_t span_find(struct span s, uint8_t c);
size_t span_rfind(struct span s, uint8_t c); /* last c, or s.len */
bool span_has(struct span s, uint8_t c);
/* s without its first n bytes (empty when shorter); the first n bytes (all when shorter).
 */
struct span span_skip(struct span s, size_t n);
struct span span_head(struct span s, size_t n);
struct span span_trim(struct span s); /* ASCII white space off both ends */
/* Splits at the first sep: returns what stands before it and moves *rest behind it.
 * Without a sep the whole is returned and *rest becomes SPAN_NONE (p == NULL). */
struct span span_split(struct span *rest, uint8_t sep);
/* Copies to a terminated string; false (and dst empty) when it does not fit or holds a
 * NUL. */
bool span_to_str(struct span s, char *dst, size_t size);

/* The cursor: every read is checked; after a failed read "bad" stays set and reads give
 * 0. */
struct cursor {
	const uint8_t *p;
	size_t left;
	bool bad;
};

static inline struct cursor
cursor_of(struct span s)
{
	return (struct cursor){s.p, s.len, false};
}

uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c); /* big endian */
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
struct span cursor_take(struct cursor *c, size_t n);
/* True when nothing failed and nothing is left. */
bool cursor_done(const struct cursor *c);

#endif
