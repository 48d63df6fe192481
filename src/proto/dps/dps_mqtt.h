#ifndef PROTO_DPS_MQTT_H
#define PROTO_DPS_MQTT_H
/*
 * The provisioning service over MQTT (protocol/device.md 1.3 to 1.10). At CONNECT only
 * what is wrong for ever is refused (a token that is none, an unusable certificate, a CN
 * that is not the registration ID); everything else is the core's and comes as a message.
 */
#include "proto/mqtt_session.h"

extern const struct mqtt_endpoint dps_mqtt_endpoint;

#endif
