#ifndef DOMAIN_TRIES_H
#define DOMAIN_TRIES_H
/*
 * Wrong tries, a budget a key, in memory. Exact, and bounded: where "most" keys are held,
 * the one longest unheard of gives way to a new one, so that nobody who floods it takes
 * the budget of others. A key is any bytes: a source, an application.
 */
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "domain/access/throttle.h"

#define TRIES_SOURCE  16
#define TRIES_LATE_MS 60000 /* wrong tries are lately that long */

struct tries_entry;
struct tries {
	struct tries_entry *by_key;
	struct list lru; /* the one longest unheard of first */
	size_t n, most;
	int64_t per_min;
};

void tries_init(struct tries *t, int64_t per_min, size_t most);
void tries_done(struct tries *t);

/* False where its budget is spent. Takes nothing off: tries_wrong does. */
bool tries_may(const struct tries *t, struct span key, int64_t mono_ms);
/* Whether it has been wrong within TRIES_LATE_MS. */
bool tries_is_late(const struct tries *t, struct span key, int64_t mono_ms);
bool tries_is_held(const struct tries *t, struct span key);
void tries_wrong(struct tries *t, struct span key, int64_t mono_ms);
/* Holds it, heard of just now, with the budget it has or a whole one. */
void tries_hold(struct tries *t, struct span key, int64_t mono_ms);

/* The source that a peer ("203.0.113.7:4711", "[2001:db8::7]:443") is of: an IPv4 address
 * or an IPv6 /64, which is what one customer has. What is no address ("unix") is one. */
void tries_source(struct span peer, uint8_t ret[TRIES_SOURCE]);

#endif
