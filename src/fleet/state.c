/*
 * The states of a device: which may follow which.
 */
#include "fleet/state.h"

/* Any state on the way may fail, and any that changed the device or the hub may be rolled
 * back. */
#define ON(next) (SM_TO(next) | SM_TO(STATE_FAILED) | SM_TO(STATE_ROLLED_BACK))

static const struct sm_state states[STATE_N] = {
    [STATE_PLANNED] = {"planned", ON(STATE_PREFLIGHT)}, /* also a failed one's new try */
    [STATE_PREFLIGHT] = {"preflight", ON(STATE_KEYED)},
    [STATE_KEYED] = {"keyed", ON(STATE_SIGNED)},
    [STATE_SIGNED] = {"signed", ON(STATE_INSTALLED)},
    [STATE_INSTALLED] = {"installed", ON(STATE_PROVED)},
    [STATE_PROVED] = {"proved", ON(STATE_CONFIRMED)},
    [STATE_CONFIRMED] = {"confirmed", ON(STATE_PROMOTED)},
    [STATE_PROMOTED] = {"promoted", ON(STATE_RESUMED)},
    [STATE_RESUMED] = {"resumed", SM_TO(STATE_ROLLED_BACK)},
    /* tried again from the beginning; or, where the switch is made, from there */
    [STATE_FAILED] = {"failed", SM_TO(STATE_PLANNED) | SM_TO(STATE_CONFIRMED) |
				    SM_TO(STATE_PROMOTED) | SM_TO(STATE_ROLLED_BACK)},
    [STATE_ROLLED_BACK] = {"rolled-back", SM_TO(STATE_PLANNED)},
    [STATE_ALREADY] = {"already-x509", 0},
};

const struct sm state_machine = {"device", states, STATE_N};

bool
state_is_done(int state)
{
	return state == STATE_RESUMED || state == STATE_ALREADY;
}
