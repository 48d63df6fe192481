/*
 * Refusals and their table.
 */
#include "domain/refusal.h"

#include <stdarg.h>
#include <stdio.h>

static const struct refusal_row rows[REFUSAL_N] = {
#define REFUSAL(name, err, dps, hub, words)                                              \
	[REFUSAL_##name] = {#name, ERR_##err, dps, hub, words},
#include "tbl/refusal.def"
#undef REFUSAL
};

const struct refusal_row *
refusal_row(enum refusal_code code)
{
	return &rows[(unsigned)code < REFUSAL_N ? code : REFUSAL_NO_CREDENTIAL];
}

int
refusal_set(struct refusal *r, enum refusal_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	r->code = code;
	vsnprintf(r->detail, sizeof(r->detail), fmt, ap);
	va_end(ap);
	return 0;
}

void
refusal_text(const struct refusal *r, char out[REFUSAL_TEXT])
{
	const char *words = refusal_row(r->code)->words;
	snprintf(out, REFUSAL_TEXT, r->detail[0] ? "%s: %s" : "%s", words, r->detail);
}
