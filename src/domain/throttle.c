/*
 * The token bucket behind throttles.
 */
#include "domain/throttle.h"

void
throttle_init(struct throttle *t, int64_t per_min, int64_t now_ms)
{
	*t = (struct throttle){per_min, per_min * 1000, now_ms};
}

bool
throttle_take(struct throttle *t, int64_t now_ms)
{
	if (t->per_min == 0)
		return true;
	int64_t past = now_ms - t->at_ms;
	if (past > 60000)
		past = 60000;
	if (past > 0) {
		t->tokens_milli += past * t->per_min / 60;
		t->at_ms = now_ms;
	}
	if (t->tokens_milli > t->per_min * 1000)
		t->tokens_milli = t->per_min * 1000;
	if (t->tokens_milli < 1000)
		return false;
	t->tokens_milli -= 1000;
	return true;
}
