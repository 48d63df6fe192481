#ifndef DOMAIN_LEAF_H
#define DOMAIN_LEAF_H
/*
 * Judging a client certificate from what the edge found: its chain's verdict, its dates
 * against the core's own clock, whose CA signed it.
 */
#include "domain/domain.h"

#define LEAF_THUMB 65
/* Lower-case hex SHA-256 of the leaf; "" where the credential is none. */
void leaf_thumb(const struct ipc_cred *cred, char out[LEAF_THUMB]);

/* Refuses outside its dates, however good the chain is. */
must_check int leaf_check_dates(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e);
/* A chain that ends at a trusted CA, none of it a service CA, within its dates, and one
 * CN. */
must_check int leaf_check_chain(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e);
/* The SHA-256 of the i-th CA above the leaf (0 = issuer), or SPAN_NONE past the last. */
struct span leaf_ca(const struct ipc_cred *cred, size_t i);

#endif
