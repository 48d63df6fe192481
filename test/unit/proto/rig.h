#ifndef TEST_UNIT_PROTO_RIG_H
#define TEST_UNIT_PROTO_RIG_H
/*
 * An edge without its process: servers on plain sockets, a core played by the test at the
 * other end of a socketpair, clients that are bare sockets, and a clock that stands
 * still.
 */
#include "../test.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/clock.h"
#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "io/http.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/stream.h"
#include "proto/core_link.h"
#include "proto/dps/dps_mqtt.h"
#include "proto/env.h"
#include "proto/http_server.h"
#include "proto/hub/hub_mqtt.h"
#include "proto/mqtt_server.h"

#define RIG_NOW_MS INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */

/* Listeners have abstract Unix addresses: what was sent has arrived, whatever the machine
 * is busy with. */
struct rig_addr {
	struct sockaddr_un un;
	socklen_t len;
};
int rig_listen(struct rig_addr *ret); /* the listening socket */
int rig_dial(const struct rig_addr *a);

struct rig {
	struct clock clock;
	struct loop *loop;
	struct arena *arena;
	struct config config;
	struct env env;
	struct chain_set *anchors;
	struct core_link *core;
	struct ipc_sync *peer; /* the core's end */
	struct hub_mqtt *hub;
	struct mqtt_server *mqtt;
	struct http_server *http;
	struct stream_listener *listener;
	struct rig_addr mqtt_addr, http_addr;
	struct buf body; /* of the last frame the core got */
	unsigned lost, orphans;
	enum ipc_type pushed;
};

void rig_init(struct rig *r);
void rig_done(struct rig *r);
int rig_setup(void **state);
int rig_teardown(void **state);
/* Lets the loop run until it has nothing to do. */
void rig_settle(struct rig *r);
void rig_advance(struct rig *r, int64_t ms);
/* Ends the core's end and, where again is set, attaches a new one. */
void rig_core_dies(struct rig *r, bool again);

/* The next frame the core gets; fails when it is of another type. msg is a struct of
 * type, its spans valid until the next call. Returns the frame's id. */
uint64_t rig_core_gets(struct rig *r, enum ipc_type type, void *msg);
bool rig_core_is_idle(struct rig *r);
void rig_core_says(struct rig *r, uint64_t id, enum ipc_type type, const void *msg);
void rig_core_done(struct rig *r, uint64_t id, enum err_code code, uint32_t error);

/* A client. */
struct peer {
	struct rig *rig;
	int fd;
	struct buf in;
	bool eof;
	bool no_body; /* of an answer to HEAD */
};
void peer_open(struct peer *p, struct rig *r, const struct rig_addr *to);
void peer_close(struct peer *p);
void peer_send(struct peer *p, struct span bytes);
/* Takes in what has come. */
void peer_pull(struct peer *p);
/* Exactly these bytes come next. */
void peer_gets(struct peer *p, struct span bytes);
/* Nothing comes, and the connection stands. */
void peer_hears_nothing(struct peer *p);
/* The server closes, having sent nothing that was not taken before. */
void peer_is_closed(struct peer *p);
#define PEER_SEND(p, lit) peer_send((p), SPAN_LIT(lit))
#define PEER_GETS(p, lit) peer_gets((p), SPAN_LIT(lit))

/* CONNECT, MQTT level 4. NULL: absent. */
struct connect {
	const char *client_id, *user, *password;
	bool clean;
	uint16_t keep_alive;
	const char *will_topic, *will_payload;
	bool will_retain;
};
void write_connect(struct buf *b, const struct connect *c);
void write_publish(struct buf *b, const char *topic, struct span payload, int qos,
    uint16_t id, int extra);
void peer_connect(struct peer *p, const struct connect *c);
void peer_publish(
    struct peer *p, const char *topic, const char *payload, int qos, uint16_t id);

/* A token whose signature is 32 bytes of 0x01. */
#define TOKEN(resource)                                                                  \
	"SharedAccessSignature sr=" resource                                             \
	"&sig=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE%3D&se=1900000000"

#endif
