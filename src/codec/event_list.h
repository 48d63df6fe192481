#ifndef CODEC_EVENT_LIST_H
#define CODEC_EVENT_LIST_H
/*
 * Telemetry messages one behind the other, as an edge hands them to the core in one
 * message: length and text of the properties, length and bytes of the body, big endian.
 */
#include "base/buf.h"

/* Properties are a JSON object (proto/hub/props.h). */
void event_list_put(struct buf *out, struct span props, struct span body);
/* The next of *rest, which moves on: 1, 0 at the end, -1 with ERR_PARSE. What is returned
 * points into the list. */
must_check int event_list_next(
    struct span *rest, struct span *ret_props, struct span *ret_body, struct err *e);

#endif
