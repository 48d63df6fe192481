#ifndef ROLE_CORE_TRANSFER_H
#define ROLE_CORE_TRANSFER_H
/*
 * Jobs that import or export identities (protocol/service.md 2.7) as they run: a piece of
 * the file after the other is read or written by the process that may connect out
 * (role/hookd.h). What a piece has done and how far the job has come are one transaction.
 */
#include "role/core.h"

struct core_transfers *core_transfer_new(struct core *c);
void core_transfer_free(struct core_transfers *k);

/* An answer of that process to nobody else's question. */
void core_transfer_answer(struct core *c, const struct ipc_frame *f);
/* Its link is gone, or there is a new one: what was asked is asked again. */
void core_transfer_again(struct core *c);

/* core_registry.c: an identity as an import has it, inside a turn. *ret_why: what is
 * wrong with it, OK: nothing. -1: the store failed. */
must_check int core_registry_import(struct core *c, struct span host,
    const struct ipc_registry_item *m, struct err *ret_why, struct err *e);

#endif
