#ifndef PROTO_HTTP_SERVER_H
#define PROTO_HTTP_SERVER_H
/*
 * HTTP of an edge: finds the route (tbl/route.def), checks what its row says
 * (credential, body cap), hands a call to its handler, and writes errors in the route's
 * dialect.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

struct env;
struct http_server;
struct tls_server;

/* env is borrowed. */
struct http_server *http_server_new(const struct env *env, struct err *e);
/* The same for plain HTTP: it has the routes that accept PUBLIC and no others. */
struct http_server *http_server_new_public(const struct env *env, struct err *e);
/* Requests under way are dropped. */
void http_server_free(struct http_server *h);
own_define(struct http_server, http_server_free);
/* As http_listen and http_set_tls of io/http.h. tls NULL: plain, for tests. */
must_check int http_server_listen(struct http_server *h, int fd, struct err *e);
void http_server_set_tls(struct http_server *h, struct tls_server *tls);
/* As http_drain of io/http.h; over when no connection is left. */
void http_server_drain(struct http_server *h);
size_t http_server_conns(const struct http_server *h);

#endif
