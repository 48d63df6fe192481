/*
 * Time from below: what it cannot be earlier than, and what a server said it is.
 */
#include "agent/clock_floor.h"

#include <limits.h>
#include <stdio.h>

#include "base/num.h"
#include "io/file.h"

#include "build_date.inc"

#define SLACK_MS  (5 * 60 * 1000)  /* a clock so little behind the floor is believed */
#define KEEP_MS   (60 * 60 * 1000) /* how much the floor grows before it is kept anew */
#define LATEST_MS INT64_C(7258118400000) /* 2200: no date of a sane floor */
#define FILE_MAX  32

int64_t
clock_floor_built_ms(void)
{
	return CLOCK_FLOOR_BUILT_S * INT64_C(1000);
}

/* clock is the first member. */
static const struct clock_floor *
floor_of(const struct clock *c)
{
	return (const struct clock_floor *)c;
}

static bool
is_believed(const struct clock_floor *f)
{
	return clock_wall_ms(f->base) >= f->floor_ms - SLACK_MS;
}

static int64_t
wall(const struct clock *c)
{
	const struct clock_floor *f = floor_of(c);
	if (is_believed(f))
		return clock_wall_ms(f->base);
	if (!f->learned_ms)
		return f->floor_ms;
	return f->learned_ms + clock_mono_ms(f->base) - f->learned_at_ms;
}

static int64_t
mono(const struct clock *c)
{
	return clock_mono_ms(floor_of(c)->base);
}

void
clock_floor_init(struct clock_floor *f, const struct clock *base, int64_t built_ms)
{
	*f = (struct clock_floor){
	    .clock = {wall, mono, 0}, .base = base, .floor_ms = built_ms};
}

static int
path_of(const char *dir, char out[PATH_MAX], struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/clock", dir);
	return n < PATH_MAX ? 0 : err_set(e, ERR_LIMIT, "%s: path too long", dir);
}

/* 0 where nothing is kept, or nothing sane: the floor is a help, never a need. */
static int64_t
kept_ms(const char *dir)
{
	char path[PATH_MAX];
	auto_buf text = BUF_INIT(FILE_MAX);
	struct err ignored;
	int64_t ms;
	if (path_of(dir, path, &ignored) || file_read(path, &text, &ignored) ||
	    !num_ok(span_trim(buf_span(&text)), 0, LATEST_MS, &ms))
		return 0;
	return ms;
}

void
clock_floor_load(struct clock_floor *f, const char *dir)
{
	clock_floor_raise(f, kept_ms(dir));
}

void
clock_floor_raise(struct clock_floor *f, int64_t not_before_ms)
{
	if (not_before_ms > f->floor_ms && not_before_ms <= LATEST_MS)
		f->floor_ms = not_before_ms;
}

bool
clock_floor_is_known(const struct clock_floor *f)
{
	return is_believed(f) || f->learned_ms;
}

/* Where the own clock is believed, a server that is ahead of it raises the floor no
 * further than that clock: the two disagree, and a floor in the future would be worse. */
int
clock_floor_learn(struct clock_floor *f, int64_t now_ms, int64_t leaf_not_before_ms,
    int64_t leaf_not_after_ms, struct err *e)
{
	if (now_ms < leaf_not_before_ms || now_ms > leaf_not_after_ms)
		return err_set(e, ERR_CONFLICT,
		    "the server's time is not within its own certificate's validity");
	if (is_believed(f)) {
		int64_t own = clock_wall_ms(f->base);
		clock_floor_raise(f, now_ms < own ? now_ms : own);
		return 0;
	}
	if (now_ms < f->floor_ms - SLACK_MS)
		return err_set(e, ERR_CONFLICT,
		    "the server's time is before what this device knows to be past");
	f->learned_ms = now_ms;
	f->learned_at_ms = clock_mono_ms(f->base);
	clock_floor_raise(f, now_ms);
	return 0;
}

int
clock_floor_keep(const struct clock_floor *f, const char *dir, struct err *e)
{
	char path[PATH_MAX], text[FILE_MAX];
	if (f->floor_ms < kept_ms(dir) + KEEP_MS)
		return 0;
	int n = snprintf(text, sizeof(text), "%lld\n", (long long)f->floor_ms);
	if (path_of(dir, path, e))
		return -1;
	return file_write(path, span_of(text, (size_t)n), 0600, e);
}
