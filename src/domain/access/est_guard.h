#ifndef DOMAIN_EST_GUARD_H
#define DOMAIN_EST_GUARD_H
/*
 * What enrolment remembers between turns, in memory: the devices whose certificate is
 * being signed, so that a token is used once even by two requests at the same time, and
 * where wrong tokens come from.
 */
#include "domain/access/tries.h"

#define EST_GUARD_SOURCES 16384 /* that are held */
#define EST_GUARD_WRONG   20    /* wrong tokens a minute, of a source */

struct est_guard_entry;
struct est_guard {
	struct est_guard_entry *busy;
	struct tries sources; /* of wrong tokens */
};

void est_guard_init(struct est_guard *g);
void est_guard_done(struct est_guard *g);

/* False where the device has one under way. */
bool est_guard_enter(struct est_guard *g, const char *device_id);
void est_guard_leave(struct est_guard *g, const char *device_id);

/* True while the peer's source (domain/access/tries.h) may try a token. Takes nothing
 * off: est_guard_wrong does. */
bool est_guard_may_try(struct est_guard *g, struct span peer, int64_t mono_ms);
void est_guard_wrong(struct est_guard *g, struct span peer, int64_t mono_ms);

#endif
