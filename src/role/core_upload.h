#ifndef ROLE_CORE_UPLOAD_H
#define ROLE_CORE_UPLOAD_H
/*
 * File uploads in the core: the storage account (or none), read before the jail.
 */
#include "base/err.h"
#include "base/own.h"

struct core;
struct core_upload;

/* NULL where the key's file cannot be read or is open to others. */
must_check struct core_upload *core_upload_new(struct core *c, struct err *e);
void core_upload_free(struct core_upload *u);
own_define(struct core_upload, core_upload_free);
/* Forgets what is too old, now and then; inside a turn. */
must_check int core_upload_trim(struct core *c, struct err *e);

#endif
