#ifndef IO_STREAM_H
#define IO_STREAM_H
/*
 * A byte stream on an accepted connection, over TLS (or plain, for tests and for what is
 * public anyway), and the listener that makes streams; or on a connection that was
 * HTTP's, in the frames of a WebSocket. It knows no protocol on top of that. Callbacks
 * come from the loop, never from inside a function of this header.
 *
 * Life: accepted -> handshake -> on_ready -> on_data, on_drained ... -> on_closed, after
 * which the stream frees itself. The owner ends it by stream_close (graceful, on_closed
 * still comes) or stream_free (at once, nothing comes any more), from any callback.
 */
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct http_req;
struct loop;
struct ssl_st;
struct stream;
struct stream_listener;
struct tls_server;

/* Times are network time: the machine's clock, also where the loop's clock is virtual. */
struct stream_opts {
	int64_t handshake_ms; /* from accept to on_ready, whole */
	int64_t idle_ms;      /* without a byte from the peer; 0: none. See stream_idle */
	int64_t write_ms;     /* that it takes nothing of what waits for it; 0: none */
	int64_t close_ms;     /* for a graceful close to finish */
	size_t in_max;        /* pending; full and none consumed closes (ERR_LIMIT) */
	size_t out_max;       /* waiting to be sent; over it closes (ERR_LIMIT) */
};

struct stream_ops {
	/* The handshake is done; stream_ssl tells the peer's certificates. May be NULL.
	 */
	void (*on_ready)(void *arg);
	/* All that is pending, again with each arrival until consumed. */
	void (*on_data)(void *arg, struct span pending);
	/* Everything written has left. May be NULL. */
	void (*on_drained)(void *arg);
	/* Once, last. why->code: ERR_OK the peer closed or stream_close finished;
	 * ERR_TIMEOUT; ERR_LIMIT; ERR_CRYPTO the handshake or a record failed; ERR_PARSE
	 * frames were malformed; ERR_IO. */
	void (*on_closed)(void *arg, const struct err *why);
};

/* Says who handles the stream: set inside on_accept. */
void stream_handle(struct stream *s, const struct stream_ops *ops, void *arg);
/* Drops n bytes (<= pending) from the front. Allowed in on_data and later. */
void stream_consume(struct stream *s, size_t n);
struct span stream_pending(struct stream *s);
/* Queues bytes. After a close, or past out_max (which closes), they are dropped. */
void stream_write(struct stream *s, struct span bytes);
size_t stream_queued(const struct stream *s);
/* Stops (and resumes) on_data and reading, so that the peer feels back-pressure. */
void stream_pause(struct stream *s, bool paused);
/* Changes idle_ms, for keep-alive times that a peer names. */
void stream_idle(struct stream *s, int64_t idle_ms);
/* Sends what is queued, then a WebSocket's Close (1000), then close_notify (RFC
 * 8446 6.1), then closes. No on_data follows. */
void stream_close(struct stream *s);
void stream_free(struct stream *s);
own_define(struct stream, stream_free);

/* "203.0.113.7:49152"; lives as long as the stream. */
const char *stream_peer(const struct stream *s);
/* The connection for crypto/tls.h; NULL on a plain stream. */
struct ssl_st *stream_ssl(const struct stream *s);
struct loop *stream_loop(const struct stream *s);
bool stream_is_websocket(const struct stream *s);

/* A stream in the frames of a WebSocket (io/ws.h) on the connection of an upgrade
 * request, which is taken over from HTTP: r is gone, and its peer must not be. answer:
 * the 101, sent first (it may borrow from r). The caller handles the stream
 * (stream_handle) at once; on_ready comes with the turn's end. It counts as one of HTTP's
 * connections, not of a listener's, and must end before http_free. in_max caps a message
 * too; handshake_ms is not used. */
struct stream *stream_websocket(struct loop *l, struct http_req *r, struct span answer,
    const struct stream_opts *opts);

/* The peer has proved who it is: it counts no more as a stranger to the listener, or to
 * the HTTP server that its connection came from, and its source is served before those of
 * strangers (io/gate.h). Harmless again. */
void stream_prove(struct stream *s);

/* Accepts on a listening socket handed over by main (taken over, also when it fails);
 * handshakes begin as io/gate.h lets them, with as many more peers waiting as conns_max
 * says. tls: NULL for plain; borrowed for the listener's life, its certificate may be
 * replaced meanwhile (tls_server_replace). At conns_max streams, and for a moment when
 * descriptors run out (EMFILE), it stops accepting: peers wait in the kernel's backlog.
 */
struct stream_listener *stream_listen(struct loop *l, int fd, struct tls_server *tls,
    const struct stream_opts *opts, size_t conns_max,
    void (*on_accept)(void *arg, struct stream *s), void *arg, struct err *e);
size_t stream_listener_count(const struct stream_listener *n);
/* No new connections any more, those that wait for their turn among them. */
void stream_listener_drain(struct stream_listener *n);
/* Frees the listener and, like stream_free, every stream it made. */
void stream_listener_free(struct stream_listener *n);
own_define(struct stream_listener, stream_listener_free);

#endif
