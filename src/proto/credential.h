#ifndef PROTO_CREDENTIAL_H
#define PROTO_CREDENTIAL_H
/*
 * What a peer proves itself by, as struct ipc_cred: a SAS token split into its fields, or
 * a certificate whose chain is judged here. Judged once and kept by its owner; the core
 * decides what it is worth. Holds a secret: wiped when freed, never logged.
 */
#include "codec/ipc_msg.h"

struct credential;
struct env;
struct ssl_st;

/* A credential of kind CRED_NONE. */
struct credential *credential_none(void);
/* From the text of a token. ERR_PARSE; the error holds nothing of the token. */
must_check struct credential *credential_of_sas(struct span token, struct err *e);
/* From the certificates of a TLS peer, CRED_NONE where it showed none (or ssl is NULL: a
 * plain stream). A chain that does not parse is a credential with verdict
 * CHAIN_MALFORMED. */
struct credential *credential_of_tls(struct ssl_st *ssl, const struct env *env);
/* The rule of every plane: a non-empty token counts, else the certificate
 * (protocol/device.md 3.4). */
must_check struct credential *credential_of(
    struct span token, struct ssl_st *ssl, const struct env *env, struct err *e);
/* From an Authorization header of HTTP Basic (RFC 7617): user and password, which stays
 * here as its SHA-256 alone. The password has no colon, the user may (device IDs do).
 * ERR_PARSE; the error holds nothing of the header. */
must_check struct credential *credential_of_basic(struct span header, struct err *e);
/* From an Authorization header of the scheme Bearer (RFC 6750 2.1): a token that an
 * operator signed in for. ERR_PARSE or ERR_LIMIT; the error holds nothing of it. */
must_check struct credential *credential_of_bearer(struct span header, struct err *e);
bool credential_is_bearer(struct span header);
void credential_free(struct credential *c);
own_define(struct credential, credential_free);

/* Lives as long as c. */
const struct ipc_cred *credential_ipc(const struct credential *c);
/* True for a certificate whose verdict is final (crypto/chain.h). */
bool credential_is_unusable(const struct credential *c);

#endif
