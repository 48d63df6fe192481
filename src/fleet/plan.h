#ifndef FLEET_PLAN_H
#define FLEET_PLAN_H
/*
 * The plan: inventory and hub compared, waves drawn, all of it recorded in a new
 * campaign. It changes nothing on the server and touches no device.
 */
#include "fleet/migration.h"

struct plan_opts {
	const char *inventory; /* file */
	const char *known_hosts;
	const char *waves; /* NULL: wave_default */
	const char *group;
	bool in_order; /* of the inventory; else shuffled */
	int64_t seed;  /* of the shuffle; 0: drawn, and recorded either way */
};

/* Makes the campaign directory (0700) and file. ERR_EXISTS where a campaign is there,
 * unless no device of it has begun: then it is planned anew. Prints the plan to stdout.
 */
must_check int plan_make(
    const struct migration_opts *o, const struct plan_opts *p, struct err *e);

#endif
