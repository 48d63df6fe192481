#ifndef PROTO_HUB_MQTT_H
#define PROTO_HUB_MQTT_H
/*
 * The hub over MQTT (protocol/device.md 3): sessions the core has opened, telemetry,
 * wills, subscriptions, twins. The core decides who may connect and which session gives
 * way; here each session knows its number and ends when told so or when its token's time
 * is over. What is not served yet is refused and listed in docs/limits.md.
 */
#include "codec/ipc_msg.h"
#include "proto/mqtt_session.h"

struct hub_mqtt;

extern const struct mqtt_endpoint hub_mqtt_endpoint; /* its arg is the struct hub_mqtt */

struct hub_mqtt *hub_mqtt_new(const struct env *env);
/* After the server that holds its sessions. */
void hub_mqtt_free(struct hub_mqtt *h);
own_define(struct hub_mqtt, hub_mqtt_free);

/* The core ends a session: taken over, revoked, disabled. */
void hub_mqtt_on_session_close(struct hub_mqtt *h, const struct ipc_session_close *m);
/* Desired properties of a session's device changed. */
void hub_twin_on_desired(struct hub_mqtt *h, const struct ipc_hub_desired *m);
/* hub_method.c, hub_c2d.c: something for the device of a session. */
void hub_method_on_push(struct hub_mqtt *h, const struct ipc_method_push *m);
void hub_c2d_on_push(struct hub_mqtt *h, const struct ipc_c2d_push *m);
/* A session that the core opened for a connection that is gone. */
void hub_mqtt_on_orphan(struct hub_mqtt *h, const struct ipc_hub_opened *m);
/* The core is gone, and with it every session: all are closed, devices come back. */
void hub_mqtt_on_core_lost(struct hub_mqtt *h);
size_t hub_mqtt_sessions(const struct hub_mqtt *h);

#endif
