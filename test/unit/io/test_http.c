/*
 * HTTP, each test plain and over TLS: requests, answers now and later, streams, caps,
 * deadlines, and peers that go away.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

#include "base/num.h"
#include "io/http.h"
#include "io/sock.h"
#include "peer.h"

enum mode { REPLY, LATER, STREAM, DROP, NEVER, HOLD, DRAIN };

struct rig {
	struct loop *loop;
	struct tls_server *tls;
	struct http *http;
	struct http_opts opts;
	uint16_t port;
	enum mode mode;
	bool proves; /* every request */
	struct http_req *kept;
	struct loop_timer *later;
	unsigned requests, gones, pieces, rooms;
	enum http_method method;
	char target[256], header[64];
	size_t body_len, header_count;
	char out[1 << 16];
};

#define PIECE  1000
#define PIECES 300

static void
pump(void *arg)
{
	struct rig *r = arg;
	char piece[PIECE];
	memset(piece, 'p', sizeof(piece));
	r->rooms++;
	while (r->pieces < PIECES && http_stream_room(r->kept)) {
		r->pieces++;
		http_stream_write(r->kept, span_of(piece, sizeof(piece)));
	}
	if (r->pieces == PIECES)
		http_stream_end(TAKE(r->kept));
}

static void
on_later(void *arg)
{
	struct rig *r = arg;
	if (r->mode == DRAIN)
		http_drain(r->http);
	http_reply(TAKE(r->kept), 201, SPAN_LIT("late"));
}

static void
on_gone(void *arg)
{
	struct rig *r = arg;
	r->gones++;
	assert_true(http_is_gone(r->kept));
	assert_null(http_ssl(r->kept));
	assert_int_equal(http_body(r->kept).len, r->body_len);
	loop_timer_cancel(r->later);
	if (r->mode == STREAM)
		http_stream_end(TAKE(r->kept));
	else
		http_reply(TAKE(r->kept), 200, SPAN_LIT("to nobody"));
}

static void
on_request(void *arg, struct http_req *q)
{
	struct rig *r = arg;
	r->requests++;
	r->method = http_method(q);
	r->body_len = http_body(q).len;
	r->header_count = http_header_count(q, "x-twice");
	const char *h = http_header(q, "X-Test");
	snprintf(r->header, sizeof(r->header), "%s", h ? h : "");
	assert_true(span_to_str(http_target(q), r->target, sizeof(r->target)));
	assert_memory_equal(http_peer(q), "127.0.0.1:", 10);
	assert_int_equal(http_ssl(q) != NULL, r->tls != NULL);
	if (r->proves)
		http_prove(q);
	if (r->mode == REPLY) {
		http_set(q, "Content-Type", "text/plain");
		http_reply(q, 200, http_body(q).len ? http_body(q) : SPAN_LIT("hi"));
		return;
	}
	if (r->mode == DROP) {
		http_drop(q);
		return;
	}
	r->kept = q;
	if (r->mode != HOLD)
		http_on_gone(q, on_gone, r);
	if (r->mode == LATER || r->mode == DRAIN)
		loop_timer_start(r->later, 50);
	if (r->mode == STREAM) {
		http_stream_start(q, 200, pump, r);
		pump(r);
	}
}

static void
rig_open(struct rig *r, bool tls)
{
	struct err e;
	memset(r, 0, sizeof(*r));
	r->loop = loop_new(&clock_system, &e);
	r->tls = tls ? peer_tls_server() : NULL;
	assert_true(!tls || r->tls);
	r->later = loop_timer_new(r->loop, on_later, r);
	r->opts = (struct http_opts){.head_max = 4096,
	    .body_max = 10000,
	    .out_max = 8192,
	    .conns_max = 100,
	    .request_ms = 300,
	    .idle_ms = 300,
	    .write_ms = 500};
}

static int
run(struct rig *r, int (*client)(struct peer *p, void *arg), int settle_ms)
{
	struct err e;
	int fd;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &r->port, &e), &e);
	r->http = http_new(r->loop, &r->opts, on_request, r, &e);
	assert_non_null(r->http);
	http_set_tls(r->http, r->tls);
	assert_ok(http_listen(r->http, fd, &e), &e);
	return peer_run(r->loop, r->port, r->tls, client, r, settle_ms);
}

static void
rig_close(struct rig *r)
{
	http_free(r->http);
	if (r->kept)
		http_reply(r->kept, 200, SPAN_NONE);
	tls_server_free(r->tls);
	loop_timer_free(r->later);
	loop_free(r->loop);
}

#define BOTH(body)                                                                       \
	for (int tls = 0; tls < 2; tls++) {                                              \
		struct rig r;                                                            \
		rig_open(&r, tls);                                                       \
		body;                                                                    \
		rig_close(&r);                                                           \
	}

/* Reads until the text ends in tail; false after two seconds. */
static bool
read_to(struct peer *p, struct rig *r, const char *tail)
{
	size_t n = 0;
	while (n < sizeof(r->out) - 1 && peer_recv(p, r->out + n, 1) == 1) {
		r->out[++n] = '\0';
		if (span_ends(span_of(r->out, n), span_str(tail)))
			return true;
	}
	r->out[n] = '\0';
	return false;
}

static int
two_requests(struct peer *p, void *arg)
{
	struct rig *r = arg;
	if (!peer_connect(p) ||
	    !peer_say(p, "GET /a%20b?x=%zz HTTP/1.1\r\nHost: h\r\nX-Test: v\r\n"
			 "X-Twice: 1\r\nx-twice: 2\r\n\r\n") ||
	    !read_to(p, r, "\r\n\r\nhi"))
		return -1;
	if (strcmp(r->target, "/a%20b?x=%zz") != 0 || strcmp(r->header, "v") != 0 ||
	    r->header_count != 2)
		return -2;
	if (strncmp(r->out, "HTTP/1.1 200 OK\r\n", 17) != 0 ||
	    strcasestr(r->out, "server:"))
		return -3;
	if (!peer_say(
		p, "PATCH /b HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody") ||
	    !read_to(p, r, "\r\n\r\nbody"))
		return -4;
	return 1;
}

static void
requests_on_one_connection_are_told_raw_and_answered(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, two_requests, 50), 1);
		assert_int_equal(r.requests, 2);
		assert_int_equal(r.method, HTTP_PATCH);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
pipelined(struct peer *p, void *arg)
{
	struct rig *r = arg;
	return peer_connect(p) &&
	       peer_say(p, "GET /1 HTTP/1.1\r\nHost: h\r\n\r\nDELETE /2 "
			   "HTTP/1.1\r\nHost: h\r\n\r\n") &&
	       read_to(p, r, "late") && read_to(p, r, "late");
}

static void
pipelined_requests_are_answered_one_after_the_other(void **state)
{
	(void)state;
	BOTH({
		r.mode = LATER;
		assert_int_equal(run(&r, pipelined, 50), 1);
		assert_int_equal(r.requests, 2);
		assert_int_equal(r.gones, 0);
		assert_string_equal(r.target, "/2");
	})
}

static int
head(struct peer *p, void *arg)
{
	struct rig *r = arg;
	if (!peer_connect(p) || !peer_say(p, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n") ||
	    !read_to(p, r, "\r\n\r\n") || !strstr(r->out, "Content-Length: 2\r\n"))
		return -1;
	/* no body follows: the next answer starts at once */
	return peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") && read_to(p, r, "hi") &&
	       strncmp(r->out, "HTTP/1.1 200", 12) == 0;
}

static void
head_is_answered_with_the_length_and_no_body(void **state)
{
	(void)state;
	BOTH({ assert_int_equal(run(&r, head, 0), 1); })
}

static int
ask_and_leave(struct peer *p, void *arg)
{
	(void)arg;
	bool ok =
	    peer_connect(p) &&
	    peer_say(p, "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
	usleep(50 * 1000);
	return ok;
}

static void
a_peer_that_leaves_is_noticed_while_its_answer_is_made(void **state)
{
	(void)state;
	BOTH({
		r.mode = NEVER;
		assert_int_equal(run(&r, ask_and_leave, 50), 1);
		assert_int_equal(r.requests, 1);
		assert_int_equal(r.gones, 1);
		assert_null(r.kept);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static void
a_request_outlives_its_server(void **state)
{
	(void)state;
	BOTH({
		r.mode = HOLD;
		assert_int_equal(run(&r, ask_and_leave, 0), 1);
		http_free(TAKE(r.http));
		assert_int_equal(http_body(r.kept).len, 3);
		assert_true(http_is_gone(r.kept));
	})
}

static int
expect_end(struct peer *p, void *arg)
{
	struct rig *r = arg;
	char c;
	return peer_connect(p) && peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") &&
	       peer_recv(p, &c, 1) == 0 && r->requests == 1;
}

static void
a_dropped_request_ends_the_connection_unanswered(void **state)
{
	(void)state;
	BOTH({
		r.mode = DROP;
		assert_int_equal(run(&r, expect_end, 50), 1);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
read_stream(struct peer *p, void *arg)
{
	struct rig *r = arg;
	if (!peer_connect(p) || !peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
		return -1;
	size_t payload = 0;
	if (!read_to(p, r, "\r\n\r\n") || !strstr(r->out, "Transfer-Encoding: chunked"))
		return -2;
	while (read_to(p, r, "\r\n") && strcmp(r->out, "0\r\n") != 0)
		for (size_t i = 0; r->out[i]; i++)
			payload += r->out[i] == 'p';
	return (int)payload;
}

static void
a_stream_waits_for_its_reader_and_arrives_whole(void **state)
{
	(void)state;
	BOTH({
		r.mode = STREAM;
		assert_int_equal(run(&r, read_stream, 0), PIECE * PIECES);
		assert_true(r.rooms > 1);
		assert_int_equal(r.gones, 0);
	})
}

static int
read_a_little(struct peer *p, void *arg)
{
	(void)arg;
	char some[2000];
	int small = 4096;
	if (!peer_connect_tcp(p))
		return -1;
	setsockopt(peer_fd(p), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	return peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") &&
	       peer_recv(p, some, sizeof(some)) == sizeof(some);
}

static void
a_reader_that_leaves_in_mid_stream_is_told_as_gone(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	r.mode = STREAM;
	run(&r, read_a_little, 100);
	assert_true(r.gones == 1 || r.pieces == PIECES);
	assert_null(r.kept);
	assert_int_equal(http_conns(r.http), 0);
	rig_close(&r);
}

/* Sends text in one piece on a new connection; the status of the answer, 0 when there is
 * none. */
static int
status_of(struct peer *p, struct rig *r, const char *text)
{
	int64_t status = 0;
	peer_close(p);
	if (!peer_connect(p) || !peer_say(p, text) || !read_to(p, r, "\r\n\r\n"))
		return 0;
	struct span line = span_str(r->out);
	bool ok =
	    num_ok(span_head(span_skip(line, strlen("HTTP/1.1 ")), 3), 100, 599, &status);
	read_to(p, r, "never: to the end of the stream");
	return ok ? (int)status : 0;
}

static int
too_big(struct peer *p, void *arg)
{
	struct rig *r = arg;
	char text[6000];
	if (status_of(p, r,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10001\r\n\r\n") != 413)
		return -1;
	snprintf(text, sizeof(text), "GET /%05000d HTTP/1.1\r\nHost: h\r\n\r\n", 0);
	int status = status_of(p, r, text);
	if (status != 400 && status != 413)
		return -2;
	if (status_of(p, r, "no such thing <b>\r\n\r\n") != 400 || strstr(r->out, "<b>"))
		return -3;
	if (status_of(p, r, "BREW / HTTP/1.1\r\nHost: h\r\n\r\n") != 501)
		return -4;
	return 1;
}

static void
what_is_too_big_or_malformed_is_refused_before_the_handler(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, too_big, 50), 1);
		assert_int_equal(r.requests, 0);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
drip_request(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = peer_connect(p);
	for (int i = 0; ok && i < 20; i++) {
		ok = peer_send(p, i ? "X" : "G", 1);
		usleep(50 * 1000);
	}
	return ok;
}

static void
a_request_that_drips_is_ended_as_a_whole(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, drip_request, 0), 0);
		assert_int_equal(r.requests, 0);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
linger(struct peer *p, void *arg)
{
	struct rig *r = arg;
	char c;
	return peer_connect(p) && peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") &&
	       read_to(p, r, "hi") && peer_recv(p, &c, 1) == 0 &&
	       http_conns(r->http) <= 1;
}

static void
an_idle_connection_is_closed(void **state)
{
	(void)state;
	BOTH({
		r.opts.idle_ms = 100;
		r.opts.request_ms = 10000;
		assert_int_equal(run(&r, linger, 50), 1);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
hold_two_ask_third(struct peer *p, void *arg)
{
	struct rig *r = arg;
	if (!peer_connect_tcp(p))
		return -1;
	int first = dup(peer_fd(p));
	peer_close(p);
	if (!peer_connect_tcp(p) || !peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
		return -2;
	usleep(50 * 1000);
	if (r->requests)
		return -3;
	close(first);
	return read_to(p, r, "hi");
}

static void
at_the_cap_of_connections_a_peer_waits_its_turn(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	r.opts.conns_max = 1;
	assert_int_equal(run(&r, hold_two_ask_third, 0), 1);
	rig_close(&r);
}

enum { SHARE = 64 }; /* of one source, where conns_max is small (gate.c) */

/* A connection on which nothing is sent. */
static int
silent(struct peer *p)
{
	if (!peer_connect_tcp(p))
		return -1;
	int fd = dup(peer_fd(p));
	peer_close(p);
	return fd;
}

static bool
conns_become(const struct rig *r, size_t n)
{
	for (int i = 0; i < 1000 && http_conns(r->http) != n; i++)
		usleep(10 * 1000);
	return http_conns(r->http) == n;
}

static int
fill_the_share(struct peer *p, void *arg)
{
	struct rig *r = arg;
	int fds[SHARE + 2];
	bool ok = true;
	for (int i = 0; i < SHARE + 2; i++)
		ok = (fds[i] = silent(p)) >= 0 && ok;
	ok = ok && conns_become(r, SHARE);
	usleep(50 * 1000);
	ok = ok && http_conns(r->http) == SHARE;
	for (int i = 0; i < 4; i++)
		close(fds[i]);
	ok = ok && conns_become(r, SHARE - 2);
	for (int i = 4; i < SHARE + 2; i++)
		close(fds[i]);
	return ok;
}

static void
a_source_has_its_share_of_what_has_proved_nothing(void **state)
{
	(void)state;
	BOTH({
		r.opts.request_ms = 10000;
		assert_int_equal(run(&r, fill_the_share, 50), 1);
		assert_int_equal(http_conns(r.http), 0);
	})
}

static int
ask_behind_the_silent(struct peer *p, void *arg)
{
	struct rig *r = arg;
	int fds[SHARE];
	for (int i = 0; i < SHARE; i++)
		fds[i] = silent(p);
	bool ok = conns_become(r, SHARE) && peer_connect(p) &&
		  peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") && read_to(p, r, "hi");
	for (int i = 0; i < SHARE; i++)
		close(fds[i]);
	return ok;
}

static void
who_waited_is_served_when_the_silent_have_had_their_time(void **state)
{
	(void)state;
	BOTH({
		r.opts.request_ms = 1000;
		assert_int_equal(run(&r, ask_behind_the_silent, 50), 1);
		assert_int_equal(http_conns(r.http), 0);
	})
}

/* How many of ten requests, in half a second, are answered. */
static int
keep_asking(struct peer *p, void *arg)
{
	struct rig *r = arg;
	int n = 0;
	if (!peer_connect(p))
		return -1;
	while (n < 10 && peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") &&
	       read_to(p, r, "hi")) {
		n++;
		usleep(50 * 1000);
	}
	return n;
}

static void
a_connection_ends_in_time_unless_something_is_proved(void **state)
{
	(void)state;
	BOTH({
		r.opts.unproven_ms = 200;
		r.opts.request_ms = r.opts.idle_ms = 10000;
		r.proves = tls;
		int n = run(&r, keep_asking, 0);
		assert_int_equal(n == 10, r.proves);
		r.proves = !r.proves;
		http_free(TAKE(r.http));
		n = run(&r, keep_asking, 0);
		assert_int_equal(n == 10, r.proves);
	})
}

static int
drain_while_one_asks(struct peer *p, void *arg)
{
	struct rig *r = arg;
	char c;
	int idle = silent(p);
	if (!conns_become(r, 1) || !peer_connect(p) ||
	    !peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n") ||
	    !read_to(p, r, "\r\n\r\nlate") || !strstr(r->out, "Connection: close\r\n"))
		return -1;
	bool ended = peer_recv(p, &c, 1) == 0 && read(idle, &c, 1) == 0;
	close(idle);
	return ended && conns_become(r, 0);
}

static void
draining_ends_what_is_idle_and_the_others_behind_their_answer(void **state)
{
	(void)state;
	BOTH({
		r.mode = DRAIN;
		r.opts.request_ms = r.opts.idle_ms = 10000;
		assert_int_equal(run(&r, drain_while_one_asks, 0), 1);
	})
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(requests_on_one_connection_are_told_raw_and_answered),
	    cmocka_unit_test(pipelined_requests_are_answered_one_after_the_other),
	    cmocka_unit_test(head_is_answered_with_the_length_and_no_body),
	    cmocka_unit_test(a_peer_that_leaves_is_noticed_while_its_answer_is_made),
	    cmocka_unit_test(a_request_outlives_its_server),
	    cmocka_unit_test(a_dropped_request_ends_the_connection_unanswered),
	    cmocka_unit_test(a_stream_waits_for_its_reader_and_arrives_whole),
	    cmocka_unit_test(a_reader_that_leaves_in_mid_stream_is_told_as_gone),
	    cmocka_unit_test(what_is_too_big_or_malformed_is_refused_before_the_handler),
	    cmocka_unit_test(a_request_that_drips_is_ended_as_a_whole),
	    cmocka_unit_test(an_idle_connection_is_closed),
	    cmocka_unit_test(at_the_cap_of_connections_a_peer_waits_its_turn),
	    cmocka_unit_test(a_source_has_its_share_of_what_has_proved_nothing),
	    cmocka_unit_test(who_waited_is_served_when_the_silent_have_had_their_time),
	    cmocka_unit_test(a_connection_ends_in_time_unless_something_is_proved),
	    cmocka_unit_test(
		draining_ends_what_is_idle_and_the_others_behind_their_answer),
	};
	return cmocka_run_group_tests_name("io/http", tests, NULL, NULL);
}
