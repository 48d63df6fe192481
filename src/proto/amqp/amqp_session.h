#ifndef PROTO_AMQP_SESSION_H
#define PROTO_AMQP_SESSION_H
/*
 * One AMQP connection over a stream: who the peer is, by whatever of SASL, tokens (CBS)
 * and certificate it showed, and which node each of its links belongs to. What the nodes
 * do is theirs (amqp_node.h).
 */
#include "base/list.h"
#include "codec/ipc_msg.h"
#include "proto/amqp/amqp_conn.h"
#include "proto/core_link.h"

struct amqp_end;
struct amqp_server;
struct amqp_session;
struct credential;
struct env;
struct stream;

const struct env *amqp_session_env(const struct amqp_session *s);
struct amqp_conn *amqp_session_conn(const struct amqp_session *s);
/* Address, protocol, and the host that the peer called us by. */
const struct ipc_peer *amqp_session_peer(const struct amqp_session *s);
/* Whether more may be pushed to a peer that perhaps does not read. */
bool amqp_session_has_room(const struct amqp_session *s);

/* What the peer may do what end is for by: the token whose resource covers its entity,
 * else any of the hub's, else its certificate. False: it showed nothing. */
bool amqp_session_cred(const struct amqp_end *end, struct ipc_cred *ret);
/* A token that the core found good, until expires_ms (wall clock; 0: always). name: what
 * it was put for; another one of that name takes its place. Takes c over, also where
 * there are too many (ERR_LIMIT). */
must_check int amqp_session_claim(struct amqp_session *s, struct span name,
    struct credential *c, int64_t expires_ms, struct err *e);
/* The peer is somebody (io/stream.h, stream_prove). */
void amqp_session_prove(struct amqp_session *s);
/* Asks the core on an end's behalf; fn's arg is the end. Where it cannot be asked fn is
 * given that as a DONE, at once. */
void amqp_session_ask(struct amqp_end *end, uint64_t tag, enum ipc_type type,
    const void *msg, core_link_answer *fn);
/* A line in the connection log about a token that was refused here. */
void amqp_session_refused(struct amqp_session *s, const char *why);

/* ---- for amqp_server alone ---- */
struct amqp_session *amqp_session_new(struct amqp_server *srv, struct stream *st);
void amqp_session_free(struct amqp_session *s); /* at once, without a word */
struct amqp_session *amqp_session_of(struct list *seat);
void amqp_session_tick(struct amqp_session *s, int64_t now_ms);
void amqp_session_pause(struct amqp_session *s, bool paused);
void amqp_session_drain(struct amqp_session *s);

#endif
