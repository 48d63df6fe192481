#ifndef ROLE_SERVER_CERT_H
#define ROLE_SERVER_CERT_H
/*
 * The certificates that an edge shows its peers, and the TLS server made of them: asked
 * of the core with keys made here, asked for again at two thirds of their life or when
 * another CA issues them, replaced without dropping a connection. One is P-256 (or has
 * the key that server.tls_key names); with server.rsa there is an RSA one beside it, for
 * clients that know no ECDSA.
 */
#include "codec/ipc_msg.h"
#include "base/own.h"
#include "base/span.h"

struct config;
struct core_link;
struct key_client;
struct loop;
struct server_cert;
struct tls_server;

struct server_cert_opts {
	struct loop *loop;
	const struct config *config;
	struct core_link *core;
	struct key_client *keys; /* for server.tls_key */
	/* The first certificate is there. */
	void (*on_ready)(void *arg, struct tls_server *tls);
	void *arg;
};

/* What opts names is borrowed. */
struct server_cert *server_cert_new(const struct server_cert_opts *opts);
/* After whatever uses its TLS server. */
void server_cert_free(struct server_cert *s);
own_define(struct server_cert, server_cert_free);
/* NULL before on_ready. */
struct tls_server *server_cert_tls(const struct server_cert *s);
/* The CA, by its SHA-256, that issues such certificates now; empty: not known. */
void server_cert_issuer(struct server_cert *s, struct span sha256);
void server_cert_tickets(struct server_cert *s, const struct ipc_tickets *m);
/* The core is there: asks for what is due, rather than at the next tick. */
void server_cert_hurry(struct server_cert *s);
/* Asks for nothing any more. */
void server_cert_rest(struct server_cert *s);

#endif
