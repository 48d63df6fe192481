#ifndef ROLE_CORE_BACKLOG_H
#define ROLE_CORE_BACKLOG_H
/*
 * What a start leaves to do: identities that were connected when the core before ended,
 * and tags of twins that are older than the index of tags. A million of either take many
 * seconds, so it is done in slices, with turns of others between them. Until then such an
 * identity is said to be connected, and queries by tag look at every twin.
 */
#include "role/core.h"

struct core_backlog;

/* Reads what there is, and does what is short at once; inside a transaction, before there
 * are sessions. NULL on failure. */
struct core_backlog *core_backlog_new(struct core *c, struct err *e);
void core_backlog_free(struct core_backlog *b);
own_define(struct core_backlog, core_backlog_free);

#endif
