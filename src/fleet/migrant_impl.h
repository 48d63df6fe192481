#ifndef FLEET_MIGRANT_IMPL_H
#define FLEET_MIGRANT_IMPL_H
/*
 * What the files of a migrant share: migrant.c has the steps and the device's session,
 * migrant_logs.c what the hub's logs tell. Nobody else's.
 */
#include "fleet/azure.h"
#include "fleet/migrant.h"
#include "fleet/session.h"
#include "fleet/state.h"
#include "io/loop.h"

struct migrant {
	const struct migrant_run *run;
	struct arena *a;
	struct campaign_device d; /* texts in a */
	int state;
	struct session *session;
	bool holds_slot, checked; /* checked: this session passed the pre-flight */
	struct rest_call *call;
	struct loop_timer *timer;
	struct loop_task next;
	int64_t poll_ms, poll_until_ms;
	bool connected, heard; /* since the switch, as the hub's logs tell */
	int64_t switched_seq;  /* of that connection */
	int tries;             /* of the operation under way */
	bool failing;          /* decided; the identity may still be put back */
};

struct loop *migrant_loop(const struct migrant *g);
int64_t migrant_wall_ms(const struct migrant *g);
void migrant_set(struct migrant *g, const char **field, struct span text);
/* The device needs no session any more. */
void migrant_release(struct migrant *g);
/* A step is done: on record first, the next one after the commit. */
void migrant_moved(struct migrant *g, int to);
void migrant_failed_with(struct migrant *g, const char *step, const struct err *e);

/* ---- migrant_logs.c ---- */

/* The hub saw this very credential. */
void migrant_start_confirm(struct migrant *g);
/* Connected after the switch, and heard. */
void migrant_start_resume(struct migrant *g);
/* The timer's: asks the log once more; false where no log is waited for. */
bool migrant_poll(struct migrant *g);

#endif
