#ifndef ROLE_CORE_SCHEDULE_H
#define ROLE_CORE_SCHEDULE_H
/*
 * Scheduled jobs (protocol/service.md 2.7) as they run: a slice of one job a turn, in
 * turn. What a slice has done to devices and how far it has come are one transaction, so
 * no restart does an update twice; a call that was under way counts as failed then.
 */
#include "role/core.h"

struct core_schedule *core_schedule_new(struct core *c);
void core_schedule_free(struct core_schedule *k);

#endif
