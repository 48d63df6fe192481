#ifndef FLEET_RUN_H
#define FLEET_RUN_H
/*
 * Running a campaign: wave after wave, so many devices at once, a gate after each.
 */
#include "fleet/migration.h"

struct run_opts {
	struct gate_limits limits;
	bool pause;       /* stop after a wave for a human */
	bool rolled_back; /* take devices that were rolled back again */
};

/* 0: as far as asked (all waves, or one with pause). ERR_GATE names the wave and the
 * number that did not pass; ERR_CANCELLED paused by flag or signal. The summary is
 * written and printed either way. */
must_check int run_campaign(struct migration *m, const struct run_opts *o, struct err *e);

#endif
