#ifndef DOMAIN_SIGNIN_H
#define DOMAIN_SIGNIN_H
/*
 * Operators who sign in by their secret, and the tokens they get for it: for one
 * audience, for SIGNIN_LIFE_S, and no longer than the secret and the operator last. A
 * token says who it is; what that one may do is looked up each time
 * (docs/decisions/0020).
 */
#include "domain/domain.h"

#define SIGNIN_LIFE_S      3600
#define SIGNIN_KEY_LIFE_MS (INT64_C(30) * 86400 * 1000) /* then another one signs */

/* ERR_DENIED's refusal: wrong application or secret; throttled where too many wrong ones
 * came from the source, or for the application (domain/access/signin_guard.h). *ret_token
 * lives in d->arena. */
must_check int signin_check(struct domain *d, const struct ipc_signin *m,
    const char **ret_token, struct refusal *no, struct err *e);

/* Whether a credential of kind CRED_BEARER lets its bearer do "right": signature, dates,
 * audience of the right's plane, the operator's role. */
must_check int signin_authorize(struct domain *d, const struct ipc_cred *cred,
    uint32_t right, struct refusal *no, struct err *e);
/* The operator that a token which was found good names; in d->arena. */
must_check int signin_name(
    struct domain *d, const struct ipc_cred *cred, const char **ret, struct err *e);

#endif
