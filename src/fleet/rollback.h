#ifndef FLEET_ROLLBACK_H
#define FLEET_ROLLBACK_H
/*
 * Back to SAS: identity (type and keys) restored on the hub, the device told to revert,
 * and the SAS connection found in the hub's own log.
 */
#include "fleet/migration.h"

/* One device, or with device NULL all of a wave that were begun. ERR_CONFLICT while
 * SAS is shut at the hub by a seal. Devices that fail are named; the others go on. */
must_check int rollback_run(
    struct migration *m, const char *device, int64_t wave, struct err *e);

#endif
