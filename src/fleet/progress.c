/*
 * Progress on stderr.
 */
#include "fleet/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_WIDTH 30
#define REDRAW_MS 100

struct progress
progress_new(bool quiet)
{
	struct progress p = {.kind = PROGRESS_NONE};
	if (!quiet)
		p.kind = isatty(STDERR_FILENO) ? PROGRESS_BAR : PROGRESS_LINES;
	return p;
}

static double
seconds(const struct progress *p)
{
	return (double)(clock_mono_ms(&clock_system) - p->since_ms) / 1000;
}

static void
failures(const struct progress *p, char out[32])
{
	out[0] = '\0';
	if (p->bad)
		snprintf(out, 32, ", %zu failed", p->bad);
}

static void
draw(struct progress *p)
{
	char bar[BAR_WIDTH + 1], bad[32];
	size_t full = p->total ? p->done * BAR_WIDTH / p->total : BAR_WIDTH;
	memset(bar, '.', BAR_WIDTH);
	memset(bar, '#', full < BAR_WIDTH ? full : BAR_WIDTH);
	bar[BAR_WIDTH] = '\0';
	failures(p, bad);
	fprintf(stderr, "\r\033[K%-24s [%s] %zu/%zu%s  %.0f s", p->label, bar, p->done,
	    p->total, bad, seconds(p));
	p->drawn = true;
	p->drawn_ms = clock_mono_ms(&clock_system);
}

static void
line(struct progress *p)
{
	char bad[32];
	failures(p, bad);
	fprintf(stderr, "%s: %zu of %zu%s, %.1f s\n", p->label, p->done, p->total, bad,
	    seconds(p));
}

void
progress_start(struct progress *p, const char *label, size_t total)
{
	p->done = p->bad = p->told = 0;
	p->total = total;
	p->since_ms = clock_mono_ms(&clock_system);
	snprintf(p->label, sizeof(p->label), "%s", label);
	if (p->kind == PROGRESS_BAR)
		draw(p);
}

void
progress_step(struct progress *p, size_t done, size_t bad)
{
	p->done = done;
	p->bad = bad;
	bool whole = done >= p->total;
	int64_t since = clock_mono_ms(&clock_system) - p->drawn_ms;
	if (p->kind == PROGRESS_BAR && (whole || since >= REDRAW_MS))
		draw(p);
	size_t tenth = p->total ? done * 10 / p->total : 10;
	if (p->kind != PROGRESS_LINES || tenth <= p->told)
		return;
	p->told = tenth;
	line(p);
}

void
progress_end(struct progress *p)
{
	if (p->kind != PROGRESS_BAR || !p->drawn)
		return;
	draw(p);
	fputc('\n', stderr);
	p->drawn = false;
}

void
progress_say(struct progress *p, const char *fmt, ...)
{
	char text[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	if (p->kind == PROGRESS_NONE)
		return;
	fprintf(stderr, "%s%s\n", p->drawn ? "\r\033[K" : "", text);
	if (p->drawn)
		draw(p);
}
