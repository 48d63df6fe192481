/*
 * Streams, each test over plain TCP and over TLS: life, caps, time-outs, ways to end.
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

#include "io/sock.h"
#include "io/stream.h"
#include "peer.h"

enum { PILE_MAX = 16 << 20 }; /* more than the kernel takes */

struct rig {
	struct loop *loop;
	struct tls_server *tls;
	struct stream_listener *listener;
	struct stream *s; /* the last accepted */
	uint16_t port;
	struct stream_opts opts;
	size_t conns_max;
	unsigned accepts, readies, closes, drains;
	enum err_code why;
	char why_text[512];
	struct buf got;
	enum {
		ECHO,
		KEEP,
		CLOSE_ON_DATA,
		FREE_ON_DATA,
		FLOOD,
		PILE,
		FREE_ON_ACCEPT,
		FREE_ALL
	} mode;
};

static void
on_ready(void *arg)
{
	struct rig *r = arg;
	r->readies++;
	assert_int_equal(stream_ssl(r->s) != NULL, r->tls != NULL);
	assert_memory_equal(stream_peer(r->s), "127.0.0.1:", 10);
}

static void
on_data(void *arg, struct span pending)
{
	struct rig *r = arg;
	static uint8_t block[4096];
	buf_put_span(&r->got, pending);
	if (r->mode == KEEP)
		return;
	if (r->mode == ECHO)
		stream_write(r->s, pending);
	stream_consume(r->s, pending.len);
	for (int i = 0; r->mode == FLOOD && i < 1000; i++)
		stream_write(r->s, span_of(block, sizeof(block)));
	while (r->mode == PILE && stream_queued(r->s) < PILE_MAX)
		stream_write(r->s, span_of(block, sizeof(block)));
	if (r->mode == CLOSE_ON_DATA) {
		stream_write(r->s, SPAN_LIT("bye"));
		stream_close(r->s);
		assert_int_equal(r->closes, 0);
	}
	if (r->mode == FREE_ON_DATA)
		stream_free(r->s);
	if (r->mode == FREE_ALL)
		stream_listener_free(TAKE(r->listener));
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
	r->why = why->code;
	snprintf(r->why_text, sizeof(r->why_text), "%s", why->text);
}

static const struct stream_ops ops = {on_ready, on_data, on_drained, on_closed};

static void
on_accept(void *arg, struct stream *s)
{
	struct rig *r = arg;
	r->accepts++;
	r->s = s;
	stream_handle(s, &ops, r);
	if (r->mode == FREE_ON_ACCEPT)
		stream_free(s);
}

static void
rig_open(struct rig *r, bool tls)
{
	struct err e;
	*r = (struct rig){.conns_max = 100, .got = BUF_INIT(1 << 20)};
	r->opts = (struct stream_opts){
	    .handshake_ms = 300, .close_ms = 500, .in_max = 65536, .out_max = 65536};
	r->loop = loop_new(&clock_system, &e);
	r->tls = tls ? peer_tls_server() : NULL;
	assert_true(!tls || r->tls);
}

static int
run(struct rig *r, int (*client)(struct peer *p, void *arg), int settle_ms)
{
	struct err e;
	int fd;
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &r->port, &e), &e);
	r->listener =
	    stream_listen(r->loop, fd, r->tls, &r->opts, r->conns_max, on_accept, r, &e);
	assert_non_null(r->listener);
	return peer_run(r->loop, r->port, r->tls, client, r, settle_ms);
}

static void
rig_close(struct rig *r)
{
	stream_listener_free(r->listener);
	tls_server_free(r->tls);
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

static int
say_hello(struct peer *p, void *arg)
{
	(void)arg;
	char back[5];
	return peer_connect(p) && peer_say(p, "hello") && peer_recv(p, back, 5) == 5 &&
	       memcmp(back, "hello", 5) == 0;
}

static void
bytes_go_both_ways_and_the_peers_end_is_told_once(void **state)
{
	(void)state;
	BOTH({
		assert_int_equal(run(&r, say_hello, 50), 1);
		assert_int_equal(r.readies, 1);
		assert_true(r.drains >= 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_OK);
		assert_int_equal(stream_listener_count(r.listener), 0);
	})
}

static int
until_closed(struct peer *p, void *arg)
{
	(void)arg;
	char back[3];
	return peer_connect(p) && peer_say(p, "hello") && peer_recv(p, back, 3) == 3 &&
	       peer_is_closed(p);
}

static void
a_graceful_close_sends_everything_then_close_notify(void **state)
{
	(void)state;
	BOTH({
		r.mode = CLOSE_ON_DATA;
		assert_int_equal(run(&r, until_closed, 50), 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_OK);
	})
}

static int
ignore_close(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = peer_connect(p) && peer_say(p, "hello");
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
		assert_int_equal(stream_listener_count(r.listener), 0);
	})
}

static void
a_stream_and_its_listener_may_be_freed_from_callbacks(void **state)
{
	(void)state;
	BOTH({
		r.mode = FREE_ON_DATA;
		assert_int_equal(run(&r, say_hello, 50), 0);
		assert_int_equal(r.closes, 0);
		assert_int_equal(stream_listener_count(r.listener), 0);
	})
	BOTH({
		r.mode = FREE_ON_ACCEPT;
		assert_int_equal(run(&r, say_hello, 50), 0);
		assert_int_equal(r.accepts, 1);
		assert_int_equal(r.readies, 0);
	})
	BOTH({
		r.mode = FREE_ALL;
		assert_int_equal(run(&r, say_hello, 50), 0);
		assert_int_equal(r.closes, 0);
	})
}

static int
silent(struct peer *p, void *arg)
{
	(void)arg;
	bool ok = peer_connect(p);
	return ok && peer_is_closed(p);
}

static void
a_silent_peer_is_closed_after_the_idle_time(void **state)
{
	(void)state;
	BOTH({
		r.opts.idle_ms = 100;
		run(&r, silent, 50);
		assert_int_equal(r.readies, 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_TIMEOUT);
	})
}

static int
drip(struct peer *p, void *arg)
{
	(void)arg;
	/* a TLS record's head, byte by byte: each would restart an idle timer */
	static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
	bool ok = peer_connect_tcp(p);
	for (size_t i = 0; ok && i < sizeof(hello) - 1; i++) {
		ok = peer_send(p, hello + i, 1);
		usleep(60 * 1000);
	}
	return ok;
}

static void
a_handshake_that_drips_is_ended_as_a_whole(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	r.opts.idle_ms = 200;
	run(&r, drip, 0);
	assert_int_equal(r.accepts, 1);
	assert_int_equal(r.readies, 0);
	assert_int_equal(r.closes, 1);
	assert_int_equal(r.why, ERR_TIMEOUT);
	rig_close(&r);
}

static int
speak_plain(struct peer *p, void *arg)
{
	(void)arg;
	return peer_connect_tcp(p) && peer_say(p, "GET / HTTP/1.1\r\n\r\n") &&
	       !peer_is_closed(p);
}

static void
a_failed_handshake_says_why(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	run(&r, speak_plain, 50);
	assert_int_equal(r.closes, 1);
	assert_int_equal(r.why, ERR_CRYPTO);
	assert_string_equal(r.why_text, "TLS handshake: http request");
	rig_close(&r);
}

static int
stuff(struct peer *p, void *arg)
{
	(void)arg;
	static char block[40000];
	bool ok = peer_connect(p) && peer_send(p, block, sizeof(block)) &&
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
	bool ok = peer_connect(p) && peer_say(p, "x");
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
wait_unread(struct peer *p, void *arg)
{
	const struct rig *r = arg;
	bool ok = peer_connect(p) && peer_say(p, "x");
	for (int i = 0; ok && i < 500 && !r->closes; i++)
		usleep(10 * 1000);
	return ok;
}

static void
a_peer_that_takes_nothing_is_closed_in_time(void **state)
{
	(void)state;
	BOTH({
		r.mode = PILE;
		r.opts.out_max = 2 * PILE_MAX;
		r.opts.write_ms = 200;
		assert_int_equal(run(&r, wait_unread, 0), 1);
		assert_int_equal(r.closes, 1);
		assert_int_equal(r.why, ERR_TIMEOUT);
		assert_string_equal(r.why_text, "the peer does not read");
	})
}

static int
three_at_once(struct peer *p, void *arg)
{
	struct rig *r = arg;
	if (!peer_connect(p))
		return -1;
	int held = dup(peer_fd(p));
	int extra[2];
	for (int i = 0; i < 2; i++) {
		if (!peer_connect_tcp(p))
			return -1;
		extra[i] = dup(peer_fd(p));
		peer_close(p);
	}
	usleep(100 * 1000);
	int accepted = (int)r->accepts;
	close(held);
	close(extra[0]);
	close(extra[1]);
	return accepted;
}

static void
at_the_cap_of_connections_peers_wait_in_the_backlog(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	r.conns_max = 2;
	assert_int_equal(run(&r, three_at_once, 100), 2);
	assert_int_equal(r.accepts, 3);
	rig_close(&r);
}

static void
turns(struct rig *r, int64_t ms)
{
	struct err e;
	int64_t until = clock_mono_ms(&clock_system) + ms;
	while (clock_mono_ms(&clock_system) < until)
		assert_ok(loop_turn(r->loop, 5, &e), &e);
}

/* Until there are so many, or nothing more can be hoped for; then a while longer. */
static void
accepts(struct rig *r, unsigned want)
{
	for (int i = 0; i < 1000 && r->accepts < want; i++)
		turns(r, 5);
	turns(r, 30);
	assert_int_equal(r->accepts, want);
}

static void
a_stream_that_proved_itself_makes_room_for_another(void **state)
{
	enum { SHARE = 64, PEERS = SHARE + 2 }; /* of one source (io/gate.c) */
	(void)state;
	struct rig r;
	struct err e;
	int fd, peers[PEERS];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	rig_open(&r, false);
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &r.port, &e), &e);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	r.listener =
	    stream_listen(r.loop, fd, NULL, &r.opts, r.conns_max, on_accept, &r, &e);
	assert_non_null(r.listener);
	for (int i = 0; i < PEERS; i++) {
		peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(peers[i], (struct sockaddr *)&sa, len);
	}
	accepts(&r, SHARE);
	for (int i = 0; i < 3; i++)
		stream_prove(r.s); /* counts once */
	accepts(&r, SHARE + 1);
	stream_prove(r.s);
	accepts(&r, SHARE + 2);
	for (int i = 0; i < PEERS; i++)
		close(peers[i]);
	rig_close(&r);
}

static void
accepting_rests_while_descriptors_are_out(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	struct err e;
	struct rlimit was, few;
	int fd, held[64];
	assert_ok(sock_listen("127.0.0.1:0", false, &fd, &r.port, &e), &e);
	r.listener = stream_listen(r.loop, fd, NULL, &r.opts, 10, on_accept, &r, &e);
	int a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	connect(a, (struct sockaddr *)&sa, len);
	getrlimit(RLIMIT_NOFILE, &was);
	few = (struct rlimit){(rlim_t)a + 3, was.rlim_max};
	setrlimit(RLIMIT_NOFILE, &few);
	size_t n = 0;
	while (n < 64 && (held[n] = dup(0)) >= 0)
		n++;
	int turns = 0;
	int64_t until = clock_mono_ms(&clock_system) + 100;
	for (; clock_mono_ms(&clock_system) < until; turns++)
		assert_ok(loop_turn(r.loop, 50, &e), &e);
	assert_int_equal(r.accepts, 0);
	assert_true(turns < 10); /* it does not spin */
	while (n)
		close(held[--n]);
	setrlimit(RLIMIT_NOFILE, &was);
	for (int i = 0; i < 6 && !r.accepts; i++)
		assert_ok(loop_turn(r.loop, 100, &e), &e);
	assert_int_equal(r.accepts, 1);
	close(a);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(bytes_go_both_ways_and_the_peers_end_is_told_once),
	    cmocka_unit_test(a_graceful_close_sends_everything_then_close_notify),
	    cmocka_unit_test(a_peer_that_ignores_our_close_is_dropped_in_time),
	    cmocka_unit_test(a_stream_and_its_listener_may_be_freed_from_callbacks),
	    cmocka_unit_test(a_silent_peer_is_closed_after_the_idle_time),
	    cmocka_unit_test(a_handshake_that_drips_is_ended_as_a_whole),
	    cmocka_unit_test(a_failed_handshake_says_why),
	    cmocka_unit_test(input_that_is_never_a_whole_message_ends_at_its_cap),
	    cmocka_unit_test(a_peer_that_does_not_read_is_closed_at_the_cap_of_output),
	    cmocka_unit_test(a_peer_that_takes_nothing_is_closed_in_time),
	    cmocka_unit_test(at_the_cap_of_connections_peers_wait_in_the_backlog),
	    cmocka_unit_test(a_stream_that_proved_itself_makes_room_for_another),
	    cmocka_unit_test(accepting_rests_while_descriptors_are_out),
	};
	return cmocka_run_group_tests_name("io/stream", tests, NULL, NULL);
}
