#ifndef PROTO_EVENT_BATCH_H
#define PROTO_EVENT_BATCH_H
/*
 * Telemetry over HTTPS in a batch (protocol/device.md 4.1): an array of {"body",
 * "base64Encoded", "properties"}. What comes out is a list of codec/event_list.h.
 */
#include "base/buf.h"

#define EVENT_BATCH_TYPE "application/vnd.microsoft.iothub.json"
#define EVENT_BATCH_MAX                                                                  \
	4096 /* messages: what one transaction takes in without a pause                  \
	      */

/* message_max: bytes of a body and its properties. ERR_PARSE; ERR_LIMIT for a message, a
 * batch or a list (out's cap) that is too large. Nothing was sent then: it is all of them
 * or none. */
must_check int event_batch_parse(
    struct span text, size_t message_max, struct buf *out, struct err *e);

#endif
