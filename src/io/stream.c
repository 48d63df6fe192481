/*
 * Streams over bufferevents, and their listener. All ways out meet in drop(); whatever
 * ends a stream from inside one of our functions is told at the turn's end (doom), so an
 * owner is never called back from its own call. What is pending lies in the bufferevent's
 * input, or, where there are frames, in the buffer they were emptied into.
 */
#include "io/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/sm.h"
#include "io/accept.h"
#include "io/gate.h"
#include "io/http.h"
#include "io/netbuf.h"
#include "io/sock.h"
#include "io/ws.h"

enum state { ST_HANDSHAKE, ST_OPEN, ST_FLUSHING, ST_GOODBYE, ST_ENDED, ST_N };

static const struct sm_state states[ST_N] = {
    [ST_HANDSHAKE] = {"handshake", SM_TO(ST_OPEN) | SM_TO(ST_ENDED)},
    [ST_OPEN] = {"open", SM_TO(ST_FLUSHING) | SM_TO(ST_ENDED)},
    [ST_FLUSHING] = {"flushing", SM_TO(ST_GOODBYE) | SM_TO(ST_ENDED)},
    [ST_GOODBYE] = {"goodbye", SM_TO(ST_ENDED)},
    [ST_ENDED] = {"ended", 0},
};
static const struct sm machine = {"stream", states, ST_N};

struct stream_listener {
	struct loop *loop;
	struct accept *accept;
	struct tls_server *tls;
	struct stream_opts opts;
	struct gate *gate;
	size_t conns_max, count;
	struct list streams;
	void (*on_accept)(void *arg, struct stream *s);
	void *arg;
};

struct stream {
	struct list node;
	struct stream_listener *listener; /* NULL once on_closed is under way */
	struct gate_pass *pass;           /* while there is a listener */
	struct loop *loop;
	struct bufferevent *bev;
	struct http_conn *http;   /* whose bev is, where it was taken over; else NULL */
	struct ws *ws;            /* NULL: no frames */
	struct evbuffer *payload; /* of frames; NULL: no frames */
	struct event *deadline; /* of the handshake, or of a graceful close; else NULL */
	struct loop_task task;  /* on_doom, on_plain_ready or on_late_end */
	struct stream_ops ops;
	void *arg;
	struct err *why; /* why it ends, where that is known before the end is told */
	bool *gone;      /* set while a callback runs that goes on after it */
	char *peer;
	size_t in_max, out_max;
	int64_t idle_ms, write_ms, close_ms;
	int state;
	bool paused, is_closing; /* is_closing: on_closed is under way */
};

static void
leave_listener(struct stream *s)
{
	struct stream_listener *n = s->listener;
	if (!n)
		return;
	s->listener = NULL;
	list_del(&s->node);
	gate_leave(s->pass);
	n->count--;
	accept_hold(n->accept, ACCEPT_FULL, n->count >= n->conns_max);
}

/* Owns every pending operation of a stream. */
static void
drop(struct stream *s)
{
	if (s->gone)
		*s->gone = true;
	leave_listener(s);
	loop_defer_cancel(&s->task);
	netbuf_timer_free(s->deadline);
	if (s->http)
		http_conn_end(s->http);
	else
		bufferevent_free(s->bev);
	if (s->ws)
		evbuffer_free(s->payload);
	ws_free(s->ws);
	free(s->why);
	free(s->peer);
	free(s);
}

static void
finish(struct stream *s, const struct err *why)
{
	if (s->state != ST_ENDED)
		sm_move(&machine, &s->state, ST_ENDED);
	bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	s->is_closing = true;
	leave_listener(s); /* on_closed may free the listener */
	if (s->ops.on_closed)
		s->ops.on_closed(s->arg, why);
	drop(s);
}

static void
set_why(struct stream *s, const struct err *why)
{
	if (!s->why)
		s->why = own_alloc(sizeof(*s->why));
	*s->why = *why;
}

static void
on_doom(void *arg)
{
	struct stream *s = arg;
	struct err why = *s->why;
	finish(s, &why);
}

static void
doom(struct stream *s, const struct err *why)
{
	sm_move(&machine, &s->state, ST_ENDED);
	bufferevent_setcb(s->bev, NULL, NULL, NULL, NULL);
	bufferevent_disable(s->bev, EV_READ | EV_WRITE);
	set_why(s, why);
	s->task.fn = on_doom;
	loop_defer(s->loop, LOOP_COMMIT, &s->task);
}

void
stream_free(struct stream *s)
{
	if (s && !s->is_closing) /* else finish() frees it in a moment */
		drop(s);
}

/* --- bytes --- */

static struct evbuffer *
pending_bytes(const struct stream *s)
{
	return s->ws ? s->payload : bufferevent_get_input(s->bev);
}

struct span
stream_pending(struct stream *s)
{
	struct evbuffer *in = pending_bytes(s);
	size_t len = evbuffer_get_length(in);
	return span_of(len ? evbuffer_pullup(in, -1) : NULL, len);
}

void
stream_consume(struct stream *s, size_t n)
{
	struct evbuffer *in = pending_bytes(s);
	assert(n <= evbuffer_get_length(in));
	evbuffer_drain(in, n);
}

size_t
stream_queued(const struct stream *s)
{
	return evbuffer_get_length(bufferevent_get_output(s->bev));
}

static void
say_queue_is_full(const struct stream *s, struct err *e)
{
	err_set(e, ERR_LIMIT, "the peer does not read: %zu bytes wait", stream_queued(s));
}

void
stream_write(struct stream *s, struct span bytes)
{
	struct err e;
	if (s->state != ST_OPEN || !bytes.len)
		return;
	if (bytes.len > s->out_max || stream_queued(s) > s->out_max - bytes.len) {
		say_queue_is_full(s, &e);
		doom(s, &e);
		return;
	}
	if (s->ws)
		ws_write(s->ws, bytes, bufferevent_get_output(s->bev));
	else
		bufferevent_write(s->bev, bytes.p, bytes.len);
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (s->state != ST_OPEN)
		return;
	if (paused) {
		bufferevent_disable(s->bev, EV_READ);
		return;
	}
	bufferevent_enable(s->bev, EV_READ);
	bufferevent_trigger(s->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

void
stream_idle(struct stream *s, int64_t idle_ms)
{
	s->idle_ms = idle_ms;
	if (s->state == ST_OPEN)
		netbuf_timeouts(s->bev, idle_ms, s->write_ms);
}

/* --- closing --- */

/* Why a stream ends that was closing already. */
static void
closing_why(const struct stream *s, struct err *e)
{
	if (s->why)
		err_copy(e, s->why);
	else
		err_set(e, ERR_OK, "closed by us");
}

static void
on_deadline(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct stream *s = arg;
	struct err e;
	if (s->state == ST_HANDSHAKE)
		err_set(&e, ERR_TIMEOUT, "TLS handshake: not finished in time");
	else
		closing_why(s, &e);
	finish(s, &e);
}

static void
start_deadline(struct stream *s, int64_t ms)
{
	if (!s->deadline)
		s->deadline = netbuf_timer_new(loop_base(s->loop), on_deadline, s);
	netbuf_timer_start(s->deadline, ms);
}

static void
say_goodbye(struct stream *s)
{
	sm_move(&machine, &s->state, ST_GOODBYE);
	netbuf_say_goodbye(s->bev);
	/* what the peer still sends is thrown away until it closes: closing with bytes
	 * unread would reset the connection and lose our last ones on their way */
	bufferevent_setwatermark(s->bev, EV_READ, 0, 0);
	bufferevent_enable(s->bev, EV_READ);
}

static void
begin_close(struct stream *s)
{
	if (s->ws)
		ws_close(s->ws, bufferevent_get_output(s->bev));
	sm_move(&machine, &s->state, ST_FLUSHING);
	bufferevent_disable(s->bev, EV_READ);
	netbuf_timeouts(s->bev, 0, 0);
	start_deadline(s, s->close_ms);
	if (!stream_queued(s))
		say_goodbye(s);
}

void
stream_close(struct stream *s)
{
	struct err e;
	err_set(&e, ERR_OK, "closed by us");
	if (s->state == ST_HANDSHAKE)
		doom(s, &e);
	if (s->state == ST_OPEN)
		begin_close(s);
}

/* --- events --- */

static void
become_open(struct stream *s)
{
	sm_move(&machine, &s->state, ST_OPEN);
	netbuf_timer_free(s->deadline);
	s->deadline = NULL;
	netbuf_timeouts(s->bev, s->idle_ms, s->write_ms);
	if (s->paused)
		bufferevent_disable(s->bev, EV_READ);
	if (s->ops.on_ready)
		s->ops.on_ready(s->arg);
}

/* Hands what is pending to the owner. False: nothing is to follow, for the stream is
 * gone, or closing, or paused. */
static bool
deliver(struct stream *s)
{
	struct span pending = stream_pending(s);
	if (s->paused || !pending.len)
		return !s->paused;
	bool gone = false, *caller = s->gone;
	s->gone = &gone;
	s->ops.on_data(s->arg, pending);
	if (gone && caller)
		*caller = true;
	if (gone)
		return false;
	s->gone = caller;
	size_t left = evbuffer_get_length(pending_bytes(s));
	if (s->state != ST_OPEN)
		return false;
	if (left < s->in_max || left != pending.len)
		return !s->paused;
	struct err e;
	err_set(&e, ERR_LIMIT, "%zu bytes came that make no whole message", left);
	finish(s, &e);
	return false;
}

/* What was carried before the end of the frames is still delivered, and may be answered
 * before our Close leaves. */
static void
read_frames(struct stream *s)
{
	struct evbuffer *wire = bufferevent_get_input(s->bev);
	struct evbuffer *back = bufferevent_get_output(s->bev);
	enum ws_more more = WS_FULL;
	struct err e;
	while (more == WS_FULL) {
		more = ws_read(s->ws, wire, s->in_max, s->payload, back, &e);
		if (!deliver(s))
			return;
		if (stream_queued(s) > s->out_max + WS_HEAD_MAX) { /* of pongs */
			say_queue_is_full(s, &e);
			finish(s, &e);
			return;
		}
	}
	if (more != WS_ENDED)
		return;
	set_why(s, &e);
	begin_close(s);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct stream *s = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	if (s->state == ST_HANDSHAKE)
		return; /* of a connection taken over: on_plain_ready comes back to it */
	if (s->state != ST_OPEN)
		evbuffer_drain(in, evbuffer_get_length(in)); /* after our goodbye */
	else if (s->ws && !s->paused)
		read_frames(s);
	else
		deliver(s);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	(void)bev;
	struct stream *s = arg;
	if (stream_queued(s))
		return;
	if (s->state == ST_FLUSHING)
		say_goodbye(s);
	else if (s->state == ST_OPEN && s->ops.on_drained)
		s->ops.on_drained(s->arg);
}

static void
on_late_end(void *arg)
{
	struct stream *s = arg;
	bool gone = false;
	s->gone = &gone;
	on_read(s->bev, s);
	if (gone)
		return;
	s->gone = NULL;
	struct err why = *s->why;
	finish(s, &why);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	struct stream *s = arg;
	struct err e;
	if (what & BEV_EVENT_CONNECTED) {
		become_open(s);
		return;
	}
	netbuf_ended(bev, what, s->state != ST_HANDSHAKE || s->ws, &e);
	if (s->state == ST_FLUSHING || s->state == ST_GOODBYE)
		closing_why(s, &e);
	if (!s->ws || s->state != ST_OPEN) {
		finish(s, &e);
		return;
	}
	/* a bufferevent of evhttp tells of the end before it tells of what came in the
	 * same moment: the last packet, and whether a will is due */
	set_why(s, &e);
	s->task.fn = on_late_end;
	loop_defer(s->loop, LOOP_COMMIT, &s->task);
}

/* A plain stream has no handshake to wait for. Reading begins only now: libevent may
 * dispatch several times a turn, and bytes of before would find a stream that is not open
 * and be dropped. */
static void
on_plain_ready(void *arg)
{
	struct stream *s = arg;
	bufferevent_enable(s->bev, EV_READ);
	if (s->ws) /* frames that came behind the request have been read already */
		bufferevent_trigger(s->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
	become_open(s);
}

/* --- accepting --- */

void
stream_handle(struct stream *s, const struct stream_ops *ops, void *arg)
{
	s->ops = *ops;
	s->arg = arg;
}

static struct stream *
stream_new(struct loop *l, struct bufferevent *bev, const struct stream_opts *opts,
    const char *peer)
{
	struct stream *s = own_alloc(sizeof(*s));
	s->loop = l;
	s->bev = bev;
	s->task = (struct loop_task){.fn = on_plain_ready, .arg = s};
	s->peer = own_strdup(peer);
	s->state = ST_HANDSHAKE;
	s->in_max = opts->in_max;
	s->out_max = opts->out_max;
	s->idle_ms = opts->idle_ms;
	s->write_ms = opts->write_ms;
	s->close_ms = opts->close_ms;
	bufferevent_setcb(bev, on_read, on_written, on_event, s);
	bufferevent_setwatermark(bev, EV_READ, 0, s->in_max);
	return s;
}

static void
join_listener(struct stream *s, struct stream_listener *n, struct gate_pass *pass)
{
	s->listener = n;
	s->pass = pass;
	list_push(&n->streams, &s->node);
	n->count++;
	accept_hold(n->accept, ACCEPT_FULL, n->count >= n->conns_max);
}

struct stream *
stream_websocket(struct loop *l, struct http_req *r, struct span answer,
    const struct stream_opts *opts)
{
	char peer[SOCK_TEXT];
	snprintf(peer, sizeof(peer), "%s", http_peer(r));
	auto_buf first = BUF_INIT(answer.len);
	buf_put_span(&first, answer);
	struct http_conn *c = http_take(r);
	struct stream *s = stream_new(l, http_conn_bev(c), opts, peer);
	s->http = c;
	s->ws = ws_new(opts->in_max);
	s->payload = evbuffer_new();
	if (!s->payload)
		abort(); /* out of memory, as base/own.h has it */
	netbuf_timeouts(s->bev, 0, 0);
	bufferevent_write(s->bev, first.p, first.len);
	bufferevent_enable(s->bev, EV_WRITE);
	loop_defer(l, LOOP_COMMIT, &s->task);
	return s;
}

/* Its turn has come. */
static void
begin(void *arg, int fd, const struct sockaddr *sa, socklen_t len, struct gate_pass *pass)
{
	struct stream_listener *n = arg;
	struct err e;
	char peer[SOCK_TEXT];
	static const int on = 1;
	int64_t handshake_ms = n->opts.handshake_ms;
	setsockopt(
	    fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* fails on Unix sockets */
	if (n->count >= n->conns_max) {                     /* meanwhile */
		own_close(&fd);
		gate_leave(pass);
		return;
	}
	struct bufferevent *bev = netbuf_new(loop_base(n->loop), fd, n->tls, true, &e);
	if (!bev) {
		own_close(&fd);
		gate_leave(pass);
		log_event(LOG_ERROR, "stream.accept", LOG_ERR(&e));
		return;
	}
	sock_text(sa, len, peer);
	struct stream *s = stream_new(n->loop, bev, &n->opts, peer);
	join_listener(s, n, pass);
	bool gone = false;
	s->gone = &gone;
	n->on_accept(n->arg, s);
	if (gone)
		return;
	s->gone = NULL;
	if (s->state != ST_HANDSHAKE)
		return; /* closed in on_accept */
	bool tls = netbuf_ssl(bev) != NULL;
	bufferevent_enable(bev, tls ? EV_READ | EV_WRITE : EV_WRITE);
	if (tls)
		start_deadline(s, handshake_ms);
	else
		loop_defer(s->loop, LOOP_COMMIT, &s->task);
}

static void
on_connection(struct evconnlistener *l, int fd, struct sockaddr *sa, int len, void *arg)
{
	(void)l;
	static const struct gate_door door = {.start = begin};
	struct stream_listener *n = arg;
	gate_enter(n->gate, fd, sa, (socklen_t)len, &door, n);
}

struct stream_listener *
stream_listen(struct loop *l, int fd, struct tls_server *tls,
    const struct stream_opts *opts, size_t conns_max,
    void (*on_accept)(void *arg, struct stream *s), void *arg, struct err *e)
{
	struct accept *accept = accept_new(l, fd, e);
	if (!accept)
		return NULL;
	struct stream_listener *n = own_alloc(sizeof(*n));
	n->loop = l;
	n->accept = accept;
	const struct gate_opts gate = gate_opts_for(conns_max, conns_max);
	n->gate = gate_new(l, &gate);
	n->tls = tls;
	n->opts = *opts;
	n->conns_max = conns_max;
	n->on_accept = on_accept;
	n->arg = arg;
	list_init(&n->streams);
	evconnlistener_set_cb(accept_listener(accept), on_connection, n);
	return n;
}

size_t
stream_listener_count(const struct stream_listener *n)
{
	return n->count;
}

void
stream_listener_drain(struct stream_listener *n)
{
	accept_hold(n->accept, ACCEPT_OWNER, true);
	gate_shut(n->gate);
}

void
stream_listener_free(struct stream_listener *n)
{
	if (!n)
		return;
	while (!list_empty(&n->streams))
		drop(list_of(n->streams.next, struct stream, node));
	gate_free(n->gate);
	accept_free(n->accept);
	free(n);
}

void
stream_prove(struct stream *s)
{
	if (s->listener)
		gate_prove(s->pass);
	if (s->http)
		http_conn_prove(s->http);
}

/* --- what it is --- */

const char *
stream_peer(const struct stream *s)
{
	return s->peer;
}

struct ssl_st *
stream_ssl(const struct stream *s)
{
	return netbuf_ssl(s->bev);
}

struct loop *
stream_loop(const struct stream *s)
{
	return s->loop;
}

bool
stream_is_websocket(const struct stream *s)
{
	return s->ws != NULL;
}
