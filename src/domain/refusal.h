#ifndef DOMAIN_REFUSAL_H
#define DOMAIN_REFUSAL_H
/*
 * A rule that says no fills a struct refusal and succeeds (returns 0); only a rule that
 * could not decide (disk, bug) returns -1 with an error. Reasons are rows of
 * tbl/refusal.def.
 */
#include "base/err.h"

enum refusal_code {
#define REFUSAL(name, err, dps, hub, words) REFUSAL_##name,
#include "tbl/refusal.def"
#undef REFUSAL
	REFUSAL_N
};

struct refusal {
	enum refusal_code code; /* REFUSAL_NONE = granted */
	char detail[200];       /* particulars, for operators only */
};

struct refusal_row {
	const char *name;
	enum err_code err;
	int dps, hub; /* numbers on the wire */
	const char *words;
};
const struct refusal_row *refusal_row(enum refusal_code code);
/* Fills *r and returns 0, so that a rule reads:
 * return refusal_set(no, REFUSAL_X, "..."); */
int refusal_set(struct refusal *r, enum refusal_code code, const char *fmt, ...)
    printf_like(3, 4);
/* "words: detail", for the connection log and the operator. */
#define REFUSAL_TEXT 300
void refusal_text(const struct refusal *r, char out[REFUSAL_TEXT]);

#endif
