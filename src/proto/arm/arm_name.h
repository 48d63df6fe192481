#ifndef PROTO_ARM_NAME_H
#define PROTO_ARM_NAME_H
/*
 * What the resource manager calls things here: a hub by the first label of its host name
 * ("hub" of hub.example.net), or by all of it with dots as dashes where that is an
 * address or two hubs share the label; the provisioning service so by the first of
 * server.name. "muster" means the first hub, and the provisioning service, too; a host
 * name in full means itself. There is one subscription and one resource group, and
 * whatever the caller calls those is right.
 */
#include "base/arena.h"
#include "base/span.h"

struct config;

#define ARM_NAME_GROUP "muster"

/* The i-th of hub.name. Text in a. */
const char *arm_name_of_hub(const struct config *cfg, size_t i, struct arena *a);
const char *arm_name_of_dps(const struct config *cfg, struct arena *a);
/* Which hub is meant: its index in hub.name. False: none. */
bool arm_name_find_hub(
    const struct config *cfg, struct span name, struct arena *a, size_t *ret);
bool arm_name_is_dps(const struct config *cfg, struct span name, struct arena *a);
/* The subscription's ID, the same for all of this server's life; in a. */
const char *arm_name_subscription(const struct config *cfg, struct arena *a);

#endif
