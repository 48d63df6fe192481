#ifndef FLEET_PROGRESS_H
#define FLEET_PROGRESS_H
/*
 * What a person sees while something takes long: one bar that redraws itself on a
 * terminal, plain lines (each tenth) elsewhere, nothing when the output is for a program.
 * Writes to stderr, so that stdout stays the result.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum progress_kind { PROGRESS_BAR, PROGRESS_LINES, PROGRESS_NONE };

struct progress {
	enum progress_kind kind;
	char label[48];
	size_t done, total, bad;
	size_t told; /* tenths already told in plain lines */
	bool drawn;  /* a bar stands on the current line */
	int64_t since_ms, drawn_ms;
};

/* quiet: -o json. */
struct progress progress_new(bool quiet);
void progress_start(struct progress *p, const char *label, size_t total);
/* bad: of done, how many failed. */
void progress_step(struct progress *p, size_t done, size_t bad);
void progress_end(struct progress *p);
/* A line of its own above the bar; control characters are shown as '?'. */
void progress_say(struct progress *p, const char *fmt, ...) printf_like(2, 3);

#endif
