#ifndef IO_WS_H
#define IO_WS_H
/*
 * The server's end of a WebSocket connection once it is open (RFC 6455): frames in, the
 * bytes they carry out. It sees evbuffers, no sockets. Where messages begin and end is
 * checked and then forgotten, for what rides on it is a stream: MQTT packets share a
 * frame or span several (Node puts each field into one of its own). Header and unmasking
 * are wslay's; what frames may follow each other is decided here.
 */
#include <stddef.h>

#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct evbuffer;
struct ws;

enum ws_more {
	WS_ALL,  /* all that came is used */
	WS_FULL, /* payload holds enough; there may be more */
	WS_ENDED /* nothing that comes from now on counts */
};

/* max: bytes of one message, and so of one frame; over it 1009. */
struct ws *ws_new(size_t max);
void ws_free(struct ws *w);
own_define(struct ws, ws_free);

/* Takes frames off wire and appends what they carry to payload, until that holds room
 * bytes (and what one read brought: 4 KB at most). The pong to each ping is appended to
 * back. WS_ENDED, from then on each time, with *e: ERR_OK after the peer's Close;
 * ERR_PARSE where it broke the protocol (1002), sent text (1003) or a Close that is no
 * UTF-8 (1007); ERR_LIMIT (1009). ws_close then tells it so. What is not ended leaves *e
 * alone. */
enum ws_more ws_read(struct ws *w, struct evbuffer *wire, size_t room,
    struct evbuffer *payload, struct evbuffer *back, struct err *e);

/* One binary frame, unmasked (5.1), of at most WS_HEAD_MAX bytes more than the payload;
 * nothing once our Close was written (5.5.1). */
#define WS_HEAD_MAX 10
void ws_write(const struct ws *w, struct span payload, struct evbuffer *back);
/* Our Close, unless it was written: what answers an end, else 1000, normal closure. */
void ws_close(struct ws *w, struct evbuffer *back);

#endif
