#ifndef AGENT_RENEWAL_H
#define AGENT_RENEWAL_H
/*
 * When the daemon has `muster-agent renew` run, which does one renewal in a process of
 * its own and may block: decides by renew_plan.h on the loop's timers, starts it, reads
 * what became of it from renew.json. One at a time for a device, RENEWAL_AT_ONCE in a
 * process (the lab runs a thousand devices in one).
 *
 * Due is judged by wall time at every look; what is waited for is a length on the
 * monotonic clock, at most the configured check.
 */
#include "agent/agent_config.h"
#include "agent/clock_floor.h"
#include "agent/keystore.h"
#include "agent/renew_state.h"
#include "base/own.h"

#define RENEWAL_AT_ONCE 4

struct loop;
struct renewal;

struct renewal_opts {
	const char *dir;
	const struct agent_config *cfg;
	const struct clock_floor *time;
	const struct keystore_credential *credential; /* what it is now, at every look */
	const char *program; /* path of muster-agent; NULL: this program */
};

/* All of opts is borrowed. */
struct renewal *renewal_new(struct loop *l, const struct renewal_opts *opts);
/* A renewal under way is killed: it can be, at any moment. */
void renewal_free(struct renewal *r);
own_define(struct renewal, renewal_free);

/* Begins to look; harmless to repeat, and after a change of the credential. */
void renewal_start(struct renewal *r);
void renewal_stop(struct renewal *r);
/* As soon as there is room, whether it is due or not: the device fell back. */
void renewal_now(struct renewal *r);
/* The same where it is due: the credential is another one, and may do what the one before
 * could not. */
void renewal_look(struct renewal *r);

struct renewal_status {
	bool on; /* there is something to renew, and a server to ask */
	bool running;
	int64_t due_ms;  /* wall time; 0 where off */
	int64_t next_ms; /* from now to the next look */
	struct renew_state state;
};
void renewal_status(const struct renewal *r, struct renewal_status *ret);

#endif
