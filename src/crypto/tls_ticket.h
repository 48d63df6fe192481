#ifndef CRYPTO_TLS_TICKET_H
#define CRYPTO_TLS_TICKET_H
/*
 * Session tickets of a server (RFC 5077, RFC 8446 4.6.1), of no use outside crypto/tls.c.
 * A ticket remembers the client's certificates and nothing that was concluded from them:
 * whoever resumes is judged anew, by date, chain and revocation, as with a full
 * handshake.
 */
#include "crypto/tls.h"

struct x509_store_ctx_st;

struct tls_ticket_key {
	uint8_t name[16], aes[32], hmac[32];
};
struct tls_ticket_keys {
	bool valid;
	struct tls_ticket_key now, before; /* the same where there is no older one */
};

/* Gives ctx our tickets. Keys are copied; while they are not valid, connections are told
 * tls_ticket_none. */
must_check int tls_ticket_use(
    struct ssl_ctx_st *ctx, const struct tls_ticket_keys *keys, struct err *e);
/* From now on these. */
void tls_ticket_keys(struct ssl_ctx_st *ctx, const struct tls_ticket_keys *keys);
/* This connection gets none, and resumes none. */
void tls_ticket_none(struct ssl_st *ssl);
/* Inside the verification of a full handshake: a chain that is too large to be carried in
 * a ticket gets none. */
void tls_ticket_fits(struct ssl_st *ssl, struct x509_store_ctx_st *sent);
/* Adds to l the CA certificates of a resumed session, as they came in the full handshake.
 */
must_check int tls_ticket_chain(struct ssl_st *ssl, struct cert_list *l, struct err *e);

#endif
