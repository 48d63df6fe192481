#ifndef DOMAIN_SIGNIN_GUARD_H
#define DOMAIN_SIGNIN_GUARD_H
/*
 * What signing in remembers between turns, in memory: where wrong secrets come from, and
 * for which applications; whose token was seen last.
 *
 * Wrong secrets of many sources lock nobody else out: a source from which an application
 * has signed in goes by a budget of its own, and one that has not been wrong lately may
 * try whatever others do. What strangers who were wrong share is an application's
 * budget. Secrets are random (domain/access/principal.h), so no number of sources makes
 * guessing one likely; the budgets keep what is written and looked up small.
 */
#include "domain/access/tries.h"

#define SIGNIN_GUARD_SOURCE 20    /* wrong ones a minute, of a source */
#define SIGNIN_GUARD_APP    100   /* for an application, of strangers together */
#define SIGNIN_GUARD_MOST   16384 /* sources, and applications, that are held */
#define SIGNIN_GUARD_KNOWN  4096
#define SIGNIN_GUARD_ID     64
#define SIGNIN_GUARD_NAME   128

struct signin_guard {
	struct tries sources, apps; /* of strangers */
	struct tries known;         /* a source with the application that signed in */
	char bearer[SIGNIN_GUARD_ID + 1], name[SIGNIN_GUARD_NAME];
};

void signin_guard_init(struct signin_guard *g);
void signin_guard_done(struct signin_guard *g);
/* Takes nothing off: signin_guard_wrong does. peer: as a socket's is written. */
bool signin_guard_may_try(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms);
void signin_guard_wrong(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms);
/* The application has signed in from there. */
void signin_guard_right(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms);

/* A good token was of this operator; who asks for the name of the same application again
 * need not look it up: neither ever changes. */
void signin_guard_saw(struct signin_guard *g, const char *app_id, const char *name);
/* NULL: another one was seen since. */
const char *signin_guard_name(const struct signin_guard *g, const char *app_id);

#endif
