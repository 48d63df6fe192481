#ifndef PROTO_DPS_JSON_H
#define PROTO_DPS_JSON_H
/*
 * A registration's state in the JSON of devices (protocol/device.md 1.10) and of the
 * service API (protocol/service.md 1.6).
 */
#include "codec/ipc_msg.h"

struct js;

/* {"operationId", "status", "registrationState"}; and the HTTP status that goes with it:
 * 202 while assigning, else 200. */
void dps_json_operation(const struct ipc_dps_state *m, struct buf *out);
int dps_json_status(const struct ipc_dps_state *m);
/* The bare registration state. */
struct js *dps_json_state(const struct ipc_dps_state *m);

#endif
