#ifndef FLEET_STATE_H
#define FLEET_STATE_H
/*
 * The states of a device on its way. A state names what is done; it is in the campaign
 * file before the next step begins, so that a run that was killed goes on from it.
 */
#include "base/sm.h"

enum state {
	STATE_PLANNED,
	STATE_PREFLIGHT, /* checked; the old identity is on record */
	STATE_KEYED,     /* key made on the device, CSR here */
	STATE_SIGNED,    /* certificate here */
	STATE_INSTALLED, /* beside the old credential */
	STATE_PROVED,    /* the device says that it connected with it */
	STATE_CONFIRMED, /* the hub says so too */
	STATE_PROMOTED,  /* the device switched */
	STATE_RESUMED,   /* the hub hears it: migrated */
	STATE_FAILED,    /* step and reason in the row; run tries again */
	STATE_ROLLED_BACK,
	STATE_ALREADY, /* was on X.509 before the campaign */
	STATE_N
};

extern const struct sm state_machine;

/* Migrated, by us or before us. */
bool state_is_done(int state);

#endif
