/*
 * The HTTP server on libevent's evhttp (2.1). What evhttp lacks is added around it: a
 * deadline for a whole request, notice of peers that go while an answer is made,
 * back-pressure, and a cap of connections. Two properties of evhttp shape this file:
 *
 * - It tells us of a connection only when a request is complete. Its connection object is
 * the argument of the bufferevent's callbacks, so it is picked up from there before the
 * first byte can be read (adopt).
 * - It takes no connection but from a listener of its own. So one that has to wait for
 * its turn (io/gate.h) waits inside, with its reading and its handshake held: some 10 KB.
 * - It does not read while a request is being answered. Reading is switched on again
 * without a read callback, so that the end of the stream is seen (watch_for_end).
 *
 * And it is more lenient than RFC 9112 in what it reads: what two readers could read
 * differently is refused before the handler (is_ambiguous). It has no door for a change
 * of protocol: a connection that is taken away stays in its books until it ends, with its
 * callbacks gone (http_take).
 */
#include "io/http.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "crypto/tls.h"
#include "io/accept.h"
#include "io/gate.h"
#include "io/netbuf.h"
#include "io/sock.h"

enum {
	LISTENERS_MAX = 16,
	PIPELINED_MAX = 16 * 1024,
	SLACK = 64 * 1024, /* one read, and the line before a chunk */
	WAITING = 4,       /* a part of conns_max, and */
	WAITING_MIN = 64,
	SLOWEST = 8, /* bytes a millisecond at which a stranger has to read */
};

struct http {
	struct loop *loop;
	struct evhttp *ev;
	struct http_opts opts;
	struct tls_server *tls;
	void (*on_request)(void *arg, struct http_req *r);
	void *arg;
	struct accept *accepts[LISTENERS_MAX];
	size_t naccepts, nconns;
	struct list fresh; /* connections that evhttp was given just now */
	struct event *adopt;
	struct http_conn *conns; /* by evhttp's connection */
	struct gate *gate;
	bool is_draining;
};

struct http_conn {
	UT_hash_handle hh;
	struct evhttp_connection *ev;
	struct list node; /* in http.fresh */
	struct http *http;
	struct bufferevent *bev; /* a reference of our own */
	struct event *deadline;
	struct gate_pass *pass; /* NULL: it waits for its turn */
	int64_t until_ms;       /* while nothing is proved; monotonic */
	struct http_req *req;   /* the one being answered */
	bool is_counted;        /* in http.nconns */
	bool is_proven;
	bool is_idle;    /* between requests */
	bool has_come;   /* something of a request that is not answered yet */
	bool is_refused; /* no TLS to be had for it: closed before a byte is read */
	bool is_over;    /* too much came; it ends in the next moment */
	bool is_taken;   /* no HTTP any more; whoever took it ends it */
	/* the head that is coming in, of which evhttp shows us only what it made of it */
	bool in_head, in_line; /* in_line: behind a line's first byte */
	bool is_odd;           /* something in it that evhttp glosses over */
};

struct http_req {
	struct evhttp_request *ev;
	struct http_conn *conn; /* NULL once the peer is gone */
	struct loop *loop;
	struct loop_task task; /* tells on_gone and on_room; frees what was dropped */
	void (*on_gone)(void *arg);
	void *gone_arg;
	void (*on_room)(void *arg);
	void *room_arg;
	enum http_method method;
	bool is_streaming, is_full, has_room, is_dropped;
	char peer[SOCK_TEXT];
};

static const struct {
	enum evhttp_cmd_type cmd;
	const char *name;
} methods[HTTP_METHODS] = {
    [HTTP_GET] = {EVHTTP_REQ_GET, "GET"},
    [HTTP_HEAD] = {EVHTTP_REQ_HEAD, "HEAD"},
    [HTTP_POST] = {EVHTTP_REQ_POST, "POST"},
    [HTTP_PUT] = {EVHTTP_REQ_PUT, "PUT"},
    [HTTP_PATCH] = {EVHTTP_REQ_PATCH, "PATCH"},
    [HTTP_DELETE] = {EVHTTP_REQ_DELETE, "DELETE"},
    [HTTP_OPTIONS] = {EVHTTP_REQ_OPTIONS, "OPTIONS"},
};

const char *
http_method_name(enum http_method m)
{
	return methods[m].name;
}

/* --- connections --- */

static void
hold_accepts(struct http *h, enum accept_hold reason, bool held)
{
	for (size_t i = 0; i < h->naccepts; i++)
		accept_hold(h->accepts[i], reason, held);
}

static void
count(struct http_conn *c, bool counted)
{
	struct http *h = c->http;
	if (c->is_counted == counted)
		return;
	c->is_counted = counted;
	h->nconns += counted ? 1 : (size_t)-1;
	hold_accepts(h, ACCEPT_FULL, h->nconns >= h->opts.conns_max);
}

/* Ends it by way of the socket: evhttp sees the end of the stream and frees its
 * connection, at a time of its own choosing. */
static void
cut(struct http_conn *c)
{
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0); /* or it might not be reading */
	shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
}

/* A stranger's ends no later than its connection's. */
static void
start_deadline(struct http_conn *c, int64_t ms)
{
	int64_t left = c->until_ms - clock_mono_ms(&clock_system);
	if (c->http->opts.unproven_ms && !c->is_proven && left < ms)
		ms = left > 0 ? left : 1;
	netbuf_timer_start(c->deadline, ms);
}

/* While a request is answered no deadline runs, but for a stranger that is to take what
 * it asked for. */
static void
on_deadline(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http_conn *c = arg;
	if (c->ev)
		evhttp_connection_free(c->ev);
}

/* evhttp ends a header's value at a NUL, which RFC 9110 5.5 forbids, and joins lines that
 * begin with white space to the one before (RFC 9112 5.2 leaves the choice). */
static void
look_at_head(struct http_conn *c, struct span bytes)
{
	for (; c->in_head && bytes.len; bytes = span_skip(bytes, 1)) {
		uint8_t b = bytes.p[0];
		if (b == '\0' || (!c->in_line && (b == ' ' || b == '\t')))
			c->is_odd = true;
		if (b == '\n')
			c->in_head = c->in_line;
		c->in_line = b == '\n' ? false : c->in_line || b != '\r';
	}
}

static void
look_from(struct http_conn *c, struct evbuffer *in, size_t at)
{
	struct evbuffer_ptr from;
	struct evbuffer_iovec part;
	size_t len = evbuffer_get_length(in);
	while (c->in_head && at < len) {
		if (evbuffer_ptr_set(in, &from, at, EVBUFFER_PTR_SET) ||
		    evbuffer_peek(in, -1, &from, &part, 1) < 1)
			return;
		look_at_head(c, span_of(part.iov_base, part.iov_len));
		at += part.iov_len;
	}
}

/* Fires for what arrives (under TLS: decrypted). evhttp bounds heads and bodies, but not
 * the line before a chunk: it would gather, and search again and again, one that never
 * ends. (A watermark does not do: libevent calls evhttp without rest while it is
 * reached.) */
static void
on_input(struct evbuffer *in, const struct evbuffer_cb_info *info, void *arg)
{
	struct http_conn *c = arg;
	const struct http_opts *o = &c->http->opts;
	if (!info->n_added)
		return;
	look_from(c, in, info->orig_size);
	c->has_come = true;
	if (!c->is_over && evbuffer_get_length(in) > o->head_max + o->body_max + SLACK) {
		c->is_over = true;
		netbuf_timer_start(c->deadline, 1);
	}
	if (!c->is_idle || c->is_over)
		return;
	c->is_idle = false;
	start_deadline(c, c->http->opts.request_ms);
}

static void
expect_head(struct http_conn *c)
{
	c->in_head = true;
	c->in_line = c->is_odd = false;
}

static void
conn_free(struct http_conn *c)
{
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	list_del(&c->node);
	if (c->ev)
		HASH_DEL(c->http->conns, c);
	netbuf_timer_free(c->deadline);
	bufferevent_decref(c->bev);
	count(c, false);
	gate_leave(c->pass);
	free(c);
}

static void
lose_peer(struct http_req *r)
{
	/* evhttp frees with the connection every request that is not owned */
	evhttp_request_own(r->ev);
	r->conn = NULL;
	loop_defer(r->loop, LOOP_COMMIT, &r->task);
}

static void
on_conn_closed(struct evhttp_connection *ev, void *arg)
{
	(void)ev;
	struct http_conn *c = arg;
	if (c->req)
		lose_peer(c->req);
	conn_free(c);
}

/* Its turn has come. */
static void
begin(void *arg, int fd, const struct sockaddr *sa, socklen_t len, struct gate_pass *pass)
{
	(void)fd, (void)sa, (void)len;
	struct http_conn *c = arg;
	const struct http *h = c->http;
	c->pass = pass;
	if (h->nconns >= h->opts.conns_max) { /* meanwhile */
		evhttp_connection_free(c->ev);
		return;
	}
	count(c, true);
	c->until_ms = clock_mono_ms(&clock_system) + h->opts.unproven_ms;
	netbuf_timeouts(c->bev, 0, h->opts.write_ms);
	start_deadline(c, h->opts.request_ms);
	bufferevent_enable(c->bev, EV_READ);
}

static void
on_away(void *arg, int fd)
{
	(void)fd;
	struct http_conn *c = arg;
	evhttp_connection_free(c->ev);
}

/* Those that wait do not count: their places are the gate's to give. */
static void
wait_for_turn(struct http_conn *c)
{
	static const struct gate_door door = {.start = begin, .away = on_away};
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	int fd = bufferevent_getfd(c->bev);
	bufferevent_disable(c->bev, EV_READ);
	count(c, false);
	if (c->is_refused || getpeername(fd, (struct sockaddr *)&sa, &len))
		evhttp_connection_free(c->ev);
	else
		gate_enter(
		    c->http->gate, fd, (const struct sockaddr *)&sa, len, &door, c);
}

static void
adopt(struct http_conn *c)
{
	void *ev = NULL;
	list_del(&c->node);
	bufferevent_getcb(c->bev, NULL, NULL, NULL, &ev);
	if (!ev) { /* evhttp gave it up already */
		conn_free(c);
		return;
	}
	c->ev = ev;
	HASH_ADD_PTR(c->http->conns, ev, c);
	evhttp_connection_set_closecb(c->ev, on_conn_closed, c);
	wait_for_turn(c);
}

static void
on_adopt(int fd, short what, void *arg)
{
	(void)fd, (void)what;
	struct http *h = arg;
	while (!list_empty(&h->fresh))
		adopt(list_of(h->fresh.next, struct http_conn, node));
}

/* evhttp asks for the bufferevent of a connection it has accepted. Were it given none, it
 * would make a plain one; so where TLS fails it gets a plain one of ours that is closed
 * unread. */
static struct bufferevent *
on_accepted(struct event_base *base, void *arg)
{
	struct http *h = arg;
	struct err e;
	struct bufferevent *bev = netbuf_new(base, -1, h->tls, false, &e);
	bool refused = !bev;
	if (bev && h->tls)
		tls_offer_ticket(netbuf_ssl(bev)); /* such clients come often */
	if (refused) {
		log_event(LOG_ERROR, "http.accept", LOG_ERR(&e));
		bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	}
	struct http_conn *c = own_alloc(sizeof(*c));
	c->http = h;
	c->bev = bev;
	c->deadline = netbuf_timer_new(base, on_deadline, c);
	if (!bev || !c->deadline)
		abort(); /* out of memory, as base/own.h has it */
	c->is_refused = refused;
	bufferevent_incref(bev);
	expect_head(c);
	evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	list_push(&h->fresh, &c->node);
	count(c, true); /* or the listener would take more than there is room for */
	netbuf_timer_now(h->adopt);
	return bev;
}

/* --- requests --- */

static void
req_free(struct http_req *r)
{
	loop_defer_cancel(&r->task);
	free(r);
}

/* What was learnt inside a call into evhttp, told from the loop. */
static void
on_task(void *arg)
{
	struct http_req *r = arg;
	if (r->is_dropped) {
		if (r->conn)
			return;
		evhttp_request_free(r->ev);
		req_free(r);
		return;
	}
	void (*fn)(void *) = NULL;
	void *fn_arg = NULL;
	if (!r->conn) {
		fn = r->on_gone;
		fn_arg = r->gone_arg;
		r->on_gone = NULL;
	} else if (r->has_room) {
		fn = r->on_room;
		fn_arg = r->room_arg;
	}
	r->has_room = false;
	if (fn)
		fn(fn_arg);
}

static void
watch_for_end(struct http_conn *c)
{
	bufferevent_data_cb on_written;
	bufferevent_event_cb on_event;
	void *arg;
	bufferevent_getcb(c->bev, NULL, &on_written, &on_event, &arg);
	bufferevent_setcb(c->bev, NULL, on_written, on_event, arg);
	bufferevent_setwatermark(c->bev, EV_READ, 0, PIPELINED_MAX);
	bufferevent_enable(c->bev, EV_READ);
}

static int
find_method(struct evhttp_request *ev)
{
	for (int i = 0; i < HTTP_METHODS; i++)
		if (methods[i].cmd == evhttp_request_get_command(ev))
			return i;
	return -1;
}

/* The answer has left; evhttp waits for the next request, or closes. */
static void
on_answered(struct evhttp_request *ev, void *arg)
{
	(void)ev;
	struct http_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(c->bev);
	size_t pipelined = evbuffer_get_length(in);
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
	expect_head(c);
	look_from(c, in, 0);
	c->is_idle = pipelined == 0;
	c->has_come = !c->is_idle;
	if (c->is_over)
		return;
	if (c->http->is_draining) /* not here: evhttp is in the middle of it */
		netbuf_timer_start(c->deadline, 1);
	else
		start_deadline(
		    c, c->is_idle ? c->http->opts.idle_ms : c->http->opts.request_ms);
}

/* RFC 9110 5.6.2 */
static bool
is_token(const char *s)
{
	static const char marks[] = "!#$%&'*+-.^_`|~";
	if (!*s)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(marks, *s))
			return false;
	return true;
}

/* RFC 9110 5.5: a bare CR above all, where another reader may see a line's end. */
static bool
has_control(const char *s)
{
	for (; *s; s++)
		if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
			return true;
	return false;
}

static bool
is_clean(const struct http_req *r)
{
	struct evkeyval *kv;
	TAILQ_FOREACH (kv, evhttp_request_get_input_headers(r->ev), next)
		if (!is_token(kv->key) || has_control(kv->value))
			return false;
	return true;
}

/* Where the body ends (RFC 9112 6). evhttp takes "+5" for a length and reads no body
 * behind HEAD, whatever its headers say. */
static bool
is_framed(const struct http_req *r)
{
	const char *coding = http_header(r, "Transfer-Encoding");
	const char *length = http_header(r, "Content-Length");
	if (http_header_count(r, "Content-Length") +
		http_header_count(r, "Transfer-Encoding") >
	    1)
		return false;
	if (length && length[strspn(length, "0123456789")])
		return false;
	if (coding && (!span_ieq_str(span_str(coding), "chunked") || !r->ev->minor))
		return false;
	return r->method != HTTP_HEAD ||
	       (!coding && (!length || !length[strspn(length, "0")]));
}

/* RFC 9112 3.2 */
static bool
names_host(const struct http_req *r)
{
	size_t n = http_header_count(r, "Host");
	return n == 1 || (n == 0 && !r->ev->minor);
}

/* A request that two readers could understand differently. */
static bool
is_ambiguous(const struct http_req *r)
{
	return r->conn->is_odd || r->conn->is_over || r->ev->major != 1 || !is_clean(r) ||
	       !is_framed(r) || !names_host(r);
}

/* Nothing that stands behind it on the connection is read. */
static void
refuse_ambiguous(struct http_req *r)
{
	http_set(r, "Connection", "close");
	http_reply(r, 400, SPAN_NONE);
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct http *h = arg;
	struct evhttp_connection *ec = evhttp_request_get_connection(ev);
	struct http_conn *c;
	HASH_FIND_PTR(h->conns, &ec, c);
	int method = find_method(ev);
	assert(c && !c->req && method >= 0);
	struct http_req *r = own_alloc(sizeof(*r));
	r->ev = ev;
	r->conn = c;
	r->loop = h->loop;
	r->task = (struct loop_task){.fn = on_task, .arg = r};
	r->method = (enum http_method)method;
	sock_peer_text(bufferevent_getfd(c->bev), r->peer);
	c->req = r;
	netbuf_timer_start(c->deadline, 0);
	evhttp_request_set_on_complete_cb(ev, on_answered, c);
	watch_for_end(c);
	if (is_ambiguous(r))
		refuse_ambiguous(r);
	else
		h->on_request(h->arg, r);
}

enum http_method
http_method(const struct http_req *r)
{
	return r->method;
}

struct span
http_target(const struct http_req *r)
{
	return span_str(evhttp_request_get_uri(r->ev));
}

struct span
http_body(const struct http_req *r)
{
	struct evbuffer *b = evhttp_request_get_input_buffer(r->ev);
	size_t len = evbuffer_get_length(b);
	return span_of(len ? evbuffer_pullup(b, -1) : NULL, len);
}

const char *
http_header(const struct http_req *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_input_headers(r->ev), name);
}

const char *
http_header_nth(const struct http_req *r, const char *name, size_t n)
{
	struct evkeyval *kv;
	TAILQ_FOREACH (kv, evhttp_request_get_input_headers(r->ev), next)
		if (span_ieq_str(span_str(kv->key), name) && n-- == 0)
			return kv->value;
	return NULL;
}

size_t
http_header_count(const struct http_req *r, const char *name)
{
	size_t n = 0;
	struct evkeyval *kv;
	TAILQ_FOREACH (kv, evhttp_request_get_input_headers(r->ev), next)
		n += span_ieq_str(span_str(kv->key), name);
	return n;
}

void
http_each_header(const struct http_req *r,
    void (*fn)(void *ctx, const char *name, const char *value), void *ctx)
{
	struct evkeyval *kv;
	TAILQ_FOREACH (kv, evhttp_request_get_input_headers(r->ev), next)
		fn(ctx, kv->key, kv->value);
}

const char *
http_peer(const struct http_req *r)
{
	return r->peer;
}

struct ssl_st *
http_ssl(const struct http_req *r)
{
	return r->conn ? netbuf_ssl(r->conn->bev) : NULL;
}

bool
http_is_gone(const struct http_req *r)
{
	return !r->conn;
}

void
http_on_gone(struct http_req *r, void (*fn)(void *arg), void *arg)
{
	r->on_gone = fn;
	r->gone_arg = arg;
}

void
http_conn_prove(struct http_conn *c)
{
	c->is_proven = true;
	gate_prove(c->pass);
}

void
http_prove(struct http_req *r)
{
	if (r->conn)
		http_conn_prove(r->conn);
}

/* --- answers --- */

static bool
is_set(const struct http_req *r, const char *name)
{
	return evhttp_find_header(evhttp_request_get_output_headers(r->ev), name) != NULL;
}

void
http_set(struct http_req *r, const char *name, const char *value)
{
	int failed =
	    evhttp_add_header(evhttp_request_get_output_headers(r->ev), name, value);
	assert(!failed);
}

/* Before the head is sent. */
static void
say_whether_it_stays(struct http_req *r)
{
	if (r->conn && r->conn->http->is_draining && !is_set(r, "Connection"))
		http_set(r, "Connection", "close");
}

static void
limit_answer(struct http_conn *c, size_t len)
{
	const struct http_opts *o = &c->http->opts;
	if (o->unproven_ms && !c->is_proven)
		netbuf_timer_start(c->deadline, o->write_ms + (int64_t)len / SLOWEST);
}

/* Hands the request back to evhttp, which frees it; false when the peer is gone. */
static bool
give_back(struct http_req *r)
{
	struct evhttp_request *ev = r->ev;
	struct http_conn *c = r->conn;
	req_free(r);
	if (c) {
		c->req = NULL;
		return true;
	}
	evhttp_request_free(ev);
	return false;
}

void
http_reply(struct http_req *r, int status, struct span body)
{
	struct evhttp_request *ev = r->ev;
	struct http_conn *c = r->conn;
	say_whether_it_stays(r);
	if (r->method == HTTP_HEAD) {
		char len[24];
		snprintf(len, sizeof(len), "%zu", body.len);
		http_set(r, "Content-Length", len);
		body = SPAN_NONE;
	}
	if (!give_back(r))
		return;
	limit_answer(c, body.len);
	struct evbuffer *b = evbuffer_new();
	if (!b || (body.len && evbuffer_add(b, body.p, body.len)))
		abort();
	evhttp_send_reply(ev, status, NULL, b);
	evbuffer_free(b);
}

void
http_drop(struct http_req *r)
{
	if (!r->conn) {
		give_back(r);
		return;
	}
	r->is_dropped = true;
	cut(r->conn);
}

void
http_stream_start(struct http_req *r, int status, void (*on_room)(void *arg), void *arg)
{
	r->is_streaming = true;
	r->on_room = on_room;
	r->room_arg = arg;
	say_whether_it_stays(r);
	if (r->conn)
		evhttp_send_reply_start(r->ev, status, NULL);
}

static size_t
stream_queued(const struct http_req *r)
{
	return evbuffer_get_length(bufferevent_get_output(r->conn->bev));
}

size_t
http_stream_room(const struct http_req *r)
{
	if (!r->conn)
		return SIZE_MAX; /* harmless to write, nothing to wait for */
	size_t max = r->conn->http->opts.out_max, queued = stream_queued(r);
	return queued < max ? max - queued : 0;
}

static void
on_piece_sent(struct evhttp_connection *ev, void *arg)
{
	(void)ev;
	struct http_req *r = arg;
	if (!r->is_full)
		return;
	r->is_full = false;
	r->has_room = true;
	loop_defer(r->loop, LOOP_COMMIT, &r->task);
}

void
http_stream_write(struct http_req *r, struct span piece)
{
	assert(r->is_streaming);
	if (!r->conn || r->is_dropped || !piece.len)
		return;
	if (stream_queued(r) > 4 * r->conn->http->opts.out_max) {
		cut(r->conn);
		return;
	}
	struct evbuffer *b = evbuffer_new();
	if (!b || evbuffer_add(b, piece.p, piece.len))
		abort();
	evhttp_send_reply_chunk_with_cb(r->ev, b, on_piece_sent, r);
	evbuffer_free(b);
	if (r->conn && http_stream_room(r) == 0)
		r->is_full = true;
}

void
http_stream_end(struct http_req *r)
{
	struct evhttp_request *ev = r->ev;
	if (give_back(r))
		evhttp_send_reply_end(ev);
}

/* --- another protocol --- */

struct http_conn *
http_take(struct http_req *r)
{
	struct http_conn *c = r->conn;
	assert(c && !r->is_streaming && !r->is_dropped);
	bufferevent_setcb(c->bev, NULL, NULL, NULL, NULL);
	evbuffer_remove_cb(bufferevent_get_input(c->bev), on_input, c);
	netbuf_timer_free(c->deadline);
	c->deadline = NULL;
	c->is_taken = true;
	c->req = NULL;
	/* the request stays in evhttp's books; its headers need not */
	evhttp_clear_headers(evhttp_request_get_input_headers(r->ev));
	req_free(r);
	return c;
}

struct bufferevent *
http_conn_bev(const struct http_conn *c)
{
	return c->bev;
}

void
http_conn_end(struct http_conn *c)
{
	evhttp_connection_free(c->ev);
}

/* --- life --- */

struct http *
http_new(struct loop *l, const struct http_opts *opts,
    void (*on_req)(void *arg, struct http_req *r), void *arg, struct err *e)
{
	struct evhttp *ev = evhttp_new(loop_base(l));
	if (!ev) {
		err_set(e, ERR_INTERNAL, "http: no server");
		return NULL;
	}
	struct http *h = own_alloc(sizeof(*h));
	h->loop = l;
	h->ev = ev;
	h->opts = *opts;
	h->on_request = on_req;
	h->arg = arg;
	h->adopt = netbuf_timer_new(loop_base(l), on_adopt, h);
	if (!h->adopt)
		abort(); /* out of memory, as base/own.h has it */
	const struct gate_opts gate =
	    gate_opts_for(opts->conns_max, opts->conns_max / WAITING + WAITING_MIN);
	h->gate = gate_new(l, &gate);
	list_init(&h->fresh);
	unsigned allowed = 0;
	for (int i = 0; i < HTTP_METHODS; i++)
		allowed |= methods[i].cmd;
	evhttp_set_allowed_methods(ev, (ev_uint16_t)allowed);
	evhttp_set_max_headers_size(ev, (ev_ssize_t)opts->head_max);
	evhttp_set_max_body_size(ev, (ev_ssize_t)opts->body_max);
	evhttp_set_default_content_type(ev, NULL);
	evhttp_set_bevcb(ev, on_accepted, h);
	evhttp_set_gencb(ev, on_request, h);
	return h;
}

int
http_listen(struct http *h, int fd, struct err *e)
{
	if (h->naccepts == LISTENERS_MAX) {
		own_close(&fd);
		return err_set(
		    e, ERR_LIMIT, "http: more than %d listeners", LISTENERS_MAX);
	}
	struct accept *a = accept_new(h->loop, fd, e);
	if (!a)
		return -1;
	if (!evhttp_bind_listener(h->ev, accept_listener(a))) {
		accept_free(a);
		return err_set(e, ERR_INTERNAL, "http: listening socket %d", fd);
	}
	h->accepts[h->naccepts++] = a;
	return 0;
}

void
http_set_tls(struct http *h, struct tls_server *tls)
{
	h->tls = tls;
}

void
http_drain(struct http *h)
{
	struct http_conn *c, *next;
	h->is_draining = true;
	hold_accepts(h, ACCEPT_OWNER, true);
	gate_shut(h->gate);
	HASH_ITER (hh, h->conns, c, next)
		if (!c->has_come && !c->is_taken)
			evhttp_connection_free(c->ev);
}

size_t
http_conns(const struct http *h)
{
	return h->nconns;
}

void
http_free(struct http *h)
{
	if (!h)
		return;
	gate_shut(h->gate);
	on_adopt(-1, 0, h);
	while (h->conns) {
		assert(!h->conns->is_taken);
		evhttp_connection_free(h->conns->ev);
	}
	for (size_t i = 0; i < h->naccepts; i++)
		accept_leave(h->accepts[i]);
	evhttp_free(h->ev); /* and its listeners */
	netbuf_timer_free(h->adopt);
	gate_free(h->gate);
	free(h);
}
