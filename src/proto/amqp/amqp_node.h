#ifndef PROTO_AMQP_NODE_H
#define PROTO_AMQP_NODE_H
/*
 * What links lead to. A node is a row of functions; an end is one link's place at it.
 * Nodes are found by address, which a peer writes with or without scheme, host and first
 * slash (protocol/service.md T11).
 */
#include "codec/amqp_msg.h"
#include "proto/amqp/amqp_session.h"

struct amqp_node;

#define AMQP_NODE_ADDRESS 600

struct amqp_end {
	const struct amqp_node *node;
	struct amqp_session *session;
	struct amqp_link *link;
	struct core_owner owner; /* of the end's questions */
	void *state;             /* the node's */
	/* "PATH/ConsumerGroups/..", of the address; what a token must cover */
	char entity[AMQP_NODE_ADDRESS];
	bool is_open; /* anybody may have it: nothing is checked when tokens end */
};

struct amqp_node {
	/* A link that was asked for, and whose direction the node has: amqp_link_accept
	 * or _refuse follows, now or later. */
	void (*attach)(struct amqp_end *end);
	/* All may be NULL. */
	void (*message)(struct amqp_end *end, uint32_t delivery, struct span message);
	void (*room)(struct amqp_end *end); /* credit came, or time went by */
	void (*outcome)(
	    struct amqp_end *end, uint32_t delivery, enum amqp_outcome outcome);
	void (*gone)(struct amqp_end *end); /* state is freed here */
};

extern const struct amqp_node amqp_cbs_node, amqp_c2d_node, amqp_feedback_node,
    amqp_feedback_notices_node, amqp_events_node, amqp_manage_node,
    amqp_manage_redirect_node;

/* The node of an address, for peers that receive (sends) or send; NULL: there is none.
 * *ret_path: the address without scheme, host and first slash. */
const struct amqp_node *amqp_node_find(
    struct span address, bool sends, struct span *ret_path);

/* Has the core judge whether the peer may have this end, with the right of the message
 * (IPC_LOGIN_SERVICE and the like; msg: its struct). then: it may; else the link is
 * refused. */
void amqp_node_admit(
    struct amqp_end *end, enum ipc_type type, const void *msg, core_link_answer *then);
/* Ends a link for what the core answered. */
void amqp_node_refuse_done(struct amqp_end *end, const struct ipc_done *d);
/* A condition and words for it, which live as long as the program. */
struct amqp_error amqp_node_error(const struct ipc_done *d);
void amqp_node_refuse(struct amqp_end *end, const char *condition, const char *text);

/* Sends an answer to a request (protocol/service.md T12): on the link of the same node
 * that leads to reply_to, or where that is empty on any. It waits for credit where there
 * is none. */
void amqp_node_reply(struct amqp_end *to, struct span reply_to, struct span message);
/* Of an end that answers go out on: sends what waits, when there is room; and forgets it.
 * state is theirs there. */
void amqp_node_flush(struct amqp_end *end);
void amqp_node_drop_replies(struct amqp_end *end);

/* Begins a message: properties with an id to correlate with (raw; may be empty) and a
 * content type (may be empty). */
void amqp_node_put_properties(
    struct buf *b, struct span correlation, struct span content_type);

#endif
