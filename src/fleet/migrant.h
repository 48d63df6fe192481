#ifndef FLEET_MIGRANT_H
#define FLEET_MIGRANT_H
/*
 * One device on its way from SAS to X.509: the steps, in the order of fleet/state.h, each
 * started only when what came before is durable. Owns the device's row while it lives.
 */
#include "fleet/migration.h"

struct migrant;

/* What all migrants of a run share. */
struct migrant_run {
	struct migration *m;
	struct enroll *enroll; /* fleet/enroll.h */
	void *arg;
	/* The row changed: to be written (the run's transaction of this turn). */
	void (*on_save)(void *arg, const struct campaign_device *d);
	/* Its ssh session is over, whatever becomes of the device: another may begin. */
	void (*on_free_slot)(void *arg);
	/* Final state reached (resumed, failed). The migrant may be freed in it. */
	void (*on_done)(void *arg, struct migrant *g);
};

/* Copies d. Begins in the loop's next turn, from d's state; holds one of the run's slots
 * until on_free_slot. */
struct migrant *migrant_new(
    const struct migrant_run *run, const struct campaign_device *d);
const struct campaign_device *migrant_device(const struct migrant *g);
/* Ends it where it stands: session killed, row left at its last state. */
void migrant_free(struct migrant *g);
own_define(struct migrant, migrant_free);

#endif
