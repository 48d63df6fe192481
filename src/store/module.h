#ifndef STORE_MODULE_H
#define STORE_MODULE_H
/*
 * Modules: identities below a device (protocol/service.md 2.2). One is a row of the
 * devices, named "device/module", so the verbs of a device (store/store.h) read and write
 * it; only the list of them is here. Same contracts as store/store.h.
 */
#include "store/store.h"

/* Visits the modules of a device in ascending order; none where there is no such device.
 */
must_check int store_module_each(struct store *s, const char *device_id,
    int (*visit)(void *ctx, const struct store_device *m, struct err *e), void *ctx,
    struct err *e);

#endif
