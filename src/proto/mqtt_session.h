#ifndef PROTO_MQTT_SESSION_H
#define PROTO_MQTT_SESSION_H
/*
 * One MQTT 3.1.1 connection over a stream: order, limits and time; what topics mean is
 * the endpoint's, chosen by the user name of CONNECT.
 *
 * await (CONNECT) -> authorizing -> up -> closing. Packets of a connection are handled in
 * order; PUBACKs leave in the order of their PUBLISHes (4.6); at most inflight_max
 * publishes wait for their endpoint, beyond that nothing more is read. QoS 2, a second
 * CONNECT and every malformed packet close.
 */
#include <stdbool.h>

#include "codec/ipc_msg.h"
#include "codec/mqtt.h"
#include "proto/core_link.h"

struct credential;
struct env;
struct mqtt_server;
struct mqtt_session;
struct stream;

struct mqtt_endpoint {
	const char *plane; /* "hub", "dps": in the connection log */
	/* A CONNECT with its user name. The endpoint answers by mqtt_session_accept or
	 * mqtt_session_refuse, now or later. m is valid during the call. */
	void (*on_connect)(struct mqtt_session *s, const struct mqtt_connect *m);
	/* QoS 0 or 1. mqtt_session_acked(s, ticket) must follow, now or later, or a
	 * close. */
	void (*on_publish)(
	    struct mqtt_session *s, const struct mqtt_publish *m, uint64_t ticket);
	/* One SUBSCRIBE with all its filters: fills their SUBACK codes before it returns.
	 * mqtt_session_acked(s, ticket) must follow, now or when what was granted is
	 * durable, or a close. */
	void (*on_subscribe)(struct mqtt_session *s, const struct mqtt_filter *f,
	    size_t n, uint8_t *ret_codes, uint64_t ticket);
	/* The same for UNSUBSCRIBE, whose answer has no codes (3.11). */
	void (*on_unsubscribe)(struct mqtt_session *s, const struct mqtt_filter *f,
	    size_t n, uint64_t ticket);
	/* The device acknowledged what mqtt_session_deliver sent with that token. NULL
	 * where nothing is delivered. */
	void (*on_delivered)(struct mqtt_session *s, int64_t token);
	/* Accepted long ago, and nothing was proved since: says so in the connection log,
	 * and closes. NULL where nobody is accepted without a proof. */
	void (*on_late)(struct mqtt_session *s);
	/* All that was written for the device has left. NULL where that is no matter. */
	void (*on_drained)(struct mqtt_session *s);
	/* The last call for a session whose on_connect was called. The owner was dropped
	 * before: no answer of the core comes any more. code, reason: for the connection
	 * log. graceful: DISCONNECT was sent. */
	void (*on_gone)(
	    struct mqtt_session *s, bool graceful, uint32_t code, const char *reason);
};

/* What a session may do once it is accepted. */
struct mqtt_terms {
	size_t frame_max; /* largest packet */
	int64_t idle_ms;  /* longest silence, keep-alive already taken into account */
	size_t inflight_max;
};

/* CONNACK 0; whoever has proved nothing by then has some time to do it (mqtt_server.h).
 * present: what was subscribed to before still stands (3.2.2.2). */
void mqtt_session_accept(
    struct mqtt_session *s, const struct mqtt_terms *t, bool present);
/* The peer has proved an identity (io/stream.h), which one that was accepted need not
 * have: DPS judges its credential with the first request. */
void mqtt_session_prove(struct mqtt_session *s);
/* CONNACK code (1, 3 or 5) and close. */
void mqtt_session_refuse(struct mqtt_session *s, uint8_t code);
/* The publish of that ticket is done: its PUBACK may leave. */
void mqtt_session_acked(struct mqtt_session *s, uint64_t ticket);
/* Sends, at QoS 0 or 1, what nobody waits for: a PUBACK for it is taken and forgotten,
 * since the C SDK never sends one (protocol/device.md section 7 row 10). */
void mqtt_session_publish(
    struct mqtt_session *s, struct span topic, struct span payload, uint8_t qos);
/* How much mqtt_session_deliver may have under way; the SDKs' own receive windows are
 * larger. */
#define MQTT_DELIVER_MAX 16
/* Sends at QoS 1; on_delivered(s, token) follows from the device's PUBACK, however late
 * (row 11). false, and nothing was sent, where MQTT_DELIVER_MAX are unacknowledged. What
 * is unacknowledged when the session ends is the endpoint's to remember; it comes again
 * in another session only, never on this one. */
must_check bool mqtt_session_deliver(struct mqtt_session *s, struct span topic,
    struct span payload, bool dup, int64_t token);
/* Bytes that wait to be sent to the device: push less to one that does not read. */
size_t mqtt_session_queued(const struct mqtt_session *s);
/* Closes; on_gone follows from the loop with this code and reason. Harmless again. */
void mqtt_session_close(struct mqtt_session *s, uint32_t code, const char *reason);
/* A line in the connection log about something this session was denied. name: "device" or
 * "device/module". */
void mqtt_session_refused(struct mqtt_session *s, struct span name, uint32_t code,
    const char *fmt, ...) printf_like(4, 5);

/* 1.5 times keep_alive_s, at most max_s; max_s for 0 (protocol/device.md 3.5). */
int64_t mqtt_session_idle_ms(uint16_t keep_alive_s, int64_t max_s);

/* The endpoint's own state of this session. */
void mqtt_session_set_ctx(struct mqtt_session *s, void *ctx);
void *mqtt_session_ctx(const struct mqtt_session *s);
struct core_owner *mqtt_session_owner(struct mqtt_session *s);
const struct env *mqtt_session_env(const struct mqtt_session *s);
/* The endpoint's arg, from mqtt_server_opts. */
void *mqtt_session_arg(const struct mqtt_session *s);
/* Of the connection; NULL where it is plain. */
struct ssl_st *mqtt_session_ssl(const struct mqtt_session *s);
/* What the peer proves itself by: the password as a token, else its certificate. To be
 * called once: the peer's certificates are dropped after it (5 KB a connection). */
must_check struct credential *mqtt_session_credential(
    struct mqtt_session *s, struct span password, struct err *e);
/* Address and protocol; agent and api_version once an endpoint has set them. */
const struct ipc_peer *mqtt_session_peer(const struct mqtt_session *s);
/* Copies, cut to their caps. */
void mqtt_session_set_agent(
    struct mqtt_session *s, struct span agent, struct span api_version);
bool mqtt_session_is_closing(const struct mqtt_session *s);

/* ---- for mqtt_server alone ---- */
struct mqtt_session *mqtt_session_new(struct mqtt_server *srv, struct stream *st);
/* At once, without a word to the peer; on_gone is called. */
void mqtt_session_free(struct mqtt_session *s);
/* The time for what it owes is over. */
void mqtt_session_late(struct mqtt_session *s);
/* Back-pressure from the core, for all sessions. */
void mqtt_session_pause(struct mqtt_session *s, bool paused);

#endif
