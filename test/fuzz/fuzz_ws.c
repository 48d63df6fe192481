/*
 * A WebSocket client's bytes: what frames carry and what is answered does not depend on
 * how the bytes are cut, nothing comes after an end, and every answer is a sequence of
 * whole unmasked frames. And the headers that ask for a WebSocket: whatever is in them,
 * the answer has no line that they brought.
 *
 * The first byte of the input says how many bytes arrive at a time (0: headers, split at
 * line ends).
 */
#include "fuzz.h"

#include <string.h>

#include <event2/buffer.h>

#include "io/ws.h"
#include "io/ws_hello.h"

enum { MESSAGE_MAX = 2000, ROOM = 1500 };

struct side {
	struct ws *ws;
	struct evbuffer *wire, *payload, *back, *all;
	enum ws_more more;
	struct err e;
};

static void
side_open(struct side *s)
{
	*s = (struct side){.ws = ws_new(MESSAGE_MAX)};
	s->wire = evbuffer_new();
	s->payload = evbuffer_new();
	s->back = evbuffer_new();
	s->all = evbuffer_new();
}

static void
side_close(struct side *s)
{
	ws_free(s->ws);
	evbuffer_free(s->wire);
	evbuffer_free(s->payload);
	evbuffer_free(s->back);
	evbuffer_free(s->all);
}

static void
feed(struct side *s, struct span in, size_t step)
{
	while (in.len) {
		struct span piece = span_head(in, step);
		evbuffer_add(s->wire, piece.p, piece.len);
		in = span_skip(in, step);
		do {
			bool was_ended = s->more == WS_ENDED;
			s->more =
			    ws_read(s->ws, s->wire, ROOM, s->payload, s->back, &s->e);
			assert(evbuffer_get_length(s->payload) < ROOM + 4096);
			assert(!was_ended || s->more == WS_ENDED);
			assert(!was_ended || !evbuffer_get_length(s->payload));
			evbuffer_add_buffer(s->all, s->payload);
		} while (s->more == WS_FULL);
	}
	if (s->more == WS_ENDED)
		ws_close(s->ws, s->back);
}

static struct span
whole(struct evbuffer *b)
{
	return span_of(evbuffer_pullup(b, -1), evbuffer_get_length(b));
}

/* Pongs, and one Close at most, which is the last. */
static void
check_answers(struct span back)
{
	struct cursor c = cursor_of(back);
	while (c.left) {
		uint8_t first = cursor_u8(&c), len = cursor_u8(&c);
		assert(first == 0x8a || first == 0x88);
		assert(len <= 125);
		cursor_take(&c, len);
		assert(!c.bad && (first == 0x8a || !c.left));
	}
}

static void
frames(struct span in, size_t step)
{
	struct side a, b;
	side_open(&a);
	side_open(&b);
	feed(&a, in, in.len);
	feed(&b, in, step);
	assert(a.more == b.more);
	assert(a.more != WS_ENDED || a.e.code == b.e.code);
	assert(span_eq(whole(a.all), whole(b.all)));
	assert(span_eq(whole(a.back), whole(b.back)));
	check_answers(whole(a.back));
	side_close(&a);
	side_close(&b);
}

static void
headers(struct span in)
{
	struct err e;
	auto_buf out = BUF_INIT(512);
	const struct ws_hello h = {.upgrade = span_split(&in, '\n'),
	    .connection = span_split(&in, '\n'),
	    .version = span_split(&in, '\n'),
	    .key = span_split(&in, '\n'),
	    .protocols = span_split(&in, '\n')};
	struct span protocol = ws_hello_choose(&h, "mqtt");
	assert(!protocol.len || protocol.len == 4);
	if (ws_hello_check(&h, &e) || !protocol.len)
		return;
	ws_hello_answer(&h, protocol, &out);
	assert(!out.bad);
	size_t lines = 0;
	for (size_t i = 0; i < out.len; i++)
		lines += out.p[i] == '\r' || out.p[i] == '\n';
	assert(lines == 12);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 2 || len > 65536)
		return 0;
	struct span rest = span_of(data + 1, len - 1);
	if (data[0])
		frames(rest, data[0]);
	else
		headers(rest);
	return 0;
}
