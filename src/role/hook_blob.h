#ifndef ROLE_HOOK_BLOB_H
#define ROLE_HOOK_BLOB_H
/*
 * Blobs of imports and exports, in the process that may connect out: a piece of one is
 * read and made into identities, identities are made into a piece and written. What opens
 * a container is in its URI; it is in no log and no error.
 */
#include "codec/ipc_msg.h"

struct hook_call_pool;

/* What came of it, once: IPC_BLOB_LINES or, with DONE, nothing more to say; why: what
 * failed (type is DONE, msg NULL). */
typedef void hook_blob_fn(
    void *arg, uint64_t id, enum ipc_type type, const void *msg, const struct err *why);

must_check int hook_blob_read(struct hook_call_pool *h, const struct ipc_blob_read *m,
    uint64_t id, hook_blob_fn *fn, void *arg, struct err *e);
must_check int hook_blob_write(struct hook_call_pool *h, const struct ipc_blob_write *m,
    uint64_t id, hook_blob_fn *fn, void *arg, struct err *e);

#endif
