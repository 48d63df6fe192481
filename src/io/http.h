#ifndef IO_HTTP_H
#define IO_HTTP_H
/*
 * An HTTP/1.1 server (libevent's evhttp) over TLS or plain, with caps and deadlines. It
 * knows no routes: every request goes to one handler, which answers now or later. It
 * decodes nothing: targets and headers are handed on raw.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct bufferevent;
struct http;
struct http_conn;
struct http_req;
struct loop;
struct ssl_st;
struct tls_server;

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_METHODS
};
const char *http_method_name(enum http_method m);

struct http_opts {
	size_t head_max;    /* bytes of request line and headers; over it 400 or 413 */
	size_t body_max;    /* over it 413 */
	size_t out_max;     /* bytes of a stream that may wait: see http_stream_room */
	size_t conns_max;   /* over it peers wait in the kernel's backlog */
	int64_t request_ms; /* from accept, or a request's first byte, to its last */
	int64_t idle_ms;    /* between requests of a connection */
	int64_t write_ms;   /* a peer that takes nothing for so long is dropped */
	/* A connection on which nothing was proved (http_prove) lives so long, and for as
	 * long as a request takes that is being answered then. 0: as long as any. */
	int64_t unproven_ms;
};

/* Called from the loop for each whole request. r lives until it is answered: exactly one
 * of http_reply, http_stream_end, http_drop, http_take must be called for it, sooner or
 * later. A request that another reader could take for a different one never comes here:
 * it is answered 400, and nothing behind it is read. */
struct http *http_new(struct loop *l, const struct http_opts *opts,
    void (*on_request)(void *arg, struct http_req *r), void *arg, struct err *e);
/* Ends every connection (those taken away must have been ended). Requests not yet
 * answered live on, as with a gone peer. */
void http_free(struct http *h);
own_define(struct http, http_free);

/* Accepts on a listening socket handed over by main (taken over, also when it fails); any
 * number of them. Handshakes begin as io/gate.h lets them; some more
 * than a quarter of conns_max may wait for that. */
must_check int http_listen(struct http *h, int fd, struct err *e);
/* TLS for new connections; old ones live on. Without it the server is plain. Borrowed
 * until replaced or http_free. Call it before http_listen. */
void http_set_tls(struct http *h, struct tls_server *tls);
/* No new connections any more, and those on which nothing is asked end; the others do
 * behind the answer, which says so. What was taken away (http_take) is its owner's to
 * end. */
void http_drain(struct http *h);
/* Without those that wait for their turn. */
size_t http_conns(const struct http *h);

/* The request. All that is handed out is borrowed and valid until r is answered, even
 * after the peer is gone. */
enum http_method http_method(const struct http_req *r);
struct span http_target(const struct http_req *r); /* "/a%20b?x=1", as it came */
struct span http_body(const struct http_req *r);
/* The value, NULL when absent; of a repeated header the first. name in any case. */
const char *http_header(const struct http_req *r, const char *name);
/* The value of the header's n-th appearance, from 0; NULL when it came fewer times. */
const char *http_header_nth(const struct http_req *r, const char *name, size_t n);
/* How many times the header came: a repeated Authorization is refused, not guessed at. */
size_t http_header_count(const struct http_req *r, const char *name);
/* Every header, in the order they came, each as often as it came. */
void http_each_header(const struct http_req *r,
    void (*fn)(void *ctx, const char *name, const char *value), void *ctx);
const char *http_peer(const struct http_req *r); /* "203.0.113.7:49152" */
/* The connection for crypto/tls.h: NULL when plain or once the peer is gone. */
struct ssl_st *http_ssl(const struct http_req *r);
bool http_is_gone(const struct http_req *r);
/* Who sent it has proved an identity: the connection counts no more as a stranger's
 * (io/gate.h). Harmless again, and on a gone peer. */
void http_prove(struct http_req *r);
/* fn is called at most once, from the loop, when the peer goes before the answer is
 * complete. r stays valid in it and after it, until answered. fn NULL forgets it. */
void http_on_gone(struct http_req *r, void (*fn)(void *arg), void *arg);

/* The answer. On a gone peer all of it is harmless. Date, Connection, Content-Length and
 * Transfer-Encoding are set by the server. */
/* Adds a header. Text with CR, LF or NUL in it is a caller's bug and ends the process. */
void http_set(struct http_req *r, const char *name, const char *value);
/* A complete answer; r is gone afterwards. For HEAD the body's length alone is sent. */
void http_reply(struct http_req *r, int status, struct span body);
/* Drops the connection without an answer; r is gone afterwards. */
void http_drop(struct http_req *r);

/* An answer in pieces (chunked). on_room, which may be NULL, is called when the queue,
 * having been full, is empty again. */
void http_stream_start(
    struct http_req *r, int status, void (*on_room)(void *arg), void *arg);
/* Bytes that may be written before the peer is waited for; 0: wait for on_room. */
size_t http_stream_room(const struct http_req *r);
/* Writing past the room is allowed by one piece; who goes on (4 * out_max) loses the
 * peer. */
void http_stream_write(struct http_req *r, struct span piece);
void http_stream_end(struct http_req *r); /* r is gone afterwards */

/* Ends HTTP on the connection of r, which goes on with another protocol; r is gone, what
 * was borrowed from it too. Not for a peer that is gone. The caller takes the callbacks
 * of the bufferevent, its watermarks and its times, and ends the connection by
 * http_conn_end before http_free; until then it counts as one of the server's. For
 * io/stream.c. */
struct http_conn *http_take(struct http_req *r);
struct bufferevent *http_conn_bev(const struct http_conn *c);
void http_conn_prove(struct http_conn *c); /* as http_prove */
void http_conn_end(struct http_conn *c);

#endif
