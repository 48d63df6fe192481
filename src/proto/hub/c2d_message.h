#ifndef PROTO_C2D_MESSAGE_H
#define PROTO_C2D_MESSAGE_H
/*
 * What a cloud-to-device message says of itself, over HTTPS and AMQP alike
 * (protocol/service.md 2.8).
 */
#include "base/arena.h"
#include "base/err.h"
#include "base/span.h"

/* Whom it is to: /devices/{id}/messages/devicebound, also with the host in front; the
 * words without case (C# writes deviceBound), the ID percent-encoded. */
must_check int c2d_message_to(
    struct span to, struct arena *a, struct span *ret_id, struct err *e);
/* enum ipc_ack; empty: none. */
must_check int c2d_message_ack(struct span text, uint8_t *ret, struct err *e);
/* Whether an ID can be a device's at all. */
bool c2d_message_is_id(struct span id);

#endif
