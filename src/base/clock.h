#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H
/*
 * The injected clock. Everything that asks for the time is handed a struct clock, so
 * tests and rehearsals run on virtual time. Wall time for what is stored or compared with
 * a certificate; monotonic time for timers and limits.
 */
#include <stddef.h>
#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(const struct clock *c); /* since 1970, UTC */
	int64_t (*mono_ms)(const struct clock *c);
	int64_t skew_ms; /* added to wall time; a fake clock's whole time */
};

extern const struct clock clock_system;
/* A clock that stands still at skew_ms (wall and monotonic alike) until moved by its
 * owner. */
struct clock clock_fake(int64_t at_ms);

static inline int64_t
clock_wall_ms(const struct clock *c)
{
	return c->wall_ms(c);
}
static inline int64_t
clock_wall_s(const struct clock *c)
{
	return c->wall_ms(c) / 1000;
}
static inline int64_t
clock_mono_ms(const struct clock *c)
{
	return c->mono_ms(c);
}

#define CLOCK_TEXT 32
/* ISO 8601, UTC: 2026-11-22T05:28:00.123Z; with digits 7 as Azure writes it (.1230000Z).
 */
void clock_iso(int64_t ms, int digits, char out[CLOCK_TEXT]);
/* RFC 1123, UTC: Sun, 22 Nov 2026 03:44:56 GMT */
void clock_rfc1123(int64_t ms, char out[CLOCK_TEXT]);

#endif
