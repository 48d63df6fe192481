#ifndef DOMAIN_CERTIFICATES_H
#define DOMAIN_CERTIFICATES_H
/*
 * The inventory: what was issued here, in which state it is, and, where a device uses it,
 * since when and how the device says it holds the key.
 */
#include "domain/domain.h"

#define CERTIFICATES_PAGE 256 /* at most in one go: the turn stays short */

/* Visits a page of what the query asks for, oldest first; rows are valid during the call.
 * *ret_next: where to go on (the query's "after"), 0 at the end. PARSE on a state that is
 * none. NOT_FOUND on an issuer that is none. */
must_check int certificates_page(struct domain *d, const struct ipc_cert_query *m,
    int (*visit)(void *ctx, const struct ipc_cert_row *row, struct err *e), void *ctx,
    int64_t *ret_next, struct err *e);

#endif
