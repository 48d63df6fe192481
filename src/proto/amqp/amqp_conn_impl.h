#ifndef PROTO_AMQP_CONN_IMPL_H
#define PROTO_AMQP_CONN_IMPL_H
/*
 * The inside of a connection, for amqp_conn.c and amqp_link.c alone. Our channel and our
 * handle have the numbers of the peer's.
 */
#include "base/list.h"
#include "proto/amqp/amqp_conn.h"

enum {
	CONN_HEADER,
	CONN_SASL,
	CONN_JUDGED, /* its SASL waits for our outcome */
	CONN_AGAIN,  /* AMQP's own header is to follow */
	CONN_OPENING,
	CONN_OPEN,
	CONN_CLOSED,
	CONN_STATES
};

/* Descriptors: part 2, 2.7; 5.3.3; 2.8.14. */
enum {
	P_OPEN = 0x10,
	P_BEGIN,
	P_ATTACH,
	P_FLOW,
	P_TRANSFER,
	P_DISPOSITION,
	P_DETACH,
	P_END,
	P_CLOSE,
	P_ERROR = 0x1d,
	P_SASL_MECHANISMS = 0x40,
	P_SASL_INIT,
	P_SASL_OUTCOME = 0x44,
};

enum {
	WINDOW =
	    2048, /* of frames: what they carry is bounded by credit and MESSAGE_MAX */
	ERROR_TEXT = 400,
	ERROR_MAX = 2048,
	UNSETTLED_MAX = 4,
};

struct amqp_channel {
	uint16_t channel;
	uint32_t next_in, in_window;
	uint32_t next_out, out_window;
	uint32_t next_delivery;
	struct list links;
};

struct amqp_conn {
	const struct amqp_conn_ops *ops;
	void *arg;
	int state;
	bool opened; /* our open was sent */
	bool wrote;
	int64_t wrote_ms, beat_ms;
	uint32_t peer_frame_max;
	struct amqp_channel *sessions[AMQP_CONN_SESSIONS];
	size_t links, links_max;
	size_t gathered; /* bytes of messages that are not whole */
};

struct amqp_link {
	struct list node; /* in its session's */
	struct amqp_conn *conn;
	struct amqp_channel *session;
	void *ctx;
	uint32_t handle;
	bool sends; /* we do */
	bool up;    /* accepted, and not ended */
	bool ended; /* our detach was sent */
	bool told_gone;
	bool settled;      /* what we send */
	struct buf attach; /* the peer's performative: name, source, target are in it */

	uint32_t count, credit, credit_most;
	uint32_t held; /* messages of the peer's that are begun and not settled */

	struct buf coming; /* a message that comes, until it is whole */
	bool is_coming;
	uint32_t coming_id;

	struct buf going; /* a message that waits for the session's window */
	size_t gone;      /* bytes of it that have left */
	uint32_t going_id;
	struct {
		bool used;
		uint32_t id;
	} unsettled[UNSETTLED_MAX]; /* deliveries, ours or the peer's */
};

/* Gives a frame its size and writes it. */
void amqp_conn_put(struct amqp_conn *c, struct buf *frame, size_t begun);
void amqp_conn_put_error(struct buf *b, const struct amqp_error *why);
void amqp_conn_fail(struct amqp_conn *c, const char *condition, const char *text);

void amqp_link_on_attach(struct amqp_conn *c, const struct amqp_frame *f);
void amqp_link_on_flow(struct amqp_conn *c, const struct amqp_frame *f);
void amqp_link_on_transfer(struct amqp_conn *c, const struct amqp_frame *f);
void amqp_link_on_disposition(struct amqp_conn *c, const struct amqp_frame *f);
void amqp_link_on_detach(struct amqp_conn *c, const struct amqp_frame *f);
/* on_gone, once. */
void amqp_link_tell_gone(struct amqp_link *l);
/* Frees it, without a word. */
void amqp_link_drop(struct amqp_link *l);

#endif
