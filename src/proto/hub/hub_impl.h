#ifndef PROTO_HUB_IMPL_H
#define PROTO_HUB_IMPL_H
/*
 * The inside of the hub over MQTT, for its own files: hub_mqtt.c has connections,
 * telemetry and wills; every other family of topics is a file of its own that takes its
 * publishes (takers[] in hub_mqtt.c) and the core's pushes for a session (pushes[] in
 * role/edge.c).
 */
#include "base/map.h"
#include "codec/topic.h"
#include "proto/hub/hub_mqtt.h"

/* Numbers for the connection log and error bodies (protocol/device.md 3.14). */
enum {
	HUB_CODE_UNSUPPORTED = 400003,
	HUB_CODE_ARGUMENT = 400004,
	HUB_CODE_UNAUTHORIZED = 401002,
	HUB_CODE_EXPIRED = 401003,
	HUB_CODE_TOO_LARGE = 413001,
};

struct credential;
struct ssl_st;

struct hub_mqtt {
	const struct env *env;
	struct hub *by_session;
	struct core_owner owner; /* of what outlives a connection: wills */
};

/* A connection. */
struct hub {
	struct hub_mqtt *all;
	struct mqtt_session *mqtt;
	int64_t session; /* 0 before HUB_OPENED, and after the core forgot it */
	uint16_t keep_alive_s;
	uint32_t subs; /* codec/topic.h; what the core may still be storing included */
	bool told_off, told_filter, by_cert;
	struct loop_timer *expiry;          /* NULL where the credential has no end */
	struct span name;                   /* "dev" or "dev/mod": text */
	struct span device_id, module_id;   /* into text */
	struct span will_bag, will_payload; /* into will */
	bool has_will, will_retain;
	uint8_t *will;
	struct list twin_calls;      /* hub_twin.c: what waits for the core */
	struct hub_c2d *c2d;         /* hub_c2d.c: NULL before the first at QoS 0 */
	struct hub_renewal *renewal; /* hub_credential.c; NULL: nothing to renew by */
	UT_hash_handle hh;
	char text[];
};

/* Takes a publish whose topic is t. mqtt_session_acked(h->mqtt, ticket) must follow, now
 * or later, or a close. */
typedef void hub_publish_fn(struct hub *h, const struct mqtt_publish *m,
    const struct topic_hub *t, uint64_t ticket);

/* Asks the core for this connection: fn(h, tag, ..) answers. What cannot be asked closes
 * it, and the device comes back. */
void hub_mqtt_ask(struct hub *h, enum ipc_type type, const void *msg,
    core_link_answer *fn, uint64_t tag);
/* Closes over a question that failed on our side: no fast errors, which some clients
 * repeat at once (protocol/device.md section 7 row 3). */
void hub_mqtt_close_failed(struct hub *h, const char *what, const struct ipc_done *d);
/* NULL where the connection of that session is gone. */
struct hub *hub_mqtt_find(const struct hub_mqtt *all, int64_t session);
/* Closes over a publish that no client of ours makes, and says so in the log. */
void hub_mqtt_close_unfit(
    struct hub *h, struct span topic, uint32_t code, const char *why);

/* hub_subs.c: SUBSCRIBE and UNSUBSCRIBE. */
void hub_subs_on_subscribe(struct mqtt_session *s, const struct mqtt_filter *f, size_t n,
    uint8_t *ret_codes, uint64_t ticket);
void hub_subs_on_unsubscribe(
    struct mqtt_session *s, const struct mqtt_filter *f, size_t n, uint64_t ticket);

/* hub_twin.c */
hub_publish_fn hub_twin_on_get, hub_twin_on_report;
/* The connection ends: forgets what waits. */
void hub_twin_drop(struct hub *h);

/* hub_method.c */
hub_publish_fn hub_method_on_response;

/* hub_c2d.c: the endpoint's, and the connection's end. */
void hub_c2d_on_delivered(struct mqtt_session *s, int64_t seq);
void hub_c2d_on_drained(struct mqtt_session *s);
void hub_c2d_drop(struct hub *h);

/* hub_credential.c: renewal over the session. Before the peer's certificates are dropped:
 * notes what theirs says, where hub.issue is set. */
void hub_credential_look(struct hub *h, struct ssl_st *ssl);
/* Takes cred: kept for as long as there may be something to renew. */
void hub_credential_keep(struct hub *h, struct credential *cred);
hub_publish_fn hub_credential_on_issue;
void hub_credential_drop(struct hub *h);

#endif
