#ifndef PROTO_AMQP_SERVER_H
#define PROTO_AMQP_SERVER_H
/*
 * All AMQP connections of an edge: takes accepted streams, drives what goes by time,
 * closes those that prove nothing, drains.
 */
#include "base/list.h"
#include "base/own.h"
#include "proto/env.h"

struct amqp_server;
struct stream;
struct stream_opts;

/* env is borrowed. unproven_ms: for a credential that is good, from accept; 0: the usual.
 */
struct amqp_server *amqp_server_new(const struct env *env, int64_t unproven_ms);
void amqp_server_free(struct amqp_server *m); /* ends every session at once */
own_define(struct amqp_server, amqp_server_free);

/* What streams for this server are made with. */
struct stream_opts amqp_server_stream_opts(const struct env *env);
/* on_accept of a stream listener, and for a WebSocket; arg is the server. */
void amqp_server_on_accept(void *arg, struct stream *st);
size_t amqp_server_count(const struct amqp_server *m);
/* Back-pressure: stops and resumes reading on all sessions. */
void amqp_server_pause(struct amqp_server *m, bool paused);
/* Ends every session in good order, and those that still come. */
void amqp_server_drain(struct amqp_server *m);
bool amqp_server_is_draining(const struct amqp_server *m);

/* ---- for amqp_session alone ---- */
const struct env *amqp_server_env(const struct amqp_server *m);
/* When a session that is new now must have proved itself. */
int64_t amqp_server_deadline(const struct amqp_server *m);
void amqp_server_enter(struct amqp_server *m, struct list *seat);
void amqp_server_leave(struct amqp_server *m, struct list *seat);
/* Whether there may be a line in the connection log about a stranger. */
bool amqp_server_may_log(struct amqp_server *m);

#endif
