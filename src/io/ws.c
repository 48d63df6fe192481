/*
 * Frames of RFC 6455. Of a connection that rests between two frames nothing but struct ws
 * is kept: wslay's context with its 4 KB lives from a frame's first byte to its last.
 */
#include "io/ws.h"

#include <assert.h>
#include <string.h>

#include <event2/buffer.h>
#include <wslay/wslay.h>

#include "codec/utf8.h"

enum { CONTROL_MAX = 125 }; /* 5.5 */

struct ws {
	size_t max;
	wslay_frame_context_ptr frames; /* NULL between frames */
	struct evbuffer *wire;          /* during ws_read */
	uint64_t given, used;           /* bytes that wslay took, and that it gave back */

	bool in_message;  /* a fragment came that was not the last */
	uint64_t message; /* bytes of the message so far, by its frames' headers */
	bool in_frame;
	bool fin;
	uint8_t opcode;
	uint64_t left; /* bytes of the frame that have not come */
	uint8_t control[CONTROL_MAX];
	size_t control_len;

	uint16_t status; /* of our Close; 0: it has none */
	bool closed;     /* it was written */
	bool ended;
	enum err_code end_code;
	const char *end_text; /* static */
};

struct ws *
ws_new(size_t max)
{
	struct ws *w = own_alloc(sizeof(*w));
	w->max = max;
	w->status = WSLAY_CODE_NORMAL_CLOSURE;
	return w;
}

void
ws_free(struct ws *w)
{
	if (!w)
		return;
	wslay_frame_context_free(w->frames);
	free(w);
}

/* --- writing --- */

static void
put(struct evbuffer *back, const void *bytes, size_t len)
{
	if (evbuffer_add(back, bytes, len))
		abort(); /* out of memory, as base/own.h has it */
}

/* Without a mask a frame is its header and then the payload as it is: no need of wslay's
 * context for it. */
static void
put_frame(struct evbuffer *back, enum wslay_opcode opcode, struct span payload)
{
	uint8_t head[WS_HEAD_MAX] = {(uint8_t)(0x80 | opcode)};
	unsigned extra = payload.len < 126 ? 0 : payload.len <= UINT16_MAX ? 2 : 8;
	head[1] = extra == 0 ? (uint8_t)payload.len : extra == 2 ? 126 : 127;
	for (unsigned i = 0; i < extra; i++)
		head[2 + i] = (uint8_t)((uint64_t)payload.len >> 8 * (extra - 1 - i));
	put(back, head, 2 + extra);
	if (payload.len)
		put(back, payload.p, payload.len);
}

void
ws_write(const struct ws *w, struct span payload, struct evbuffer *back)
{
	if (!w->closed)
		put_frame(back, WSLAY_BINARY_FRAME, payload);
}

void
ws_close(struct ws *w, struct evbuffer *back)
{
	const uint8_t text[] = {(uint8_t)(w->status >> 8), (uint8_t)w->status};
	if (!w->closed)
		put_frame(back, WSLAY_CONNECTION_CLOSE,
		    span_of(text, w->status ? sizeof(text) : 0));
	w->closed = true;
}

/* --- the end --- */

static void
end(struct ws *w, uint16_t status, enum err_code code, const char *text)
{
	w->ended = true;
	w->status = status;
	w->end_code = code;
	w->end_text = text;
}

static void
fail(struct ws *w, uint16_t status, const char *text)
{
	end(w, status, status == WSLAY_CODE_MESSAGE_TOO_BIG ? ERR_LIMIT : ERR_PARSE,
	    text);
}

/* 7.4: what may stand in a Close. 1004, 1005, 1006 and 1015 are never sent. */
static bool
is_status(uint16_t status)
{
	if (status >= 3000)
		return status <= 4999;
	return (status >= 1000 && status <= 1003) || (status >= 1007 && status <= 1014);
}

static void
on_close(struct ws *w)
{
	struct cursor c = cursor_of(span_of(w->control, w->control_len));
	uint16_t status = w->control_len ? cursor_u16(&c) : 0;
	if (c.bad || (w->control_len && !is_status(status))) {
		fail(w, WSLAY_CODE_PROTOCOL_ERROR, "WebSocket: wrong status in a Close");
		return;
	}
	if (!utf8_ok(cursor_take(&c, c.left))) {
		fail(w, WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA,
		    "WebSocket: the reason in a Close is no UTF-8");
		return;
	}
	end(w, status, ERR_OK, "closed by the peer"); /* 5.5.1: its status goes back */
}

/* --- reading --- */

static ssize_t
on_recv(uint8_t *bytes, size_t len, int flags, void *arg)
{
	struct ws *w = arg;
	(void)flags;
	int n = evbuffer_remove(w->wire, bytes, len);
	if (n <= 0)
		return -1;
	w->given += (uint64_t)n;
	return n;
}

static void
start(struct ws *w)
{
	static const struct wslay_frame_callbacks callbacks = {.recv_callback = on_recv};
	if (!w->frames && wslay_frame_context_init(&w->frames, &callbacks, w))
		abort();
}

/* wslay has eaten everything: the next byte begins a frame, if one comes. */
static void
rest(struct ws *w)
{
	if (w->in_frame || w->given != w->used)
		return;
	wslay_frame_context_free(w->frames);
	w->frames = NULL;
	w->given = w->used = 0;
}

static size_t
head_len(const struct wslay_frame_iocb *f)
{
	size_t len = 2 + (f->mask ? 4 : 0);
	if (f->payload_length < 126)
		return len;
	return len + (f->payload_length <= UINT16_MAX ? 2 : 8);
}

/* What is wrong with a frame by its header; 0 and NULL: nothing. wslay has refused long
 * and fragmented control frames and lengths that are not in their shortest form. */
static uint16_t
judge(const struct ws *w, const struct wslay_frame_iocb *f, const char **ret_why)
{
	bool data = f->opcode == WSLAY_BINARY_FRAME || f->opcode == WSLAY_TEXT_FRAME;
	*ret_why = "WebSocket: frame without a mask";
	if (!f->mask)
		return WSLAY_CODE_PROTOCOL_ERROR;
	*ret_why = "WebSocket: reserved bits set";
	if (f->rsv)
		return WSLAY_CODE_PROTOCOL_ERROR;
	*ret_why = "WebSocket: unknown opcode";
	if (!data && f->opcode != WSLAY_CONTINUATION_FRAME &&
	    (f->opcode < WSLAY_CONNECTION_CLOSE || f->opcode > WSLAY_PONG))
		return WSLAY_CODE_PROTOCOL_ERROR;
	*ret_why = "WebSocket: fragments out of order";
	if (w->in_message ? data : f->opcode == WSLAY_CONTINUATION_FRAME)
		return WSLAY_CODE_PROTOCOL_ERROR;
	*ret_why = "WebSocket: text frame";
	if (f->opcode == WSLAY_TEXT_FRAME)
		return WSLAY_CODE_UNSUPPORTED_DATA;
	*ret_why = "WebSocket: message too large";
	if (!wslay_is_ctrl_frame(f->opcode) && f->payload_length > w->max - w->message)
		return WSLAY_CODE_MESSAGE_TOO_BIG;
	return 0;
}

static void
begin_frame(struct ws *w, const struct wslay_frame_iocb *f)
{
	w->in_frame = true;
	w->opcode = f->opcode;
	w->fin = f->fin;
	w->left = f->payload_length;
	w->used += head_len(f);
	w->control_len = 0;
	if (!wslay_is_ctrl_frame(f->opcode))
		w->message += f->payload_length;
}

static void
end_frame(struct ws *w, struct evbuffer *back)
{
	w->in_frame = false;
	if (!wslay_is_ctrl_frame(w->opcode)) {
		w->in_message = !w->fin;
		w->message = w->fin ? 0 : w->message;
	} else if (w->opcode == WSLAY_CONNECTION_CLOSE) {
		on_close(w);
	} else if (w->opcode == WSLAY_PING && !w->closed) {
		put_frame(back, WSLAY_PONG, span_of(w->control, w->control_len));
	}
}

static void
take(struct ws *w, const struct wslay_frame_iocb *f, struct evbuffer *payload)
{
	assert(f->data_length <= w->left);
	w->left -= f->data_length;
	w->used += f->data_length;
	if (!f->data_length)
		return;
	if (!wslay_is_ctrl_frame(w->opcode)) {
		put(payload, f->data, f->data_length);
		return;
	}
	assert(f->data_length <= sizeof(w->control) - w->control_len);
	memcpy(w->control + w->control_len, f->data, f->data_length);
	w->control_len += f->data_length;
}

/* A frame, or as much of one as there is. False: no more came. */
static bool
step(struct ws *w, struct evbuffer *payload, struct evbuffer *back)
{
	struct wslay_frame_iocb f = {0};
	const char *why;
	ssize_t n = wslay_frame_recv(w->frames, &f);
	if (n == WSLAY_ERR_WANT_READ)
		return false;
	if (n < 0) {
		fail(w, WSLAY_CODE_PROTOCOL_ERROR, "WebSocket: malformed frame");
		return false;
	}
	if (!w->in_frame) {
		uint16_t status = judge(w, &f, &why);
		if (status) {
			fail(w, status, why);
			return false;
		}
		begin_frame(w, &f);
	}
	take(w, &f, payload);
	if (!w->left)
		end_frame(w, back);
	return !w->ended;
}

enum ws_more
ws_read(struct ws *w, struct evbuffer *wire, size_t room, struct evbuffer *payload,
    struct evbuffer *back, struct err *e)
{
	bool full = false;
	if (!w->ended && (w->frames || evbuffer_get_length(wire))) {
		start(w);
		w->wire = wire;
		while (!(full = evbuffer_get_length(payload) >= room))
			if (!step(w, payload, back))
				break;
		w->wire = NULL;
	}
	if (w->ended) {
		err_set(e, w->end_code, "%s", w->end_text);
		return WS_ENDED;
	}
	if (full)
		return WS_FULL;
	rest(w);
	return WS_ALL;
}
