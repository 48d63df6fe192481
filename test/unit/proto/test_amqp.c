/*
 * AMQP connections on the bytes: what a peer may do, what ends it, and that nothing it
 * does makes the engine hold more than its caps.
 */
#include "../test.h"

#include <stdio.h>

#include "codec/amqp_msg.h"
#include "proto/amqp/amqp_conn.h"

#define AMQP_HEADER "AMQP\x00\x01\x00\x00"
#define SASL_HEADER "AMQP\x03\x01\x00\x00"

enum { OPEN = 0x10, BEGIN, ATTACH, FLOW, TRANSFER, DISPOSITION, DETACH, END, CLOSE };

struct world {
	struct amqp_conn *conn;
	struct buf out; /* what was written */
	struct amqp_link *link;
	unsigned links, gone, messages, outcomes, closed;
	uint32_t delivery;
	enum amqp_outcome outcome;
	size_t message_len;
	enum err_code why;
	char mechanism[32];
	bool hold; /* links are left undecided */
};

static void
on_write(void *arg, struct span bytes)
{
	struct world *w = arg;
	buf_put_span(&w->out, bytes);
}

static void
on_sasl(void *arg, struct span mechanism, struct span response)
{
	struct world *w = arg;
	(void)response;
	assert_true(span_to_str(mechanism, w->mechanism, sizeof(w->mechanism)));
}

static void
on_open(void *arg, struct span hostname)
{
	(void)arg, (void)hostname;
}

static void
on_link(void *arg, struct amqp_link *l)
{
	struct world *w = arg;
	w->links++;
	w->link = l;
	if (!w->hold)
		amqp_link_accept(l, false, 4);
}

static void
on_message(void *arg, struct amqp_link *l, uint32_t delivery, struct span message)
{
	struct world *w = arg;
	w->messages++;
	w->delivery = delivery;
	w->message_len = message.len;
	(void)l;
}

static void
on_credit(void *arg, struct amqp_link *l)
{
	(void)arg, (void)l;
}

static void
on_outcome(void *arg, struct amqp_link *l, uint32_t delivery, enum amqp_outcome outcome)
{
	struct world *w = arg;
	(void)l;
	w->outcomes++;
	w->delivery = delivery;
	w->outcome = outcome;
}

static void
on_gone(void *arg, struct amqp_link *l)
{
	struct world *w = arg;
	(void)l;
	w->gone++;
}

static void
on_closed(void *arg, const struct err *why)
{
	struct world *w = arg;
	w->closed++;
	w->why = why->code;
}

static int
setup(void **state)
{
	static const struct amqp_conn_ops ops = {on_write, on_sasl, on_open, on_link,
	    on_message, on_credit, on_outcome, on_gone, on_closed};
	struct world *w = own_alloc(sizeof(*w));
	w->out = BUF_INIT(8 << 20);
	w->conn = amqp_conn_new(&ops, w);
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;
	amqp_conn_free(w->conn);
	buf_done(&w->out);
	free(w);
	return 0;
}

static size_t
feed(struct world *w, struct span bytes)
{
	return amqp_conn_feed(w->conn, bytes);
}

/* ---- frames of the peer ---- */

struct frame {
	struct buf b;
	size_t at, list;
};

static struct frame
begin(uint16_t channel, uint8_t code)
{
	struct frame f = {.b = BUF_INIT(1 << 20)};
	f.at = amqp_frame_begin(&f.b, AMQP_FRAME, channel);
	amqp_put_descriptor(&f.b, code);
	f.list = amqp_open_list(&f.b);
	return f;
}

static void
send_with(struct world *w, struct frame *f, uint32_t n, struct span payload)
{
	amqp_close(&f->b, f->list, n);
	buf_put_span(&f->b, payload);
	amqp_frame_end(&f->b, f->at);
	feed(w, buf_span(&f->b));
	buf_done(&f->b);
}

static void
say_open(struct world *w, uint32_t frame_max)
{
	struct frame f = begin(0, OPEN);
	feed(w, SPAN_LIT(AMQP_HEADER));
	amqp_put_text(&f.b, SPAN_LIT("peer"));
	amqp_put_text(&f.b, SPAN_LIT("host"));
	amqp_put_uint(&f.b, frame_max);
	send_with(w, &f, 3, SPAN_NONE);
}

static void
say_begin(struct world *w, uint16_t channel, uint32_t window)
{
	struct frame f = begin(channel, BEGIN);
	amqp_put_null(&f.b);
	amqp_put_uint(&f.b, 0);
	amqp_put_uint(&f.b, window);
	amqp_put_uint(&f.b, 2048);
	send_with(w, &f, 4, SPAN_NONE);
}

static void
say_attach(struct world *w, uint16_t channel, uint32_t handle, bool receiver)
{
	struct frame f = begin(channel, ATTACH);
	amqp_put_text(&f.b, SPAN_LIT("link"));
	amqp_put_uint(&f.b, handle);
	amqp_put_bool(&f.b, receiver);
	amqp_put_null(&f.b);
	amqp_put_null(&f.b);
	for (uint8_t code = 0x28; code <= 0x29; code++) {
		amqp_put_descriptor(&f.b, code);
		size_t l = amqp_open_list(&f.b);
		amqp_put_text(
		    &f.b, code == 0x28 ? SPAN_LIT("source") : SPAN_LIT("target"));
		amqp_close(&f.b, l, 1);
	}
	send_with(w, &f, 7, SPAN_NONE);
}

static void
say_transfer(struct world *w, uint32_t handle, uint32_t id, bool more, struct span part)
{
	struct frame f = begin(0, TRANSFER);
	amqp_put_uint(&f.b, handle);
	amqp_put_uint(&f.b, id);
	amqp_put_binary(&f.b, SPAN_LIT("t"));
	amqp_put_uint(&f.b, 0);
	amqp_put_bool(&f.b, false);
	amqp_put_bool(&f.b, more);
	send_with(w, &f, 6, part);
}

static void
say_flow(struct world *w, uint32_t next_in, uint32_t window, uint32_t handle,
    uint32_t count, uint32_t credit, bool drain)
{
	struct frame f = begin(0, FLOW);
	amqp_put_uint(&f.b, next_in);
	amqp_put_uint(&f.b, window);
	amqp_put_uint(&f.b, 0);
	amqp_put_uint(&f.b, 2048);
	amqp_put_uint(&f.b, handle);
	amqp_put_uint(&f.b, count);
	amqp_put_uint(&f.b, credit);
	amqp_put_null(&f.b);
	amqp_put_bool(&f.b, drain);
	send_with(w, &f, 9, SPAN_NONE);
}

static void
say_disposition(struct world *w, uint32_t first, uint32_t last, uint8_t outcome)
{
	struct frame f = begin(0, DISPOSITION);
	amqp_put_bool(&f.b, true);
	amqp_put_uint(&f.b, first);
	amqp_put_uint(&f.b, last);
	amqp_put_bool(&f.b, true);
	amqp_put_descriptor(&f.b, outcome);
	amqp_close(&f.b, amqp_open_list(&f.b), 0);
	send_with(w, &f, 5, SPAN_NONE);
}

/* ---- frames of ours ---- */

/* The next of what was written, which must be that performative. */
static struct amqp_frame
hears(struct world *w, uint8_t code, struct buf *keep)
{
	struct err e = {0};
	struct amqp_frame f;
	size_t len = 0;
	assert_ok(amqp_frame_len(buf_span(&w->out), 1 << 20, &len, &e), &e);
	assert_true(len > 0);
	buf_reset(keep);
	buf_put(keep, w->out.p, len);
	buf_drop(&w->out, len);
	assert_ok(amqp_frame_parse(buf_span(keep), &f, &e), &e);
	assert_int_equal(f.performative.descriptor, code);
	return f;
}

static int64_t
number(const struct amqp_frame *f, unsigned n)
{
	struct amqp_value v = amqp_at(&f->performative, n);
	return amqp_number(&v, -1);
}

static void
hears_header(struct world *w, const char *header)
{
	assert_true(w->out.len >= 8);
	assert_memory_equal(w->out.p, header, 8);
	buf_drop(&w->out, 8);
}

/* The condition of an error that stands at field n. */
static void
blames(const struct amqp_frame *f, unsigned n, const char *condition)
{
	struct amqp_value error = amqp_at(&f->performative, n);
	struct amqp_value v = amqp_at(&error, 0);
	assert_int_equal(error.descriptor, 0x1d);
	assert_true(span_eq_str(amqp_bytes(&v), condition));
}

static void
is_closed_for(struct world *w, const char *condition)
{
	auto_buf keep = BUF_INIT(1 << 20);
	struct amqp_frame f = hears(w, CLOSE, &keep);
	blames(&f, 0, condition);
	assert_int_equal(w->out.len, 0);
	assert_int_equal(w->closed, 1);
	assert_int_equal(w->gone, w->links);
	/* and whatever comes is thrown away */
	assert_int_equal(feed(w, SPAN_LIT("anything")), 8);
	assert_int_equal(w->out.len, 0);
}

static void
open_up(struct world *w, uint32_t frame_max, uint32_t window)
{
	auto_buf keep = BUF_INIT(1 << 20);
	say_open(w, frame_max);
	say_begin(w, 0, window);
	hears_header(w, AMQP_HEADER);
	hears(w, OPEN, &keep);
	hears(w, BEGIN, &keep);
}

static void
open_sender(struct world *w)
{
	auto_buf keep = BUF_INIT(1 << 20);
	open_up(w, 65536, 2048);
	say_attach(w, 0, 0, false);
	struct amqp_frame f = hears(w, ATTACH, &keep);
	assert_int_equal(number(&f, 2), 1);
	assert_int_equal(number(&f, 10), AMQP_CONN_MESSAGE_MAX);
	f = hears(w, FLOW, &keep);
	assert_int_equal(number(&f, 6), 4);
}

static void
open_receiver(struct world *w, uint32_t frame_max, uint32_t window)
{
	auto_buf keep = BUF_INIT(1 << 20);
	open_up(w, frame_max, window);
	say_attach(w, 0, 0, true);
	struct amqp_frame f = hears(w, ATTACH, &keep);
	assert_int_equal(number(&f, 2), 0);
	assert_int_equal(number(&f, 9), 0);
}

/* ---- tests ---- */

static void
the_bare_header_opens_without_sasl(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	say_open(w, 65536);
	hears_header(w, AMQP_HEADER);
	struct amqp_frame f = hears(w, OPEN, &keep);
	assert_int_equal(number(&f, 2), AMQP_CONN_FRAME_MAX);
	assert_int_equal(number(&f, 3), AMQP_CONN_SESSIONS - 1);
}

static void
sasl_waits_for_its_judge(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	auto_buf b = BUF_INIT(1024);
	feed(w, SPAN_LIT(SASL_HEADER));
	hears_header(w, SASL_HEADER);
	hears(w, 0x40, &keep);
	size_t at = amqp_frame_begin(&b, AMQP_FRAME_SASL, 0);
	amqp_put_descriptor(&b, 0x41);
	size_t l = amqp_open_list(&b);
	amqp_put_symbol(&b, SPAN_LIT("MSSBCBS"));
	amqp_close(&b, l, 1);
	amqp_frame_end(&b, at);
	size_t sasl = b.len;
	buf_put_span(&b, SPAN_LIT(AMQP_HEADER));
	assert_int_equal(feed(w, buf_span(&b)), sasl);
	assert_string_equal(w->mechanism, "MSSBCBS");
	assert_int_equal(w->out.len, 0);
	amqp_conn_sasl_done(w->conn, true);
	struct amqp_frame f = hears(w, 0x44, &keep);
	assert_int_equal(number(&f, 0), 0);
	say_open(w, 65536);
	hears_header(w, AMQP_HEADER);
	hears(w, OPEN, &keep);
}

static void
sasl_that_fails_ends_it(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	feed(
	    w, SPAN_LIT(SASL_HEADER "\x00\x00\x00\x15\x02\x01\x00\x00\x00\x53\x41\xc0\x08"
				    "\x01\xa3\x05PLAIN"));
	hears_header(w, SASL_HEADER);
	hears(w, 0x40, &keep);
	assert_string_equal(w->mechanism, "PLAIN");
	amqp_conn_sasl_done(w->conn, false);
	struct amqp_frame f = hears(w, 0x44, &keep);
	assert_int_equal(number(&f, 0), 1);
	assert_int_equal(w->closed, 1);
	assert_int_equal(w->why, ERR_DENIED);
}

static void
another_protocol_is_told_ours(void **state)
{
	struct world *w = *state;
	feed(w, SPAN_LIT("GET / HTTP/1.1\r\n"));
	hears_header(w, AMQP_HEADER);
	assert_int_equal(w->out.len, 0);
	assert_int_equal(w->closed, 1);
}

static void
a_huge_frame_ends_it(void **state)
{
	struct world *w = *state;
	open_up(w, 65536, 2048);
	feed(w, SPAN_LIT("\x7f\xff\xff\xff\x02\x00\x00\x00"));
	is_closed_for(w, "amqp:connection:framing-error");
}

static void
a_frame_before_open_is_answered_by_open_and_close(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	feed(w, SPAN_LIT(AMQP_HEADER));
	say_begin(w, 0, 10);
	hears_header(w, AMQP_HEADER);
	hears(w, OPEN, &keep);
	is_closed_for(w, "amqp:not-allowed");
}

static void
sessions_and_handles_have_an_end(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_up(w, 65536, 2048);
	for (uint16_t i = 1; i < AMQP_CONN_SESSIONS; i++) {
		say_begin(w, i, 10);
		hears(w, BEGIN, &keep);
	}
	say_begin(w, AMQP_CONN_SESSIONS, 10);
	is_closed_for(w, "amqp:not-allowed");
}

static void
a_flood_of_links_ends_it(void **state)
{
	struct world *w = *state;
	open_up(w, 65536, 2048);
	say_begin(w, 1, 10);
	w->hold = true;
	amqp_conn_links_max(w->conn, 8);
	buf_reset(&w->out);
	for (uint32_t i = 0; i < 100 && !w->closed; i++)
		say_attach(w, (uint16_t)(i % 2), i / 2, i % 3 == 0);
	assert_int_equal(w->links, 8);
	is_closed_for(w, "amqp:resource-limit-exceeded");
}

static void
a_message_in_pieces_comes_whole(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_sender(w);
	say_transfer(w, 0, 7, true, SPAN_LIT("one "));
	assert_int_equal(w->messages, 0);
	say_transfer(w, 0, 7, false, SPAN_LIT("two"));
	assert_int_equal(w->messages, 1);
	assert_int_equal(w->message_len, 7);
	assert_int_equal(w->delivery, 7);
	amqp_link_settle(w->link, 7, AMQP_ACCEPTED, NULL);
	struct amqp_frame f = hears(w, DISPOSITION, &keep);
	assert_int_equal(number(&f, 1), 7);
	struct amqp_value v = amqp_at(&f.performative, 4);
	assert_int_equal(v.descriptor, AMQP_ACCEPTED);
}

static void
credit_is_given_anew_as_messages_are_settled(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_sender(w);
	for (uint32_t i = 0; i < 40; i++) {
		say_transfer(w, 0, i, false, SPAN_LIT("x"));
		amqp_link_settle(w->link, i, AMQP_ACCEPTED, NULL);
	}
	assert_int_equal(w->messages, 40);
	assert_int_equal(w->closed, 0);
	hears(w, DISPOSITION, &keep);
}

/* Whoever answers slowly has as many before it as it allowed, and no more. */
static void
credit_counts_what_is_not_settled(void **state)
{
	struct world *w = *state;
	uint32_t settled = 0, sent = 0;
	open_sender(w);
	while (sent < 40) {
		uint32_t before = w->messages;
		while (w->messages == before && sent - settled < 4)
			say_transfer(w, 0, sent++, false, SPAN_LIT("x"));
		assert_int_equal(w->messages, before + 1);
		if (sent - settled == 4)
			amqp_link_settle(w->link, settled++, AMQP_ACCEPTED, NULL);
	}
	assert_int_equal(w->gone, 0);
	/* as many as were settled, and the four at first */
	while (sent < 100 && w->messages == sent)
		say_transfer(w, 0, sent++, false, SPAN_LIT("x"));
	assert_int_equal(w->messages, settled + 4);
}

static void
an_aborted_message_gives_its_credit_back(void **state)
{
	struct world *w = *state;
	open_sender(w);
	for (uint32_t i = 0; i < 20; i++) {
		say_transfer(w, 0, i, true, SPAN_LIT("x"));
		struct frame f = begin(0, TRANSFER);
		amqp_put_uint(&f.b, 0);
		for (int n = 1; n < 9; n++)
			amqp_put_null(&f.b);
		amqp_put_bool(&f.b, true);
		send_with(w, &f, 10, SPAN_NONE);
	}
	say_transfer(w, 0, 20, false, SPAN_LIT("x"));
	assert_int_equal(w->messages, 1);
	assert_int_equal(w->closed, 0);
}

static void
transfers_without_credit_end_the_link(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_sender(w);
	for (uint32_t i = 0; i < 100; i++)
		say_transfer(w, 0, i, false, SPAN_LIT("x"));
	assert_int_equal(w->messages, 4);
	struct amqp_frame f = hears(w, DETACH, &keep);
	blames(&f, 2, "amqp:link:transfer-limit-exceeded");
	assert_int_equal(w->out.len, 0);
	assert_int_equal(w->closed, 0);
}

static void
a_message_without_an_end_ends_the_link(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	static uint8_t much[60000];
	open_sender(w);
	for (int i = 0; i < 20; i++)
		say_transfer(w, 0, 0, true, span_of(much, sizeof(much)));
	assert_int_equal(w->messages, 0);
	struct amqp_frame f = hears(w, DETACH, &keep);
	blames(&f, 2, "amqp:link:message-size-exceeded");
	assert_int_equal(w->out.len, 0);
}

static void
many_messages_without_an_end_end_the_connection(void **state)
{
	struct world *w = *state;
	static uint8_t much[60000];
	open_up(w, 65536, 2048);
	for (uint32_t h = 0; h < 8; h++)
		say_attach(w, 0, h, false);
	buf_reset(&w->out);
	for (uint32_t h = 0; h < 8 && !w->closed; h++)
		for (int i = 0; i < 2 && !w->closed; i++)
			say_transfer(w, h, h, true, span_of(much, sizeof(much)));
	is_closed_for(w, "amqp:resource-limit-exceeded");
}

static void
frames_without_an_end_have_their_window_given_anew(void **state)
{
	struct world *w = *state;
	open_sender(w);
	amqp_link_settle(w->link, 0, AMQP_ACCEPTED, NULL);
	for (uint32_t i = 0; i < 5000 && !w->closed; i++)
		say_transfer(w, 0, 0, true, SPAN_NONE);
	assert_int_equal(w->closed, 0);
	assert_int_equal(w->messages, 0);
}

static void
what_is_sent_goes_in_frames_that_the_peer_takes(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	static uint8_t body[1500];
	size_t sum = 0, frames = 0;
	open_receiver(w, 512, 2);
	assert_int_equal(amqp_link_room(w->link), 0);
	say_flow(w, 0, 2, 0, 0, 3, false);
	assert_int_equal(amqp_link_room(w->link), 3);
	amqp_link_send(w->link, span_of(body, sizeof(body)));
	assert_int_equal(amqp_link_room(w->link), 0); /* the window is full */
	while (sum < sizeof(body)) {
		struct amqp_frame f = hears(w, TRANSFER, &keep);
		assert_true(keep.len <= 512);
		sum += f.payload.len;
		frames++;
		assert_int_equal(number(&f, 5), sum < sizeof(body));
		if (!w->out.len && sum < sizeof(body))
			say_flow(w, (uint32_t)frames, 2, 0, 0, 3, false);
	}
	assert_int_equal(w->out.len, 0);
	assert_int_equal(amqp_link_room(w->link), 2);
}

static void
outcomes_find_their_delivery(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_receiver(w, 65536, 2048);
	say_flow(w, 0, 2048, 0, 0, 100, false);
	for (int i = 0; i < 4; i++)
		amqp_link_send(w->link, SPAN_LIT("m"));
	assert_int_equal(
	    amqp_link_room(w->link), 0); /* nobody says what became of them */
	say_disposition(w, 2, 2, AMQP_ACCEPTED);
	assert_int_equal(w->outcomes, 1);
	assert_int_equal(w->delivery, 2);
	assert_int_equal(w->outcome, AMQP_ACCEPTED);
	assert_true(amqp_link_room(w->link) > 0);
	say_disposition(w, 2, 2, AMQP_ACCEPTED);
	assert_int_equal(w->outcomes, 1);
	say_disposition(w, 0, UINT32_MAX, AMQP_RELEASED);
	assert_int_equal(w->outcomes, 4);
	assert_int_equal(w->outcome, AMQP_RELEASED);
	hears(w, TRANSFER, &keep);
}

static void
credit_is_given_back_when_asked(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_receiver(w, 65536, 2048);
	say_flow(w, 0, 2048, 0, 0, 10, true);
	struct amqp_frame f = hears(w, FLOW, &keep);
	assert_int_equal(number(&f, 5), 10);
	assert_int_equal(number(&f, 6), 0);
	assert_int_equal(number(&f, 8), 1);
	assert_int_equal(amqp_link_room(w->link), 0);
}

static void
a_refused_link_is_attached_and_detached(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	const struct amqp_error why = {.condition = "amqp:link:redirect",
	    .text = "elsewhere",
	    .host = "h",
	    .port = 5671,
	    .address = "amqps://h/p"};
	open_up(w, 65536, 2048);
	w->hold = true;
	say_attach(w, 0, 0, true);
	assert_int_equal(w->out.len, 0);
	assert_true(span_eq_str(amqp_link_address(w->link), "source"));
	amqp_link_refuse(w->link, &why);
	struct amqp_frame f = hears(w, ATTACH, &keep);
	struct amqp_value source = amqp_at(&f.performative, 5);
	assert_int_equal(source.kind, AMQP_NULL);
	f = hears(w, DETACH, &keep);
	blames(&f, 2, "amqp:link:redirect");
	struct amqp_value error = amqp_at(&f.performative, 2), info = amqp_at(&error, 2);
	struct amqp_value port = amqp_get(&info, "port");
	assert_int_equal(amqp_number(&port, 0), 5671);
	assert_int_equal(w->gone, 0);
	struct frame d = begin(0, DETACH);
	amqp_put_uint(&d.b, 0);
	amqp_put_bool(&d.b, true);
	send_with(w, &d, 2, SPAN_NONE);
	assert_int_equal(w->gone, 1);
	say_attach(w, 0, 0, true); /* the handle is free again */
	assert_int_equal(w->links, 2);
}

static void
the_end_of_a_session_ends_its_links(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_sender(w);
	struct frame f = begin(0, END);
	send_with(w, &f, 0, SPAN_NONE);
	assert_int_equal(w->gone, 1);
	hears(w, END, &keep);
	say_transfer(w, 0, 0, false, SPAN_LIT("x"));
	is_closed_for(w, "amqp:not-allowed");
}

static void
close_is_answered(void **state)
{
	struct world *w = *state;
	auto_buf keep = BUF_INIT(1 << 20);
	open_sender(w);
	struct frame f = begin(0, CLOSE);
	send_with(w, &f, 0, SPAN_NONE);
	hears(w, CLOSE, &keep);
	assert_int_equal(w->closed, 1);
	assert_int_equal(w->why, ERR_OK);
	assert_int_equal(w->gone, 1);
}

static void
a_sign_of_life_comes_when_the_peer_wants_one(void **state)
{
	struct world *w = *state;
	struct frame f = begin(0, OPEN);
	feed(w, SPAN_LIT(AMQP_HEADER));
	amqp_put_text(&f.b, SPAN_LIT("peer"));
	amqp_put_null(&f.b);
	amqp_put_uint(&f.b, 65536);
	amqp_put_null(&f.b);
	amqp_put_uint(&f.b, 60000);
	send_with(w, &f, 5, SPAN_NONE);
	buf_reset(&w->out);
	amqp_conn_beat(w->conn, 1000);
	amqp_conn_beat(w->conn, 30999);
	assert_int_equal(w->out.len, 0);
	amqp_conn_beat(w->conn, 31000);
	assert_int_equal(w->out.len, AMQP_FRAME_HEAD);
	amqp_conn_beat(w->conn, 31500);
	assert_int_equal(w->out.len, AMQP_FRAME_HEAD);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_bare_header_opens_without_sasl),
	    TEST(sasl_waits_for_its_judge),
	    TEST(sasl_that_fails_ends_it),
	    TEST(another_protocol_is_told_ours),
	    TEST(a_huge_frame_ends_it),
	    TEST(a_frame_before_open_is_answered_by_open_and_close),
	    TEST(sessions_and_handles_have_an_end),
	    TEST(a_flood_of_links_ends_it),
	    TEST(a_message_in_pieces_comes_whole),
	    TEST(credit_is_given_anew_as_messages_are_settled),
	    TEST(credit_counts_what_is_not_settled),
	    TEST(an_aborted_message_gives_its_credit_back),
	    TEST(transfers_without_credit_end_the_link),
	    TEST(a_message_without_an_end_ends_the_link),
	    TEST(many_messages_without_an_end_end_the_connection),
	    TEST(frames_without_an_end_have_their_window_given_anew),
	    TEST(what_is_sent_goes_in_frames_that_the_peer_takes),
	    TEST(outcomes_find_their_delivery),
	    TEST(credit_is_given_back_when_asked),
	    TEST(a_refused_link_is_attached_and_detached),
	    TEST(the_end_of_a_session_ends_its_links),
	    TEST(close_is_answered),
	    TEST(a_sign_of_life_comes_when_the_peer_wants_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
