/*
 * The token bucket behind throttles.
 */
#include "domain/access/throttle.h"

#define TOKEN 60000 /* also the milliseconds of a minute: a full bucket's refill */

void
throttle_init(struct throttle *t, int64_t per_min, int64_t now_ms)
{
	*t = (struct throttle){per_min, per_min * TOKEN, now_ms};
}

bool
throttle_take(struct throttle *t, int64_t now_ms)
{
	if (t->per_min == 0)
		return true;
	int64_t past = now_ms - t->at_ms;
	if (past > TOKEN)
		past = TOKEN;
	if (past > 0) {
		t->level += past * t->per_min;
		t->at_ms = now_ms;
	}
	if (t->level > t->per_min * TOKEN)
		t->level = t->per_min * TOKEN;
	if (t->level < TOKEN)
		return false;
	t->level -= TOKEN;
	return true;
}
