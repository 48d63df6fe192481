#ifndef FLEET_BLOB_H
#define FLEET_BLOB_H
/*
 * Blobs of Azure Storage: put and get, authorized by the account's key (Shared Key) or a
 * shared access signature. No list, no delete.
 */
#include "fleet/rest.h"

struct blob;

/* container: its URL. One of sas and key is given, as it stands in its file; both are
 * secrets. Plain http is taken on loopback alone, for an emulator. */
must_check struct blob *blob_new(struct loop *l, const char *container, struct span sas,
    struct span key, struct err *e);
void blob_free(struct blob *b);
own_define(struct blob, blob_free);
/* name: "crl/device-ca/0.crl". ERR_NOT_FOUND. */
must_check int blob_get(struct blob *b, const char *name, struct buf *out, struct err *e);
must_check int blob_put(
    struct blob *b, const char *name, const char *type, struct span body, struct err *e);

#endif
