#ifndef STORE_OPERATOR_H
#define STORE_OPERATOR_H
/*
 * Operators by name (store.h has their certificates), and the keys that their tokens are
 * signed with. Contracts of time, memory and errors are those of store/store.h.
 */
#include "store/store.h"

struct store_principal {
	const char *name;   /* primary key; store_operator.name is one of these */
	const char *app_id; /* unique */
	const char *role;
	struct span salt, secret; /* domain/access/principal.h; empty: it has none */
	int64_t added_ms, secret_ms, secret_end_ms; /* end 0: none is set */
	int64_t signin_ms;                          /* the last; 0: never */
};

must_check int store_principal_get(struct store *s, const char *name, struct arena *a,
    struct store_principal *ret, struct err *e);
must_check int store_principal_by_app(struct store *s, const char *app_id,
    struct arena *a, struct store_principal *ret, struct err *e);
/* Inserts or rewrites. */
must_check int store_principal_put(
    struct store *s, const struct store_principal *p, struct err *e);
must_check int store_principal_del(struct store *s, const char *name, struct err *e);
/* In the order of their names. */
must_check int store_principal_each(struct store *s,
    int (*visit)(void *ctx, const struct store_principal *p, struct err *e), void *ctx,
    struct err *e);

/* Certificates of that name that are enabled and end after now_ms. */
must_check int store_operator_count(
    struct store *s, const char *name, int64_t now_ms, int64_t *ret, struct err *e);
/* No certificate of that name lets in any more. */
must_check int store_operator_disable(struct store *s, const char *name, struct err *e);

struct store_token_key {
	const char *kid;
	struct span key;  /* PKCS#8 PEM, a secret */
	struct span spki; /* DER */
	int64_t made_ms;
};

must_check int store_token_key_get(struct store *s, const char *kid, struct arena *a,
    struct store_token_key *ret, struct err *e);
/* The youngest; NOT_FOUND where there is none. */
must_check int store_token_key_newest(
    struct store *s, struct arena *a, struct store_token_key *ret, struct err *e);
must_check int store_token_key_add(
    struct store *s, const struct store_token_key *k, struct err *e);
/* Drops those made before. */
must_check int store_token_key_trim(struct store *s, int64_t before_ms, struct err *e);

#endif
