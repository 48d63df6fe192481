#ifndef FLEET_PUBLISH_H
#define FLEET_PUBLISH_H
/*
 * Publishing CRLs where their readers look for them: a directory that a web server
 * serves, or a container of Azure Blob Storage. What the server hands out is believed
 * only after a look: each list must be signed by the CA it is filed under, be of the
 * place it goes to, and be younger than what lies there.
 */
#include "fleet/rest.h"

struct cert;

struct publish_opts {
	const char
	    *to; /* a directory, or https://ACCOUNT.blob.core.windows.net/CONTAINER */
	const char *sas_file; /* a shared access signature (its query text), or */
	const char *key_file; /* the account's key; both files 0600 */
};

struct publish_report {
	size_t written, unchanged, refused;
	char first[512]; /* why the first was refused; "" */
};
#define PUBLISH_PROBLEMS 65536

struct publish;
/* ERR_USAGE on a target or a secret that is none. */
must_check struct publish *publish_new(
    struct loop *l, const struct publish_opts *o, struct err *e);
void publish_free(struct publish *p);
own_define(struct publish, publish_free);
/* One round: every list of the server, and the CA certificates. A list that is refused,
 * or that the server does not have after all, is counted, has a line in problems (as long
 * as there is room) and is left as it is there; -1 where server or target cannot be
 * reached. */
must_check int publish_run(struct publish *p, struct rest *server,
    struct publish_report *ret, struct buf *problems, struct err *e);

/* Is der the list to file at path ("/crl/device-ca/0.crl"), after what lies there now
 * (SPAN_NONE: nothing)? *ret_same: it is the same list. ERR_CONFLICT, ERR_CRYPTO. */
must_check int publish_check(struct span der, const struct cert *ca, const char *path,
    struct span there, bool *ret_same, struct err *e);

#endif
