#ifndef TEST_SIM_FLEET_H
#define TEST_SIM_FLEET_H
/*
 * The fleet, what happens to it, and what must hold whatever happens.
 */
#include "device.h"

#define DAYS      400
#define CALM_DAYS 20 /* at the end nothing new goes wrong */
#define KEPT_MAX  16

struct fleet {
	struct server s;
	struct device *v;
	size_t n;
	uint64_t seed;
	char top[64];
	int64_t t0_ms;
	int day;
	int64_t log_seen_ms; /* the operator has read the connection log up to here */
	int64_t kept_ms;     /* the last housekeeping that could do all */
	int wave;            /* of the rollover */
	int64_t share;
	bool old_is_retired;
	struct face kept[KEPT_MAX]; /* first certificates that somebody copied */
	char kept_id[KEPT_MAX][24];
	size_t n_kept;
	size_t rescued; /* got a token because nothing else was left */
};

/* Draws habits and troubles, has all devices made and their tokens handed out. */
void scenario_begin(struct fleet *f);
/* What happens on this day, in the morning. */
void scenario_day(struct fleet *f);
/* The operator reads what was refused, and acts. */
void scenario_operator(struct fleet *f);
/* Is something of the server away now? */
void scenario_server(struct fleet *f);
const char *scenario_ca(const struct fleet *f); /* which one issues */

/* Each counts what it looked at, and complains of what is wrong. */
void audit_day(struct fleet *f);
void audit_end(struct fleet *f);
bool audit_is_broken(void);
/* Prints one line a rule; the number that were broken. */
int audit_report(int *ret_held);

#endif
