/*
 * Streams in WebSocket frames on connections taken over from HTTP, each test over plain
 * TCP and over TLS: life, ends, caps, and what they count as.
 */
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

#include "io/http.h"
#include "io/sock.h"
#include "io/stream.h"
#include "peer.h"

#define ANSWER "HTTP/1.1 101 Switching Protocols\r\nX: y\r\n\r\n"
#define ASK    "GET /ws HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\n\r\n"

struct rig {
	struct loop *loop;
	struct tls_server *tls;
	struct http *http;
	struct stream *s;
	uint16_t port;
	struct stream_opts opts;
	unsigned requests, readies, closes, drains;
	enum err_code why;
	char why_text[512];
	size_t conns; /* of HTTP, when the stream was made */
	struct buf got;
	enum {
		ECHO,
		SINK,
		KEEP,
		CLOSE_ON_DATA,
		FREE_ON_DATA,
		FREE_AT_ONCE,
		FLOOD,
		PAUSE
	} mode;
	struct loop_timer *resume;
};

static void
on_ready(void *arg)
{
	struct rig *r = arg;
	r->readies++;
	assert_true(stream_is_websocket(r->s));
	assert_int_equal(stream_ssl(r->s) != NULL, r->tls != NULL);
	assert_memory_equal(stream_peer(r->s), "127.0.0.1:", 10);
}

static void
on_resume(void *arg)
{
	struct rig *r = arg;
	r->mode = ECHO;
	stream_pause(r->s, false);
}

static void
on_data(void *arg, struct span pending)
{
	struct rig *r = arg;
	static uint8_t block[4096];
	if (r->mode == KEEP)
		return;
	if (r->mode == PAUSE) {
		stream_pause(r->s, true);
		loop_timer_start(r->resume, 30);
		return;
	}
	buf_put_span(&r->got, pending);
	if (r->mode == ECHO)
		stream_write(r->s, pending);
	stream_consume(r->s, pending.len);
	for (int i = 0; r->mode == FLOOD && i < 1000; i++)
		stream_write(r->s, span_of(block, sizeof(block)));
	if (r->mode == CLOSE_ON_DATA) {
		stream_write(r->s, SPAN_LIT("bye"));
		stream_close(r->s);
		assert_int_equal(r->closes, 0);
	}
	if (r->mode == FREE_ON_DATA)
		stream_free(TAKE(r->s));
}

static void
on_drained(void *arg)
{
	struct rig *r = arg;
	r->drains++;
}

static void
on_closed(void *arg, const struct err *why)
{
	struct rig *r = arg;
	r->closes++;
	r->s = NULL;
	r->why = why->code;
	snprintf(r->why_text, sizeof(r->why_text), "%s", why->text);
}

static const struct stream_ops ops = {on_ready, on_data, on_drained, on_closed};

static void
on_request(void *arg, struct http_req *q)
{
	struct rig *r = arg;
	r->requests++;
	if (!http_header(q, "Upgrade")) {
		http_reply(q, 200, SPAN_LIT("ok~"));
		return;
	}
	r->s = stream_websocket(r->loop, q, SPAN_LIT(ANSWER), &r->opts);
	r->conns = http_conns(r->http);
	stream_handle(r->s, &ops, r);
	if (r->mode == FREE_AT_ONCE)
		stream_free(TAKE(r->s));
}

static void
rig_open(struct rig *r, bool tls)
{
	struct err e;
	*r = (struct rig){.got = BUF_INIT(1 << 20)};
	r->opts = (struct stream_opts){
	    .close_ms = 500, .idle_ms = 5000, .in_max = 65536, .out_max = 65536};
	r->loop = loop_new(&clock_system, &e);
	r->resume = loop_timer_new(r->loop, on_resume, r);
	r->tls = tls ? peer_tls_server() : NULL;
	assert_true(!tls || r->tls);
}

static int
run(struct rig *r, int (*client)(struct peer *p, void *arg), int settle_ms)
{
	static const struct http_opts opts = {.head_max = 4096,
	    .body_max = 10000,
	    .out_max = 8192,
	    .conns_max = 100,
	    .request_ms = 300,
	    .idle_ms = 100,
	    .write_ms = 100};
	struct err e;
	int fd;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &r->port, &e), &e);
	r->http = http_new(r->loop, &opts, on_request, r, &e);
	http_set_tls(r->http, r->tls);
	assert_ok(http_listen(r->http, fd, &e), &e);
	return peer_run(r->loop, r->port, r->tls, client, r, settle_ms);
}

static void
rig_close(struct rig *r)
{
	assert_int_equal(http_conns(r->http), 0);
	http_free(r->http);
	tls_server_free(r->tls);
	loop_timer_free(r->resume);
	loop_free(r->loop);
	buf_done(&r->got);
}

#define BOTH(body)                                                                       \
	for (int tls = 0; tls < 2; tls++) {                                              \
		struct rig r;                                                            \
		rig_open(&r, tls);                                                       \
		body;                                                                    \
		rig_close(&r);                                                           \
	}

static bool
comes(struct peer *p, struct span want)
{
	char got[256];
	assert_true(want.len <= sizeof(got));
	return peer_recv(p, got, want.len) == want.len &&
	       memcmp(got, want.p, want.len) == 0;
}
#define GETS(p, lit)  comes((p), SPAN_LIT(lit))
#define SENDS(p, lit) peer_send((p), (lit), sizeof(lit) - 1)

static bool
upgrade(struct peer *p)
{
	return peer_connect(p) && peer_say(p, ASK) && GETS(p, ANSWER);
}

/* With a key of zeros a masked payload is itself. */
#define FRAME(first, len, payload) first "" len "\x00\x00\x00\x00" payload
#define HELLO                      FRAME("\x82", "\x85", "hello")
#define GOODBYE                    FRAME("\x88", "\x82", "\x03\xe8")

static int
say_hello(struct peer *p, void *arg)
{
	(void)arg;
	if (!peer_connect(p) || !peer_say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
		return -1;
	char c;
	while (peer_recv(p, &c, 1) == 1 && c != '~') /* ends the answer */
		;
	return peer_say(p, ASK) && GETS(p, ANSWER) && SENDS(p, HELLO) &&
	       GETS(p, "\x82\x05hello") && SENDS(p, GOODBYE) &&
	       GETS(p, "\x88\x02\x03\xe8") && peer_is_closed(p);
}

static void
a_connection_of_http_goes_on_as_a_stream(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, say_hello, 50), 1);
		assert_int_equal(r.requests, 2);
		assert_int_equal(r.readies, 1);
		assert_int_equal(r.conns, 1);
		assert_true(r.drains >= 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_OK);
	})
}

static int
linger(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = upgrade(p);
	usleep(500 * 1000);
	return ok && SENDS(p, HELLO) && GETS(p, "\x82\x05hello");
}

static void
deadlines_of_http_are_no_longer_its(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, linger, 50), 1);
		assert_int_equal(r.closes, 1);
	})
}

static int
impatient(struct peer *p, void *arg)
{
	(void)arg;
	return peer_connect(p) && SENDS(p, ASK HELLO) && GETS(p, ANSWER) &&
	       GETS(p, "\x82\x05hello");
}

static void
frames_that_come_with_the_request_are_not_lost(void **state)
{
	(void)state;
	BOTH({ assert_int_equal(run(&r, impatient, 50), 1); })
}

static int
last_words(struct peer *p, void *arg)
{
	(void)arg;
	return upgrade(p) && SENDS(p, HELLO);
}

/* A device's DISCONNECT and the end of its connection come in one read. */
static void
what_comes_together_with_the_end_is_delivered(void **state)
{
	(void)state;
	for (int i = 0; i < 10; i++)
		BOTH({
			r.mode = SINK;
			assert_int_equal(run(&r, last_words, 50), 1);
			assert_int_equal(r.got.len, 5);
			assert_int_equal(r.closes, 1);
			assert_int_equal(r.why, ERR_OK);
		})
}

static int
until_closed(struct peer *p, void *arg)
{
	(void)arg;
	return upgrade(p) && SENDS(p, HELLO) &&
	       GETS(p, "\x82\x03"
		       "bye\x88\x02\x03\xe8") &&
	       peer_is_closed(p);
}

static void
a_graceful_close_says_so_in_frames_and_in_tls(void **state)
{
	(void)state;
	BOTH({
		r.mode = CLOSE_ON_DATA;
		assert_int_equal(run(&r, until_closed, 50), 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_OK);
		assert_string_equal(r.why_text, "closed by us");
	})
}

static int
ignore_close(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = upgrade(p) && SENDS(p, HELLO);
	usleep(300 * 1000);
	return ok;
}

static void
a_peer_that_ignores_our_close_is_dropped_in_time(void **state)
{
	(void)state;
	BOTH({
		r.mode = CLOSE_ON_DATA;
		r.opts.close_ms = 50;
		run(&r, ignore_close, 0);
		assert_int_equal(r.closes, 1);
	})
}

static int
unmasked(struct peer *p, void *arg)
{
	(void)arg;
	return upgrade(p) && SENDS(p, HELLO "\x82\x05hello") &&
	       GETS(p, "\x82\x05hello\x88\x02\x03\xea") && peer_is_closed(p);
}

static void
a_broken_frame_is_told_to_both_sides_after_what_came_before(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, unmasked, 50), 1);
		assert_int_equal(r.got.len, 5);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_PARSE);
		assert_string_equal(r.why_text, "WebSocket: frame without a mask");
	})
}

static void
a_stream_may_be_freed_from_callbacks(void **state)
{
	(void)state;
	BOTH({
		r.mode = FREE_ON_DATA;
		assert_int_equal(run(&r, last_words, 50), 1);
		assert_int_equal(r.readies, 1);
		assert_int_equal(r.closes, 0);
	})
	BOTH({
		r.mode = FREE_AT_ONCE;
		run(&r, last_words, 50);
		assert_int_equal(r.requests, 1);
		assert_int_equal(r.readies, 0);
		assert_int_equal(r.closes, 0);
	})
}

static int
silent(struct peer *p, void *arg)
{
	(void)arg;
	return upgrade(p) && !peer_is_closed(p);
}

static void
a_silent_peer_is_closed_after_the_idle_time(void **state)
{
	(void)state;
	BOTH({
		r.opts.idle_ms = 100;
		run(&r, silent, 50);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_TIMEOUT);
	})
}

static int
stuff(struct peer *p, void *arg)
{
	(void)arg;
	static char block[40000];
	bool ok = upgrade(p);
	for (int i = 0; ok && i < 2; i++)
		ok = SENDS(p, FRAME("\x82", "\xfe\x9c\x40", "")) &&
		     peer_send(p, block, sizeof(block));
	return ok && peer_recv(p, block, 1) == 0;
}

static void
input_that_is_never_a_whole_message_ends_at_its_cap(void **state)
{
	(void)state;
	BOTH({
		r.mode = KEEP;
		run(&r, stuff, 50);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_LIMIT);
	})
}

static int
never_read(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = upgrade(p) && SENDS(p, HELLO);
	usleep(200 * 1000);
	return ok;
}

static void
a_peer_that_does_not_read_is_closed_at_the_cap_of_output(void **state)
{
	(void)state;
	BOTH({
		r.mode = FLOOD;
		run(&r, never_read, 50);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_LIMIT);
	})
}

static int
many_pings(struct peer *p, void *arg)
{
	(void)arg;
	static char pings[131 * 100];
	for (size_t i = 0; i < 100; i++)
		memcpy(pings + 131 * i, FRAME("\x89", "\xfd", ""), 6);
	int small = 4096;
	bool ok = upgrade(p);
	setsockopt(peer_fd(p), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (int i = 0; ok && i < 2000; i++)
		ok = peer_send(p, pings, sizeof(pings));
	return !ok;
}

static void
pongs_that_nobody_reads_end_at_the_cap_of_output(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, many_pings, 50), 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_LIMIT);
	})
}

static int
two_hellos(struct peer *p, void *arg)
{
	(void)arg;
	return upgrade(p) && SENDS(p, HELLO HELLO) && GETS(p, "\x82\x0ahellohello");
}

static void
what_came_before_a_pause_is_delivered_after_it(void **state)
{
	(void)state;
	BOTH({
		r.mode = PAUSE;
		assert_int_equal(run(&r, two_hellos, 50), 1);
	})
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_connection_of_http_goes_on_as_a_stream),
	    cmocka_unit_test(deadlines_of_http_are_no_longer_its),
	    cmocka_unit_test(frames_that_come_with_the_request_are_not_lost),
	    cmocka_unit_test(what_comes_together_with_the_end_is_delivered),
	    cmocka_unit_test(a_graceful_close_says_so_in_frames_and_in_tls),
	    cmocka_unit_test(a_peer_that_ignores_our_close_is_dropped_in_time),
	    cmocka_unit_test(a_broken_frame_is_told_to_both_sides_after_what_came_before),
	    cmocka_unit_test(a_stream_may_be_freed_from_callbacks),
	    cmocka_unit_test(a_silent_peer_is_closed_after_the_idle_time),
	    cmocka_unit_test(input_that_is_never_a_whole_message_ends_at_its_cap),
	    cmocka_unit_test(a_peer_that_does_not_read_is_closed_at_the_cap_of_output),
	    cmocka_unit_test(pongs_that_nobody_reads_end_at_the_cap_of_output),
	    cmocka_unit_test(what_came_before_a_pause_is_delivered_after_it),
	};
	return cmocka_run_group_tests_name("io/websocket", tests, NULL, NULL);
}
