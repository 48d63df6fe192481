#ifndef DOMAIN_PRINCIPAL_H
#define DOMAIN_PRINCIPAL_H
/*
 * Operators: a name, a role (tbl/role.def), and what lets them in: certificates (by
 * SHA-256, store.h) and a secret with an application ID, by which they sign in for tokens
 * (domain/access/signin.h). The secret has 256 random bits and is shown once; the store
 * has a salted SHA-256 of it, and needs nothing slower.
 */
#include "domain/domain.h"
#include "store/operator.h"

/* The rights of a role; 0 for a word that is none. */
uint32_t principal_rights(const char *role);
/* ERR_PARSE lists the roles. */
must_check int principal_check_role(struct span role, struct err *e);
/* Letters, digits and -_.@, at most 64, not beginning with a dot. */
bool principal_is_name(struct span name);

/* A new one without a secret, not stored yet. Texts live in a. */
struct store_principal principal_new(
    const char *name, const char *role, int64_t now_ms, struct arena *a);

/* operator_put. *ret_secret (in d->arena) is "" where none was made. ERR_CONFLICT where
 * it would leave no owner. */
must_check int principal_put(struct domain *d, const struct ipc_operator_put *m,
    struct store_principal *ret, const char **ret_secret, struct err *e);
/* Its secret, tokens and certificates let it in no more. ERR_CONFLICT for the last owner.
 */
must_check int principal_delete(struct domain *d, struct span name, struct err *e);

/* Whether that is the secret, by its SHA-256, and still good. Constant time. */
bool principal_is_secret(
    const struct store_principal *p, struct span sha256, int64_t now_ms);

#endif
