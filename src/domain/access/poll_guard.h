#ifndef DOMAIN_POLL_GUARD_H
#define DOMAIN_POLL_GUARD_H
/*
 * How often each device asks for the status of its registration
 * (protocol/service.md 6.3): so many polls in ten seconds, counted from the first of
 * them. In memory; bounded: where POLL_GUARD_MAX devices ask at once, the rest are not
 * counted.
 */
#include "base/map.h"
#include "base/span.h"

#include <stdbool.h>

#define POLL_GUARD_MAX       100000
#define POLL_GUARD_WINDOW_MS 10000

struct poll_guard_entry;
struct poll_guard {
	int64_t most; /* 0 = no limit */
	struct poll_guard_entry *entries;
	int64_t swept_ms;
};

void poll_guard_init(struct poll_guard *g, int64_t most);
void poll_guard_done(struct poll_guard *g);
/* False where this is one too many. IDs are compared without ASCII case. */
bool poll_guard_take(struct poll_guard *g, struct span registration_id, int64_t mono_ms);

#endif
