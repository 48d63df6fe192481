/*
 * Frames of RFC 6455, each test with the bytes in one piece and one by one: what they
 * carry comes out the same.
 */
#include <event2/buffer.h>

#include "../test.h"

#include "base/buf.h"
#include "io/ws.h"
#include "io/ws_hello.h"

enum { MAX = 70000, CONTINUE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };
enum { FIN = 0x80, RSV1 = 0x40, MASK = 0x80 };

struct rig {
	size_t step; /* bytes that arrive at a time; 0: all */
	size_t room;
	struct ws *ws;
	struct evbuffer *wire, *payload, *back;
	enum ws_more more;
	struct err e;
};

static void
rig_open(struct rig *r, size_t step)
{
	*r = (struct rig){.step = step, .room = MAX};
	r->ws = ws_new(MAX);
	r->wire = evbuffer_new();
	r->payload = evbuffer_new();
	r->back = evbuffer_new();
}

static void
rig_close(struct rig *r)
{
	ws_free(r->ws);
	evbuffer_free(r->wire);
	evbuffer_free(r->payload);
	evbuffer_free(r->back);
}

#define EACH(body)                                                                       \
	for (size_t step = 0; step < 4; step++) {                                        \
		struct rig r;                                                            \
		rig_open(&r, step);                                                      \
		body;                                                                    \
		rig_close(&r);                                                           \
	}

static void
receive(struct rig *r, struct span bytes)
{
	while (bytes.len) {
		struct span piece = span_head(bytes, r->step ? r->step : bytes.len);
		evbuffer_add(r->wire, piece.p, piece.len);
		r->more = ws_read(r->ws, r->wire, r->room, r->payload, r->back, &r->e);
		bytes = span_skip(bytes, piece.len);
	}
}

/* A masked frame; len: what its header says, in the shortest form. */
static void
put_head(struct buf *b, unsigned first, uint64_t len)
{
	buf_u8(b, (uint8_t)first);
	buf_u8(b, (uint8_t)(MASK | (len < 126 ? len : len <= UINT16_MAX ? 126 : 127)));
	if (len > UINT16_MAX)
		buf_u64(b, len);
	else if (len >= 126)
		buf_u16(b, (uint16_t)len);
	buf_u32(b, 0x11223344);
}

static void
put_frame(struct buf *b, unsigned first, struct span payload)
{
	static const uint8_t key[] = {0x11, 0x22, 0x33, 0x44};
	put_head(b, first, payload.len);
	for (size_t i = 0; i < payload.len; i++)
		buf_u8(b, payload.p[i] ^ key[i % 4]);
}

static void
frame(struct rig *r, unsigned first, const char *payload)
{
	auto_buf b = BUF_INIT(1024);
	put_frame(&b, first, span_str(payload));
	receive(r, buf_span(&b));
}

static void
holds(struct evbuffer *b, struct span want)
{
	assert_int_equal(evbuffer_get_length(b), want.len);
	if (want.len)
		assert_memory_equal(evbuffer_pullup(b, -1), want.p, want.len);
	evbuffer_drain(b, want.len);
}

#define PAYLOAD(r, lit) holds((r)->payload, SPAN_LIT(lit))
#define BACK(r, lit)    holds((r)->back, SPAN_LIT(lit))

/* With this Close as the answer. */
static void
ended(struct rig *r, enum err_code code, const char *why, struct span close)
{
	assert_int_equal(r->more, WS_ENDED);
	assert_int_equal(r->e.code, code);
	assert_non_null(strstr(r->e.text, why));
	PAYLOAD(r, "");
	BACK(r, "");
	ws_write(r->ws, SPAN_LIT("an answer"), r->back);
	BACK(r, "\x82\x09"
		"an answer");
	ws_close(r->ws, r->back);
	ws_close(r->ws, r->back);
	holds(r->back, close);
	ws_write(r->ws, SPAN_LIT("late"), r->back);
	/* and for good */
	frame(r, FIN | BINARY, "more");
	assert_int_equal(r->more, WS_ENDED);
	assert_int_equal(r->e.code, code);
	PAYLOAD(r, "");
	BACK(r, "");
}

static void
one_mqtt_field_a_frame_is_a_stream(void **state)
{
	(void)state;
	/* as Node's ws sends it (protocol/clients.md 1.20) */
	EACH({
		frame(&r, FIN | BINARY, "\x10");
		frame(&r, FIN | BINARY, "\x0c");
		frame(&r, FIN | BINARY, "");
		frame(&r, FIN | BINARY, "MQTT");
		assert_int_equal(r.more, WS_ALL);
		PAYLOAD(&r, "\x10\x0cMQTT");
		BACK(&r, "");
	})
}

static void
fragments_are_joined_and_pings_between_them_answered(void **state)
{
	(void)state;
	EACH({
		frame(&r, BINARY, "a");
		frame(&r, FIN | PING, "");
		frame(&r, CONTINUE, "");
		frame(&r, FIN | PING, "are you there");
		frame(&r, CONTINUE, "b");
		frame(&r, FIN | PONG, "unasked");
		frame(&r, FIN | CONTINUE, "c");
		frame(&r, FIN | BINARY, "d");
		assert_int_equal(r.more, WS_ALL);
		PAYLOAD(&r, "abcd");
		BACK(&r, "\x8a\x00\x8a\x0d"
			 "are you there");
	})
}

/* Lengths on both sides of where their form changes, in and out. */
static void
each_form_of_length_is_read_and_written(void **state)
{
	(void)state;
	static const size_t lens[] = {0, 1, 125, 126, 127, 65535, 65536, MAX};
	static const uint8_t heads[][11] = {"\x82\x00", "\x82\x01", "\x82\x7d",
	    "\x82\x7e\x00\x7e", "\x82\x7e\x00\x7f", "\x82\x7e\xff\xff",
	    "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
	    "\x82\x7f\x00\x00\x00\x00\x00\x01\x11\x70"};
	static const size_t head_lens[] = {2, 2, 2, 4, 4, 4, 10, 10};
	static uint8_t body[MAX];
	for (size_t i = 0; i < MAX; i++)
		body[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct rig r;
		auto_buf b = BUF_INIT(MAX + 100);
		rig_open(&r, 0);
		r.room = MAX + 1;
		put_frame(&b, FIN | BINARY, span_of(body, lens[i]));
		receive(&r, buf_span(&b));
		assert_int_equal(r.more, WS_ALL);
		holds(r.payload, span_of(body, lens[i]));
		ws_write(r.ws, span_of(body, lens[i]), r.back);
		buf_reset(&b);
		buf_put(&b, heads[i], head_lens[i]);
		buf_put(&b, body, lens[i]);
		holds(r.back, buf_span(&b));
		rig_close(&r);
	}
}

static void
a_frame_without_a_mask_is_a_protocol_error(void **state)
{
	(void)state;
	EACH({
		receive(&r, SPAN_LIT("\x82\x01x"));
		ended(&r, ERR_PARSE, "mask", SPAN_LIT("\x88\x02\x03\xea"));
	})
}

static void
what_breaks_the_protocol_is_answered_1002(void **state)
{
	(void)state;
	static const struct {
		struct span bytes;
		const char *why;
	} rows[] = {
	    {SPAN_LIT("\xc2\x81kkkk."), "reserved"},
	    {SPAN_LIT("\xa2\x81kkkk."), "reserved"},
	    {SPAN_LIT("\x92\x81kkkk."), "reserved"},
	    {SPAN_LIT("\xc9\x80kkkk"), "reserved"},
	    {SPAN_LIT("\x83\x80kkkk"), "opcode"},
	    {SPAN_LIT("\x87\x81kkkk."), "opcode"},
	    {SPAN_LIT("\x8b\x80kkkk"), "opcode"},
	    {SPAN_LIT("\x8f\x80kkkk"), "opcode"},
	    {SPAN_LIT("\x80\x81kkkk."), "order"}, /* nothing to continue */
	    {SPAN_LIT("\x02\x81kkkk.\x82\x81kkkk."), "order"},
	    {SPAN_LIT("\x02\x81kkkk.\x81\x81kkkk."), "order"},
	    {SPAN_LIT("\x09\x80kkkk"), "malformed"}, /* a ping in fragments */
	    {SPAN_LIT("\x89\xfe\x00\x7ekkkk"), "malformed"},
	    {SPAN_LIT("\x82\xfe\x00\x7dkkkk."), "malformed"}, /* not the shortest form */
	    {SPAN_LIT("\x82\xff\x00\x00\x00\x00\x00\x00\xff\xffkkkk."), "malformed"},
	    {SPAN_LIT("\x82\xff\x80\x00\x00\x00\x00\x00\x00\x00kkkk."), "malformed"},
	    {SPAN_LIT("\x88\x81kkkk."), "status"}, /* half a status */
	    {SPAN_LIT("\x88\x82\x00\x00\x00\x00\x03\xe7"), "status"},
	    {SPAN_LIT("\x88\x82\x00\x00\x00\x00\x03\xed"), "status"},
	    {SPAN_LIT("\x88\x82\x00\x00\x00\x00\x03\xf7"), "status"},
	    {SPAN_LIT("\x88\x82\x00\x00\x00\x00\x0b\xb7"), "status"},
	    {SPAN_LIT("\x88\x82\x00\x00\x00\x00\x13\x88"), "status"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		EACH({
			receive(&r, rows[i].bytes);
			evbuffer_drain(r.payload, evbuffer_get_length(r.payload));
			ended(&r, ERR_PARSE, rows[i].why, SPAN_LIT("\x88\x02\x03\xea"));
		})
}

static void
text_is_not_taken(void **state)
{
	(void)state;
	EACH({
		frame(&r, FIN | BINARY, "before");
		frame(&r, FIN | TEXT, "hello");
		PAYLOAD(&r, "before");
		ended(&r, ERR_PARSE, "text", SPAN_LIT("\x88\x02\x03\xeb"));
	})
}

/* Only the header and a byte come: nothing was made ready for the rest. */
static void
lengths_over_the_cap_are_refused_by_their_header(void **state)
{
	(void)state;
	static const uint64_t lens[] = {
	    MAX + 1, UINT64_C(1) << 32, UINT64_C(1) << 62, INT64_MAX};
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
		EACH({
			auto_buf b = BUF_INIT(64);
			put_head(&b, FIN | BINARY, lens[i]);
			buf_str(&b, "x");
			receive(&r, buf_span(&b));
			ended(&r, ERR_LIMIT, "large", SPAN_LIT("\x88\x02\x03\xf1"));
		})
}

static void
the_fragments_of_a_message_share_its_cap(void **state)
{
	(void)state;
	static uint8_t half[MAX / 2];
	EACH({
		auto_buf b = BUF_INIT(2 * MAX);
		put_frame(&b, BINARY, span_of(half, sizeof(half)));
		put_frame(&b, FIN | CONTINUE, span_of(half, sizeof(half)));
		put_frame(&b, BINARY, span_of(half, sizeof(half)));
		put_frame(&b, CONTINUE, span_of(half, 1));
		r.room = 4 * MAX;
		receive(&r, buf_span(&b));
		assert_int_equal(r.more, WS_ALL);
		assert_int_equal(evbuffer_get_length(r.payload), 3 * sizeof(half) + 1);
		evbuffer_drain(r.payload, 3 * sizeof(half) + 1);
		buf_reset(&b);
		put_head(&b, FIN | CONTINUE, sizeof(half));
		buf_str(&b, "x");
		receive(&r, buf_span(&b));
		ended(&r, ERR_LIMIT, "large", SPAN_LIT("\x88\x02\x03\xf1"));
	})
}

static void
a_close_comes_back_with_its_status(void **state)
{
	(void)state;
	EACH({
		frame(&r, FIN | BINARY, "last");
		receive(&r, SPAN_LIT("\x88\x85\x00\x00\x00\x00\x03\xe9"
				     "bye"));
		PAYLOAD(&r, "last");
		ended(&r, ERR_OK, "peer", SPAN_LIT("\x88\x02\x03\xe9"));
	})
	EACH({
		receive(&r, SPAN_LIT("\x88\x80kkkk"));
		ended(&r, ERR_OK, "peer", SPAN_LIT("\x88\x00"));
	})
	EACH({
		receive(&r, SPAN_LIT("\x88\x84\x00\x00\x00\x00\x0f\xa0\xc3\xa4"));
		ended(&r, ERR_OK, "peer", SPAN_LIT("\x88\x02\x0f\xa0"));
	})
}

static void
a_reason_that_is_no_utf8_is_answered_1007(void **state)
{
	(void)state;
	EACH({
		receive(&r, SPAN_LIT("\x88\x83\x00\x00\x00\x00\x03\xe8\xff"));
		ended(&r, ERR_PARSE, "UTF-8", SPAN_LIT("\x88\x02\x03\xef"));
	})
}

static void
after_our_close_nothing_more_is_sent(void **state)
{
	(void)state;
	EACH({
		ws_close(r.ws, r.back);
		ws_close(r.ws, r.back);
		ws_write(r.ws, SPAN_LIT("late"), r.back);
		frame(&r, FIN | PING, "x");
		BACK(&r, "\x88\x02\x03\xe8");
		assert_int_equal(r.more, WS_ALL);
		receive(&r, SPAN_LIT("\x88\x82\x00\x00\x00\x00\x03\xe8"));
		assert_int_equal(r.more, WS_ENDED);
		assert_int_equal(r.e.code, ERR_OK);
		ws_close(r.ws, r.back);
		BACK(&r, "");
	})
}

static void
reading_stops_when_enough_is_pending(void **state)
{
	(void)state;
	static uint8_t body[20000];
	struct rig r;
	auto_buf b = BUF_INIT(MAX);
	rig_open(&r, 0);
	r.room = 5000;
	put_frame(&b, FIN | BINARY, span_of(body, sizeof(body)));
	evbuffer_add(r.wire, b.p, b.len);
	size_t total = 0, rounds = 0;
	for (; rounds < 20; rounds++) {
		enum ws_more more =
		    ws_read(r.ws, r.wire, r.room, r.payload, r.back, &r.e);
		size_t n = evbuffer_get_length(r.payload);
		assert_true(n < r.room + 4096);
		total += n;
		evbuffer_drain(r.payload, n);
		if (more == WS_ALL)
			break;
		assert_int_equal(more, WS_FULL);
	}
	assert_int_equal(total, sizeof(body));
	assert_true(rounds >= 2);
	rig_close(&r);
}

/* ---- the opening handshake --------------------------------------------------------- */

static const struct ws_hello good = {.upgrade = SPAN_LIT("websocket"),
    .connection = SPAN_LIT("Upgrade"),
    .version = SPAN_LIT("13"),
    .key = SPAN_LIT("dGhlIHNhbXBsZSBub25jZQ=="),
    .protocols = SPAN_LIT("mqtt")};

static void
the_answer_is_that_of_the_standard(void **state)
{
	(void)state;
	struct err e;
	auto_buf out = BUF_INIT(1024);
	assert_ok(ws_hello_check(&good, &e), &e);
	ws_hello_answer(&good, ws_hello_choose(&good, "mqtt"), &out);
	assert_string_equal(buf_text(&out),
	    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
	    "Connection: Upgrade\r\n"
	    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	    "Sec-WebSocket-Protocol: mqtt\r\n\r\n");
}

static void
sub_protocols_are_found_without_case_and_come_back_as_offered(void **state)
{
	(void)state;
	static const struct {
		const char *offered, *want; /* NULL: none */
	} rows[] = {{"mqtt", "mqtt"}, {"MQTT", "MQTT"}, {"mqttv3.1, Mqtt", "Mqtt"},
	    {" x ,\tmqtt ,y", "mqtt"}, {"mqttv3.1", NULL}, {"mqtt;a=b", NULL}, {"", NULL},
	    {",", NULL}, {NULL, NULL}, {"AMQPWSB10", NULL}, {"m qtt", NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ws_hello h = good;
		h.protocols = span_str(rows[i].offered);
		struct span got = ws_hello_choose(&h, "mqtt");
		assert_int_equal(got.len, rows[i].want ? strlen(rows[i].want) : 0);
		assert_true(!rows[i].want || span_eq_str(got, rows[i].want));
	}
}

static void
headers_are_judged(void **state)
{
	(void)state;
	static const struct {
		const char *upgrade, *connection, *version, *key;
		enum err_code want;
	} rows[] = {
	    {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_OK},
	    {"WebSocket", "keep-alive, upgrade", "13",
		"AAAAAAAAAAAAAAAAAAAAAB==", ERR_OK},
	    {"h2c, websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_OK},
	    {NULL, "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_UNSUPPORTED},
	    {"h2c", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_UNSUPPORTED},
	    {"websocket", "Upgrade", "8", "dGhlIHNhbXBsZSBub25jZQ==", ERR_UNSUPPORTED},
	    {"websocket", "Upgrade", NULL, "dGhlIHNhbXBsZSBub25jZQ==", ERR_UNSUPPORTED},
	    {"websocket", "Upgrade", "13,13",
		"dGhlIHNhbXBsZSBub25jZQ==", ERR_UNSUPPORTED},
	    {"websocket", NULL, "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_PARSE},
	    {"websocket", "close", "13", "dGhlIHNhbXBsZSBub25jZQ==", ERR_PARSE},
	    {"websocket", "Upgrade", "13", NULL, ERR_PARSE},
	    {"websocket", "Upgrade", "13", "", ERR_PARSE},
	    {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZQ", ERR_PARSE},
	    {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZTEy", ERR_PARSE},
	    {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25j ZQ==", ERR_PARSE},
	    {"websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub2\r\nZQ==", ERR_PARSE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		const struct ws_hello h = {.upgrade = span_str(rows[i].upgrade),
		    .connection = span_str(rows[i].connection),
		    .version = span_str(rows[i].version),
		    .key = span_str(rows[i].key)};
		int rc = ws_hello_check(&h, &e);
		assert_int_equal(rc, rows[i].want == ERR_OK ? 0 : -1);
		assert_int_equal(e.code, rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_mqtt_field_a_frame_is_a_stream),
	    cmocka_unit_test(fragments_are_joined_and_pings_between_them_answered),
	    cmocka_unit_test(each_form_of_length_is_read_and_written),
	    cmocka_unit_test(a_frame_without_a_mask_is_a_protocol_error),
	    cmocka_unit_test(what_breaks_the_protocol_is_answered_1002),
	    cmocka_unit_test(text_is_not_taken),
	    cmocka_unit_test(lengths_over_the_cap_are_refused_by_their_header),
	    cmocka_unit_test(the_fragments_of_a_message_share_its_cap),
	    cmocka_unit_test(a_close_comes_back_with_its_status),
	    cmocka_unit_test(a_reason_that_is_no_utf8_is_answered_1007),
	    cmocka_unit_test(after_our_close_nothing_more_is_sent),
	    cmocka_unit_test(reading_stops_when_enough_is_pending),
	    cmocka_unit_test(the_answer_is_that_of_the_standard),
	    cmocka_unit_test(
		sub_protocols_are_found_without_case_and_come_back_as_offered),
	    cmocka_unit_test(headers_are_judged),
	};
	return cmocka_run_group_tests_name("io/ws", tests, NULL, NULL);
}
