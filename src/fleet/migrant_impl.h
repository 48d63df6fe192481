#ifndef FLEET_MIGRANT_IMPL_H
#define FLEET_MIGRANT_IMPL_H
/*
 * What the files of a migrant share: migrant.c has the steps and the device's session,
 * migrant_logs.c what the hub's logs tell, migrant_twin.c what can be known of a hub that
 * has none. Nobody else's.
 */
#include "fleet/azure.h"
#include "fleet/exchange.h"
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
	bool holds_slot, checked;     /* checked: this session passed the pre-flight */
	struct rest_call *call;       /* to who signs, or a log */
	struct exchange_call *asking; /* to the hub */
	struct loop_timer *timer;
	struct loop_task next;
	int64_t poll_ms, poll_until_ms;
	bool connected, heard; /* since the switch, as the hub's logs tell */
	int64_t switched_seq;  /* of that connection, or activity */
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

/* The timer fires a little later; -1 when the time is over. */
void migrant_poll_begin(struct migrant *g, int64_t for_ms);
int migrant_poll_again(struct migrant *g);
/* Heard after the switch, in a connection (or activity) of that number: on record. */
void migrant_heard(struct migrant *g, int64_t seq);
void migrant_silent(struct migrant *g);

/* What tells of a device: the hub saw this very credential; connected after the switch,
 * and heard; the timer's: asks once more. */
struct migrant_witness {
	void (*start_confirm)(struct migrant *g);
	void (*start_resume)(struct migrant *g);
	void (*poll_confirm)(struct migrant *g);
	void (*poll_resume)(struct migrant *g);
};
extern const struct migrant_witness migrant_logs, migrant_twin;

#endif
