#ifndef DOMAIN_THROTTLE_H
#define DOMAIN_THROTTLE_H
/* A token bucket on monotonic time: at most "burst" at once, refilled evenly. */
#include <stdbool.h>
#include <stdint.h>

struct throttle {
	int64_t per_min; /* 0 = no limit */
	int64_t level; /* 60000 a token: a millisecond adds per_min, whatever the rate */
	int64_t at_ms;
};

void throttle_init(struct throttle *t, int64_t per_min, int64_t now_ms);
/* Takes one; false when the bucket is empty. */
bool throttle_take(struct throttle *t, int64_t now_ms);

#endif
