#ifndef CMD_RESOURCE_H
#define CMD_RESOURCE_H
/*
 * Hubs and provisioning services as resources: what their commands share.
 */
#include "cmd/remote.h"

#define RESOURCE_DPS "2021-10-15" /* with the bodies that az sends (service.md 0.2) */

/* The version of the resource manager's API that is spoken. */
const char *resource_version(enum sign_in_plane of);

/* muster dps certificate (dps_certificate.c). argv[0] is the verb. */
must_check int dps_certificate(int argc, char **argv, struct err *e);

#endif
