#ifndef IO_WS_HELLO_H
#define IO_WS_HELLO_H
/*
 * The opening handshake of a WebSocket, the server's half (RFC 6455 4.2): judges the
 * headers of a request and writes the answer that opens the connection. Extensions are
 * not looked at: none is served, and an offer may be passed over (9.1).
 */
#include "base/buf.h"

/* Values of the headers as they came; those of a repeated one joined by commas (RFC 9110
 * 5.3). p == NULL: absent. */
struct ws_hello {
	struct span upgrade, connection, version, key, protocols;
};

/* ERR_UNSUPPORTED: no request for a WebSocket of version 13 (to be answered 426);
 * ERR_PARSE: one that is not well-formed (400). */
must_check int ws_hello_check(const struct ws_hello *h, struct err *e);
/* The offered sub-protocol of that name without regard to case, spelled as it was offered
 * (protocol/device.md 7, row 36); SPAN_NONE: it is not among them. */
struct span ws_hello_choose(const struct ws_hello *h, const char *protocol);
/* The whole 101. protocol: as ws_hello_choose gave it. */
void ws_hello_answer(const struct ws_hello *h, struct span protocol, struct buf *out);

#endif
