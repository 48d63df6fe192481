#ifndef DOMAIN_EST_TOKEN_H
#define DOMAIN_EST_TOKEN_H
/*
 * One-time tokens: a secret that lets one device have one certificate, once. The store
 * holds its SHA-256; it has 256 random bits, so nothing slower is needed.
 */
#include "domain/domain.h"
#include "store/pki.h"

/* A new one for a device, in place of the one it has. *ret_secret, in d->arena, is
 * nowhere else. m->create makes the identity (certificateAuthority) where there is none;
 * else ERR_NOT_FOUND. */
must_check int est_token_put(struct domain *d, const struct ipc_token_put *m,
    const char *by, struct store_token *ret, const char **ret_secret, struct err *e);

/* The token that cred shows, used or not; refuses an unknown or expired one, and
 * whoever sent too many wrong ones. */
must_check int est_token_check(struct domain *d, const struct ipc_cred *cred,
    struct span address, struct store_token *ret, struct refusal *no, struct err *e);
/* Uses it up. A token that was put meanwhile is another one, and stays. */
must_check int est_token_use(
    struct domain *d, const char *device_id, const char *sha256, struct err *e);

#endif
