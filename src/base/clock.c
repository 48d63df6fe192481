/*
 * Clocks, and the two ways times are written.
 */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static int64_t
read_clock(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static int64_t
system_wall(const struct clock *c)
{
	return read_clock(CLOCK_REALTIME) + c->skew_ms;
}

static int64_t
system_mono(const struct clock *c)
{
	(void)c;
	return read_clock(CLOCK_MONOTONIC);
}

const struct clock clock_system = {system_wall, system_mono, 0};

static int64_t
fake_ms(const struct clock *c)
{
	return c->skew_ms;
}

struct clock
clock_fake(int64_t at_ms)
{
	return (struct clock){fake_ms, fake_ms, at_ms};
}

static int64_t
broken_down(int64_t ms, struct tm *tm)
{
	time_t s = (time_t)(ms / 1000 - (ms % 1000 < 0));
	gmtime_r(&s, tm);
	return ms - (int64_t)s * 1000;
}

void
clock_iso(int64_t ms, int digits, char out[CLOCK_TEXT])
{
	struct tm tm;
	int64_t frac = broken_down(ms, &tm);
	char f[12];
	snprintf(f, sizeof(f), ".%03" PRId64 "0000", frac);
	f[digits > 0 ? 1 + (digits > 7 ? 7 : digits) : 0] = '\0';
	snprintf(out, CLOCK_TEXT, "%04d-%02d-%02dT%02d:%02d:%02d%sZ",
	    (tm.tm_year + 1900) % 10000, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
	    tm.tm_sec, f);
}

void
clock_rfc1123(int64_t ms, char out[CLOCK_TEXT])
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
	    "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;
	broken_down(ms, &tm);
	snprintf(out, CLOCK_TEXT, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
	    tm.tm_mday, months[tm.tm_mon], (tm.tm_year + 1900) % 10000, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
}
