/*
 * Links: framing, batching, descriptors, back-pressure, and peers that break the rules.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../test.h"

#include "base/buf.h"
#include "io/ipc.h"
#include "io/ipc_in.h"
#include "io/sock.h"

static const struct ipc_opts opts = {.body_max = 4096, .queue_max = 64 * 1024};

struct end {
	struct ipc_link *link;
	unsigned frames, closes, highs, lows;
	uint64_t last_id;
	struct buf body;
	int fd;
	bool free_on_frame, pause_on_frame;
	struct err why;
};

static void
on_frame(void *arg, struct ipc_frame *f)
{
	struct end *n = arg;
	n->frames++;
	assert_true(f->id > n->last_id);
	n->last_id = f->id;
	buf_reset(&n->body);
	buf_put_span(&n->body, f->body);
	if (f->fd >= 0)
		n->fd = TAKE_FD(f->fd);
	if (n->pause_on_frame)
		ipc_pause(n->link, true);
	if (!n->free_on_frame)
		return;
	ipc_free(n->link);
	n->link = NULL;
}

static void
on_closed(void *arg, const struct err *why)
{
	struct end *n = arg;
	n->closes++;
	n->why = *why;
}

static void
on_pressure(void *arg, bool high)
{
	struct end *n = arg;
	*(high ? &n->highs : &n->lows) += 1;
}

static const struct ipc_ops ops = {on_frame, on_closed, on_pressure};

struct rig {
	struct loop *loop;
	struct end a, b;
	int raw; /* when b is driven by hand */
};

static void
end_open(struct rig *r, struct end *n, int fd)
{
	struct err e;
	*n = (struct end){.fd = -1, .body = BUF_INIT(65536)};
	n->link = ipc_new(r->loop, fd, &opts, &ops, n, &e);
	assert_non_null(n->link);
}

/* In place: the callbacks' arguments point into it. */
static void
rig_open(struct rig *r, bool raw_b)
{
	struct err e;
	int fd[2];
	*r = (struct rig){.loop = loop_new(&clock_system, &e), .raw = -1, .b.fd = -1};
	assert_ok(sock_pair(fd, &e), &e);
	end_open(r, &r->a, fd[0]);
	if (raw_b)
		r->raw = fd[1];
	else
		end_open(r, &r->b, fd[1]);
}

static void
rig_close(struct rig *r)
{
	ipc_free(r->a.link);
	ipc_free(r->b.link);
	own_close(&r->raw);
	own_close(&r->a.fd);
	own_close(&r->b.fd);
	buf_done(&r->a.body);
	buf_done(&r->b.body);
	loop_free(r->loop);
}

static void
turns(struct rig *r, int n)
{
	struct err e;
	while (n--)
		assert_ok(loop_turn(r->loop, 2, &e), &e);
}

static void
send_n(struct ipc_link *k, uint64_t id, const char *body)
{
	struct err e;
	struct ipc_frame f = {
	    .type = 7, .flags = 3, .id = id, .body = span_str(body), .fd = -1};
	assert_ok(ipc_send(k, &f, &e), &e);
}

static void
frames_of_a_turn_leave_in_one_write_and_arrive_in_order(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	for (uint64_t i = 1; i <= 100; i++)
		send_n(r.a.link, i, "hello");
	char peek[8192];
	assert_int_equal(recv(r.raw, peek, sizeof(peek), MSG_DONTWAIT), -1);
	turns(&r, 1);
	assert_int_equal(recv(r.raw, peek, sizeof(peek), MSG_DONTWAIT), 100 * (16 + 5));
	assert_memory_equal(peek, "\0\0\0\5\0\7\0\3\0\0\0\0\0\0\0\1hello", 21);
	rig_close(&r);
}

static void
every_frame_arrives_whole(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	char body[4097];
	memset(body, 'x', 4096);
	body[4096] = '\0';
	for (uint64_t i = 1; i <= 15; i++)
		send_n(r.a.link, i, i % 2 ? body : "");
	turns(&r, 3);
	assert_int_equal(r.b.frames, 15);
	assert_int_equal(r.b.body.len, 4096);
	rig_close(&r);
}

static void
frames_split_at_every_byte_are_put_together(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	static const char two[] =
	    "\0\0\0\2\0\1\0\0\0\0\0\0\0\0\0\5hi\0\0\0\0\0\1\0\0\0\0\0\0\0\0\0\6";
	for (size_t i = 0; i < sizeof(two) - 1; i++) {
		assert_int_equal(write(r.raw, two + i, 1), 1);
		turns(&r, 1);
	}
	assert_int_equal(r.a.frames, 2);
	assert_int_equal(r.a.last_id, 6);
	rig_close(&r);
}

static void
a_descriptor_arrives_with_its_own_frame(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	struct err e;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	send_n(r.a.link, 1, "before");
	struct ipc_frame f = {.id = 2, .body = SPAN_LIT("with"), .fd = p[1]};
	assert_ok(ipc_send(r.a.link, &f, &e), &e);
	send_n(r.a.link, 3, "after");
	turns(&r, 3);
	assert_int_equal(r.b.frames, 3);
	assert_true(r.b.fd >= 0);
	assert_int_equal(fcntl(r.b.fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(write(r.b.fd, "x", 1), 1);
	char c;
	assert_int_equal(read(p[0], &c, 1), 1);
	close(p[0]);
	close(p[1]);
	rig_close(&r);
}

static void
a_full_queue_refuses_and_says_when_it_is_empty_again(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	struct err e;
	static char body[4096];
	struct ipc_frame f = {.id = 1, .body = span_of(body, sizeof(body)), .fd = -1};
	int sent = 0;
	for (; ipc_send(r.a.link, &f, &e) == 0 && sent < 10000; sent++)
		turns(&r, r.a.highs ? 0 : 1);
	assert_int_equal(e.code, ERR_BUSY);
	assert_int_equal(r.a.highs, 1);
	assert_int_equal(r.a.lows, 0);
	size_t got = 0;
	for (ssize_t n; got < (size_t)sent * (4096 + 16);) {
		while ((n = recv(r.raw, body, sizeof(body), MSG_DONTWAIT)) > 0)
			got += (size_t)n;
		turns(&r, 1);
	}
	assert_int_equal(r.a.lows, 1);
	assert_int_equal(ipc_queued(r.a.link), 0);
	rig_close(&r);
}

static void
a_body_over_the_cap_is_refused_when_sent_and_closes_when_received(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	struct err e;
	static uint8_t big[4097];
	struct ipc_frame f = {.id = 1, .body = span_of(big, sizeof(big)), .fd = -1};
	assert_fails(ipc_send(r.a.link, &f, &e), &e, LIMIT);
	uint8_t head[IPC_HEAD_LEN];
	ipc_frame_write_head(&f, head);
	assert_int_equal(write(r.raw, head, sizeof(head)), sizeof(head));
	turns(&r, 2);
	assert_int_equal(r.a.closes, 1);
	assert_int_equal(r.a.why.code, ERR_LIMIT);
	assert_int_equal(r.a.frames, 0);
	rig_close(&r);
}

static void
a_frame_that_lacks_its_descriptor_closes_the_link(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	assert_int_equal(write(r.raw, "\0\0\0\0\0\7\x80\0\0\0\0\0\0\0\0\1", 16), 16);
	turns(&r, 2);
	assert_int_equal(r.a.closes, 1);
	assert_int_equal(r.a.why.code, ERR_PARSE);
	rig_close(&r);
}

static void
a_descriptor_that_no_frame_announced_closes_the_link(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	uint8_t head[IPC_HEAD_LEN] = {[5] = 7, [15] = 1};
	struct iovec iov = {head, sizeof(head)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	struct ipc_in_control c;
	ipc_in_attach(&m, &c, r.raw);
	assert_int_equal(sendmsg(r.raw, &m, 0), sizeof(head));
	turns(&r, 2);
	assert_int_equal(r.a.closes, 1);
	assert_int_equal(r.a.why.code, ERR_PARSE);
	rig_close(&r);
}

static void
what_was_sent_before_the_peer_died_is_read_first(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	send_n(r.b.link, 1, "last words");
	ipc_flush(r.b.link);
	ipc_free(TAKE(r.b.link));
	send_n(r.a.link, 1, "to nobody");
	turns(&r, 3);
	assert_int_equal(r.a.frames, 1);
	assert_int_equal(r.a.closes, 1);
	assert_int_equal(r.a.why.code, ERR_UNAVAILABLE);
	struct err e;
	struct ipc_frame f = {.fd = -1};
	assert_fails(ipc_send(r.a.link, &f, &e), &e, UNAVAILABLE);
	rig_close(&r);
}

static void
a_link_may_be_freed_in_on_frame(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	r.b.free_on_frame = true;
	send_n(r.a.link, 1, "one");
	send_n(r.a.link, 2, "two");
	turns(&r, 3);
	assert_int_equal(r.b.frames, 1);
	assert_int_equal(r.b.closes, 0);
	assert_int_equal(r.a.closes, 1);
	rig_close(&r);
}

static void
a_paused_link_keeps_frames_until_resumed(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, false);
	r.b.pause_on_frame = true;
	send_n(r.a.link, 1, "one");
	send_n(r.a.link, 2, "two");
	turns(&r, 3);
	assert_int_equal(r.b.frames, 1);
	r.b.pause_on_frame = false;
	ipc_pause(r.b.link, false);
	turns(&r, 2);
	assert_int_equal(r.b.frames, 2);
	rig_close(&r);
}

static void
a_blocking_call_finds_its_answer_among_other_frames(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	struct err e;
	struct ipc_frame got;
	struct ipc_sync *s = ipc_sync_new(TAKE_FD(r.raw), 4096);
	struct ipc_frame other = {.id = 99, .body = SPAN_LIT("event"), .fd = -1};
	assert_ok(ipc_send(r.a.link, &other, &e), &e);
	send_n(r.a.link, 1, "answer");
	ipc_flush(r.a.link);
	assert_ok(ipc_sync_call(s, 5, SPAN_LIT("ask"), 1000, &got, &e), &e);
	assert_true(span_eq_str(got.body, "answer"));
	turns(&r, 1);
	assert_int_equal(r.a.frames, 1);
	assert_fails(ipc_sync_recv(s, 10, &got, &e), &e, TIMEOUT);
	ipc_free(TAKE(r.a.link));
	assert_fails(ipc_sync_recv(s, 1000, &got, &e), &e, UNAVAILABLE);
	ipc_sync_free(s);
	rig_close(&r);
}

static void
queued_frames_arrive_in_order_and_before_one_that_is_sent(void **state)
{
	(void)state;
	struct rig r;
	rig_open(&r, true);
	struct err e;
	struct ipc_sync *s = ipc_sync_new(TAKE_FD(r.raw), 4096);
	char text[2000];
	memset(text, 'q', sizeof(text));
	for (uint64_t i = 1; i <= 100; i++) {
		struct ipc_frame f = {
		    .id = i, .body = span_of(text, sizeof(text)), .fd = -1};
		assert_ok(ipc_sync_queue(s, &f, 1000, &e), &e);
		turns(&r, 2);
	}
	/* more than IPC_SYNC_QUEUE went by itself, the rest waits */
	assert_in_range(r.a.frames, 32, 99);
	struct ipc_frame last = {.id = 101, .body = SPAN_LIT("sent"), .fd = -1};
	assert_ok(ipc_sync_send(s, &last, 1000, &e), &e);
	turns(&r, 4);
	assert_int_equal(r.a.frames, 101);
	struct ipc_frame long_one = {.body = span_of(text, 0), .fd = -1};
	long_one.body.len = 4097;
	assert_fails(ipc_sync_queue(s, &long_one, 1000, &e), &e, LIMIT);
	ipc_sync_free(s);
	rig_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frames_of_a_turn_leave_in_one_write_and_arrive_in_order),
	    cmocka_unit_test(every_frame_arrives_whole),
	    cmocka_unit_test(frames_split_at_every_byte_are_put_together),
	    cmocka_unit_test(a_descriptor_arrives_with_its_own_frame),
	    cmocka_unit_test(a_full_queue_refuses_and_says_when_it_is_empty_again),
	    cmocka_unit_test(
		a_body_over_the_cap_is_refused_when_sent_and_closes_when_received),
	    cmocka_unit_test(a_frame_that_lacks_its_descriptor_closes_the_link),
	    cmocka_unit_test(a_descriptor_that_no_frame_announced_closes_the_link),
	    cmocka_unit_test(what_was_sent_before_the_peer_died_is_read_first),
	    cmocka_unit_test(a_link_may_be_freed_in_on_frame),
	    cmocka_unit_test(a_paused_link_keeps_frames_until_resumed),
	    cmocka_unit_test(a_blocking_call_finds_its_answer_among_other_frames),
	    cmocka_unit_test(queued_frames_arrive_in_order_and_before_one_that_is_sent),
	};
	return cmocka_run_group_tests_name("io/ipc", tests, NULL, NULL);
}
