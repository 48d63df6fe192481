#ifndef PROTO_PROPS_H
#define PROTO_PROPS_H
/*
 * A message's properties, from the bag of a topic (protocol/device.md 3.8) or the headers
 * of a request (4.1), as one canonical JSON object:
 *	{"application":{"alert":"true"},"system":{"content-type":"application/json"}}
 * System properties carry the names of AMQP. What only the hub may say of a message
 * (who sent it, how it was authenticated, when it came) is left out when a device says
 * it.
 */
#include "base/buf.h"

/* What the hub adds by itself. */
struct props_marks {
	bool retain; /* mqtt-retain: the device asked for it (3.6) */
	bool dup;    /* mqtt-dup */
	bool will;   /* iothub-MessageType: Will */
};

/* bag: all behind messages/events/. ERR_LIMIT when the object outgrows out. */
must_check int props_from_bag(
    struct span bag, const struct props_marks *marks, struct buf *out, struct err *e);

/* The other way, for a message to a device: appends json's pairs to a topic, system ones
 * first, without those that are null or empty: C skips them, and Node makes "undefined"
 * of them (3.10). ERR_PARSE where it is no such object. */
must_check int props_to_bag(struct span json, struct buf *topic, struct err *e);

/* A name that only the hub may give a property. */
bool props_is_stamp(struct span key);

#endif
