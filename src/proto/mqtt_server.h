#ifndef PROTO_MQTT_SERVER_H
#define PROTO_MQTT_SERVER_H
/*
 * All MQTT sessions of an edge: takes accepted streams, holds what sessions share, closes
 * those that send no CONNECT in time or prove nothing behind it, drains.
 */
#include <stdint.h>

#include "base/list.h"
#include "base/own.h"
#include "proto/env.h"

struct mqtt_endpoint;
struct mqtt_server;
struct stream;
struct stream_opts;

struct mqtt_server_opts {
	int64_t connect_ms; /* for CONNECT to be whole, from accept */
	size_t connect_max; /* largest packet before CONNACK 0 */
	/* for the first proof of an identity (mqtt_session_prove), from CONNACK; and
	 * dps.retry_after_s longer, for which we ourselves tell a device to wait */
	int64_t unproven_ms;
	const struct mqtt_endpoint *dps, *hub;
	void *dps_arg, *hub_arg; /* what mqtt_session_arg gives the endpoint */
};
extern const struct mqtt_server_opts mqtt_server_defaults; /* without endpoints */

/* env is borrowed, opts copied. */
struct mqtt_server *mqtt_server_new(
    const struct env *env, const struct mqtt_server_opts *opts);
void mqtt_server_free(struct mqtt_server *m); /* ends every session at once */
own_define(struct mqtt_server, mqtt_server_free);

/* What streams for this server are made with. */
struct stream_opts mqtt_server_stream_opts(const struct env *env);
/* on_accept of a stream listener, and for a WebSocket; arg is the server. */
void mqtt_server_on_accept(void *arg, struct stream *st);
size_t mqtt_server_count(const struct mqtt_server *m);
/* Back-pressure: stops and resumes reading on all sessions. */
void mqtt_server_pause(struct mqtt_server *m, bool paused);
/* Ends every session in good order, wills included, and those that still come. */
void mqtt_server_drain(struct mqtt_server *m, const char *reason);
bool mqtt_server_is_draining(const struct mqtt_server *m);

/* ---- for mqtt_session alone ---- */
const struct env *mqtt_server_env(const struct mqtt_server *m);
const struct mqtt_server_opts *mqtt_server_opts_of(const struct mqtt_server *m);
/* A session's place among the others, and among those that owe something. */
struct mqtt_server_seat {
	struct list all, owing;
	int64_t deadline_ms;
	struct mqtt_session *session;
};
void mqtt_server_enter(struct mqtt_server *m, struct mqtt_server_seat *seat);
void mqtt_server_owes_proof(struct mqtt_server *m, struct mqtt_server_seat *seat);
void mqtt_server_owes_nothing(struct mqtt_server *m, struct mqtt_server_seat *seat);
/* Whether there may be a line in the connection log about a peer that has not said who it
 * is: anybody can cause those, so they are few a minute. *ret_more: how many there might
 * not since the last. */
bool mqtt_server_may_log(struct mqtt_server *m, unsigned *ret_more);
void mqtt_server_leave(struct mqtt_server *m, struct mqtt_server_seat *seat);

#endif
