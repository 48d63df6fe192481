/*
 * The gate's arithmetic and its words.
 */
#include "fleet/gate.h"

#include <stdio.h>

static int64_t
percent(int64_t part, int64_t whole)
{
	return whole > 0 ? part * 100 / whole : 100;
}

static const char *
plural(int64_t n)
{
	return n == 1 ? "" : "s";
}

/* The first number that does not hold, in words; "" when all do. */
static void
explain(const struct gate_limits *l, const struct gate_numbers *n, struct gate_verdict *v)
{
	int64_t least = n->size - v->failed_max;
	v->why[0] = '\0';
	if (n->open > 0)
		snprintf(v->why, sizeof(v->why), "%lld device%s not finished",
		    (long long)n->open, plural(n->open));
	else if (n->failed > v->failed_max)
		snprintf(v->why, sizeof(v->why), "failures: %lld, at most %lld allowed",
		    (long long)n->failed, (long long)v->failed_max);
	else if (n->silent > l->silent_max)
		snprintf(v->why, sizeof(v->why),
		    "telemetry resumed: %lld switched device%s not heard from, at most "
		    "%lld "
		    "allowed",
		    (long long)n->silent, plural(n->silent), (long long)l->silent_max);
	else if (n->fallbacks > l->fallback_max)
		snprintf(v->why, sizeof(v->why),
		    "SAS fallbacks: %lld device%s came back with SAS, at most %lld "
		    "allowed",
		    (long long)n->fallbacks, plural(n->fallbacks),
		    (long long)l->fallback_max);
	else if (n->migrated < 1 || n->migrated < least - l->silent_max)
		snprintf(v->why, sizeof(v->why), "share migrated: %lld of %lld",
		    (long long)n->migrated, (long long)n->size);
}

void
gate_judge(
    const struct gate_limits *l, const struct gate_numbers *n, struct gate_verdict *ret)
{
	int64_t allowed = n->size * l->failed_pct / 100;
	*ret = (struct gate_verdict){.failed_max = allowed > 1 ? allowed : 1};
	snprintf(ret->numbers, sizeof(ret->numbers),
	    "migrated %lld of %lld (%lld %%), failed %lld (at most %lld), telemetry "
	    "resumed on "
	    "%lld of %lld, SAS fallbacks %lld",
	    (long long)n->migrated, (long long)n->size,
	    (long long)percent(n->migrated, n->size), (long long)n->failed,
	    (long long)ret->failed_max, (long long)n->migrated,
	    (long long)(n->migrated + n->silent), (long long)n->fallbacks);
	ret->passed = true;
	if (n->size == 0) /* everything in it was rolled back: nothing to judge */
		return;
	explain(l, n, ret);
	ret->passed = ret->why[0] == '\0';
}
