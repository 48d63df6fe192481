#ifndef ROLE_CORE_CONFIGURATION_H
#define ROLE_CORE_CONFIGURATION_H
/*
 * Configurations (protocol/service.md 2.7) at work: after each change of one, and of an
 * identity, those that may be concerned are looked at, a slice a turn.
 */
#include "role/core.h"

struct core_configurations *core_configuration_new(struct core *c);
void core_configuration_free(struct core_configurations *k);

#endif
