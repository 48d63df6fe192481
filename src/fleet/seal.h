#ifndef FLEET_SEAL_H
#define FLEET_SEAL_H
/*
 * Turning SAS off, in stages, each proved by a SAS attempt that worked before it and is
 * refused after it. Repeatable: a stage that is done is proved again.
 */
#include "fleet/migration.h"

struct seal_opts {
	int64_t window_ms; /* of the verification that must be clean first */
	bool keep_modules; /* leave disableModuleSAS: those of IoT Edge know no X.509 */
	bool keep_hub;     /* only the devices' stage */
	bool cut_dps; /* the hub's too where the provisioning service needs its keys */
};

must_check int seal_fleet(struct migration *m, const struct seal_opts *o, struct err *e);

#endif
