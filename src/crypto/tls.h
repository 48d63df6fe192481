#ifndef CRYPTO_TLS_H
#define CRYPTO_TLS_H
/*
 * TLS contexts. src/io hands the SSL to libevent's bufferevent_openssl; only this folder
 * knows what is inside. The server takes any client certificate (protocol/device.md 6):
 * the handshake proves possession, chain.h judges afterwards.
 */
#include "crypto/cert.h"
#include "crypto/key.h"

struct ssl_st;     /* OpenSSL's SSL */
struct ssl_ctx_st; /* OpenSSL's SSL_CTX */

#define TLS_PEER_MAX    10 /* certificates a client may send; more end the handshake */
#define TLS_OPENSSL_MIN "3.0.17"

/* Once a process, before any jail: checks the library's version (ERR_UNSUPPORTED, says
 * which is needed) and touches everything in OpenSSL that opens files or fetches lazily,
 * so that a process with no file system does TLS, keys and randomness. Harmless to
 * repeat. */
must_check int tls_init(struct err *e);

/* --- server --- */
struct tls_server;
/* Leaf and chain from PEM (leaf first) and its key. */
must_check struct tls_server *tls_server_new(
    struct span chain_pem, struct key *key, struct err *e);
/* New connections get the new certificate (and no added one); old ones go on. On failure
 * the old one stays.
 */
must_check int tls_server_replace(
    struct tls_server *t, struct span chain_pem, struct key *key, struct err *e);
/* A second certificate of the other key type (RSA beside EC), for old stacks. */
must_check int tls_server_add(
    struct tls_server *t, struct span chain_pem, struct key *key, struct err *e);
void tls_server_free(struct tls_server *t);
own_define(struct tls_server, tls_server_free);
/* Keys of session tickets: what new ones are made with, and what older ones may have been
 * made with (empty: none). Without keys, as at first, nobody resumes. Whoever shares them
 * takes each other's tickets. TLS 1.2 clients that ask for one get a ticket; those of 1.3
 * where tls_offer_ticket said so, since one costs a fifth of a handshake (LIBRARIES 3.2).
 * A resumed session shows the certificates of the handshake it comes from, to be judged
 * anew. */
#define TLS_TICKET_KEY    80
#define TLS_TICKET_LIFE_S (6 * 3600)
void tls_server_tickets(struct tls_server *t, struct span now, struct span before);
/* Before the handshake: the client probably comes back soon. */
void tls_offer_ticket(struct ssl_st *ssl);
/* A new server-side SSL; the caller owns it (bufferevent_openssl takes it over). */
must_check struct ssl_st *tls_server_ssl(struct tls_server *t, struct err *e);
/* The context new connections are made from; borrowed, changes with a replace. For
 * evhttp. */
struct ssl_ctx_st *tls_server_ctx(struct tls_server *t);

/* --- client --- */
struct tls_client;
struct tls_client_options {
	struct span roots_pem; /* replaces the default store; empty: the system\'s */
	struct span chain_pem; /* own certificate and chain, leaf first; empty: none */
	struct key *key;
	int64_t now_ms; /* the time that servers are judged by; 0: the system's, always */
	/* now_ms is the earliest that it can be, no more is known: a server's chain is
	 * judged at that or at its leaf's notBefore, the later (agent/clock_floor.h) */
	bool is_floor;
};
must_check struct tls_client *tls_client_new(
    const struct tls_client_options *o, struct err *e);
void tls_client_free(struct tls_client *t);
own_define(struct tls_client, tls_client_free);
/* A client SSL that verifies host (a DNS name, or an IP address as text) and sends SNI.
 */
must_check struct ssl_st *tls_client_ssl(
    struct tls_client *t, const char *host, struct err *e);
/* Makes every connection of the context verify host (a DNS name, or an IP address as
 * text). For libmosquitto, which checks no name when it is handed a context. */
must_check int tls_client_pin_host(struct tls_client *t, const char *host, struct err *e);
/* For libcurl, which sets host checks itself, and libmosquitto, which does not (pin the
 * host). Borrowed. */
struct ssl_ctx_st *tls_client_ctx(struct tls_client *t);
/* Gives a context that somebody else made (libcurl) all that t's own has. */
must_check int tls_client_apply(
    const struct tls_client *t, struct ssl_ctx_st *ctx, struct err *e);

/* --- a finished handshake, either side --- */
void tls_ssl_free(struct ssl_st *ssl);
/* The peer's certificates, leaf first, not parsed again; n = 0 when it sent none. A
 * certificate that does not fit cert.h's rules fails with ERR_PARSE. */
must_check int tls_peer_chain(struct ssl_st *ssl, struct cert_list *ret, struct err *e);
/* Drops what OpenSSL keeps of the peer's chain (5 KB a connection). The list stays good.
 */
void tls_forget_peer(struct ssl_st *ssl);
/* What is this connection's and no other's, the same at both ends. TLS_UNIQUE: of TLS 1.2
 * alone (RFC 5929 3; ERR_UNSUPPORTED on 1.3, and on a 1.2 without the extended master
 * secret, where two connections can have the same one: RFC 7627 5.4). TLS_EXPORTER: RFC
 * 9266, of 1.3, and of 1.2 with the extended master secret. */
enum tls_binding { TLS_UNIQUE, TLS_EXPORTER };
#define TLS_BINDING_MAX 64
must_check int tls_channel_binding(struct ssl_st *ssl, enum tls_binding which,
    uint8_t out[TLS_BINDING_MAX], size_t *ret_len, struct err *e);
const char *tls_version(const struct ssl_st *ssl); /* "TLSv1.3" */
const char *tls_cipher(const struct ssl_st *ssl);
const char *tls_sni(const struct ssl_st *ssl); /* NULL: none sent */
bool tls_resumed(const struct ssl_st *ssl);
/* Takes OpenSSL's oldest queued error into e and empties the queue: "context: certificate
 * verify failed". Never a secret. Returns -1. */
int tls_error(struct err *e, enum err_code code, const char *context);

#endif
