#ifndef FLEET_GATE_H
#define FLEET_GATE_H
/*
 * What must hold before the next wave begins: numbers, not a key press.
 */
#include <stdbool.h>
#include <stdint.h>

struct gate_limits {
	int64_t failed_pct;   /* failures allowed, percent of the wave, rounded down */
	int64_t silent_max;   /* switched to X.509 but not heard from since */
	int64_t fallback_max; /* devices that came back with SAS after the switch */
};
#define GATE_LIMITS_DEFAULT ((struct gate_limits){.failed_pct = 5})

struct gate_numbers {
	int64_t size;     /* of the wave, rolled-back devices left out */
	int64_t migrated; /* proved, switched and heard from */
	int64_t failed;   /* silent ones left out */
	int64_t silent;
	int64_t fallbacks;
	int64_t open; /* neither migrated nor failed */
};

#define GATE_TEXT 320
struct gate_verdict {
	bool passed;
	int64_t failed_max; /* max(1, failed_pct of size) */
	char
	    numbers[GATE_TEXT]; /* "migrated 9 of 10 (90 %), failed 1 (at most 1), ..." */
	char why[GATE_TEXT];    /* which number, "" when passed */
};

/* One failure is always allowed (a wave of five would otherwise tolerate none), but a
 * wave in which nothing migrated never passes. */
void gate_judge(
    const struct gate_limits *l, const struct gate_numbers *n, struct gate_verdict *ret);

#endif
