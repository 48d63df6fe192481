#ifndef CMD_LEAF_FILES_H
#define CMD_LEAF_FILES_H
/*
 * The three files of a device in a directory: ID.key (0600), ID.pem, ID-fullchain.pem.
 * They become durable together, by one leaf_files_sync at the end.
 */
#include <stdbool.h>

#include "base/err.h"
#include "base/span.h"

struct leaf_files {
	const char *dir;
	int fd;
};

/* Makes the directory (0700) where it is not there. */
must_check int leaf_files_open(const char *dir, struct leaf_files *ret, struct err *e);
void leaf_files_close(struct leaf_files *f);
/* All three are there and none is empty. */
bool leaf_files_has(const struct leaf_files *f, struct span id);
/* Writes over what an interrupted run left; never through a link. leaf, issuer: DER. May
 * be called by several threads. */
must_check int leaf_files_put(const struct leaf_files *f, struct span id,
    struct span key_pem, struct span leaf, struct span issuer, struct err *e);
must_check int leaf_files_sync(const struct leaf_files *f, struct err *e);

#endif
