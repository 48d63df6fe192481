#ifndef PROTO_AMQP_CONN_H
#define PROTO_AMQP_CONN_H
/*
 * The server's end of an AMQP 1.0 connection (OASIS AMQP 1.0, part 2 and 5.3): bytes in,
 * bytes out; sessions, links, credit, deliveries. It does no I/O, has no clock and knows
 * no address. Everything a peer can make it hold has a cap.
 *
 * Callbacks come from amqp_conn_feed and amqp_conn_end alone; they may call every
 * function here but those two and amqp_conn_free.
 */
#include "base/buf.h"
#include "codec/amqp.h"

struct amqp_conn;
struct amqp_link;

#define AMQP_CONN_FRAME_MAX   (64 * 1024)
#define AMQP_CONN_SESSIONS    16
#define AMQP_CONN_LINKS       64
#define AMQP_CONN_MESSAGE_MAX (160 * 1024) /* of a message that comes */
#define AMQP_CONN_IDLE_MS     120000       /* what we ask of the peer */

enum amqp_outcome {
	AMQP_ACCEPTED = 0x24,
	AMQP_REJECTED = 0x25,
	AMQP_RELEASED = 0x26,
	AMQP_MODIFIED = 0x27
};

/* Why something is refused. condition: of part 2, 2.8, or a service's own. text: what a
 * peer may see. Both are copied. */
struct amqp_error {
	const char *condition;
	const char *text;
	/* for amqp:link:redirect (2.8.15): where to; address NULL: none */
	const char *host, *address;
	uint16_t port;
};

struct amqp_conn_ops {
	void (*write)(void *arg, struct span bytes);
	/* The peer chose a mechanism of SASL; amqp_conn_sasl_done follows, now or later,
	 * and until then nothing more is read. */
	void (*on_sasl)(void *arg, struct span mechanism, struct span response);
	void (*on_open)(void *arg, struct span hostname);
	/* A link is asked for: amqp_link_accept or _refuse follows, now or later. */
	void (*on_link)(void *arg, struct amqp_link *l);
	/* A whole message on a link that the peer sends on. amqp_link_settle follows, now
	 * or later. */
	void (*on_message)(
	    void *arg, struct amqp_link *l, uint32_t delivery, struct span message);
	/* A link that we send on may have room (amqp_link_room). */
	void (*on_credit)(void *arg, struct amqp_link *l);
	/* What became of a message sent unsettled. */
	void (*on_outcome)(
	    void *arg, struct amqp_link *l, uint32_t delivery, enum amqp_outcome outcome);
	/* The last of a link, whoever ended it. */
	void (*on_gone)(void *arg, struct amqp_link *l);
	/* Nothing more will be read or written: all links are gone. why->code: ERR_OK in
	 * good order. */
	void (*on_closed)(void *arg, const struct err *why);
};

/* ops are static, borrowed. */
struct amqp_conn *amqp_conn_new(const struct amqp_conn_ops *ops, void *arg);
/* No callback comes; links with it are gone. */
void amqp_conn_free(struct amqp_conn *c);
own_define(struct amqp_conn, amqp_conn_free);

/* Takes what it can of what is pending; returns how much. */
size_t amqp_conn_feed(struct amqp_conn *c, struct span pending);
void amqp_conn_sasl_done(struct amqp_conn *c, bool ok);
/* Closes the connection with an error; on_closed comes from it. why NULL: in good order.
 */
void amqp_conn_end(struct amqp_conn *c, const struct amqp_error *why);
/* An empty frame, where the peer asked for signs of life and it is time (part 2, 2.4.5).
 * now_ms: of any clock that goes on. */
void amqp_conn_beat(struct amqp_conn *c, int64_t now_ms);
/* The most links a peer may have that has not proved itself. */
void amqp_conn_links_max(struct amqp_conn *c, size_t max);
/* Every link in turn; NULL after the last. l NULL: the first. The one in hand may be
 * detached meanwhile. */
struct amqp_link *amqp_conn_next(struct amqp_conn *c, struct amqp_link *l);

/* ---- links ---- */

/* Whether we send on it: the peer is the receiver. */
bool amqp_link_sends(const struct amqp_link *l);
/* The address of its far end here: the target where the peer sends, else the source. */
struct span amqp_link_address(const struct amqp_link *l);
/* The address of the peer's own end. */
struct span amqp_link_peer_address(const struct amqp_link *l);
/* A text filter of the source, by its key (3.5.8); empty where there is none. */
struct span amqp_link_filter(const struct amqp_link *l, const char *key);
/* settled: what we send needs no outcome. credit: for a peer that sends, how many of its
 * messages may wait to be settled; it is renewed as they are. */
void amqp_link_accept(struct amqp_link *l, bool settled, uint32_t credit);
bool amqp_link_is_up(const struct amqp_link *l);
/* Refuses it, or ends it: on_gone follows when the peer has answered. Nothing comes on
 * it any more. Harmless again. */
void amqp_link_refuse(struct amqp_link *l, const struct amqp_error *why);
/* why: of AMQP_REJECTED. A delivery that is no more: nothing. */
void amqp_link_settle(struct amqp_link *l, uint32_t delivery, enum amqp_outcome outcome,
    const struct amqp_error *why);
/* Whether a message can be sent: there is credit, and none is under way; and how many
 * more could follow. */
uint32_t amqp_link_room(const struct amqp_link *l);
/* Sends a message, for which there must be room. Its number, for on_outcome. */
uint32_t amqp_link_send(struct amqp_link *l, struct span message);
/* The owner's. */
void amqp_link_set_ctx(struct amqp_link *l, void *ctx);
void *amqp_link_ctx(const struct amqp_link *l);

#endif
