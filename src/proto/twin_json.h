#ifndef PROTO_TWIN_JSON_H
#define PROTO_TWIN_JSON_H
/*
 * Twin documents on their way in: taken out of a request, checked against Azure's limits
 * (protocol/device.md 3.12), written anew. What reaches the core was written by us.
 */
#include "base/buf.h"

struct js;

#define TWIN_JSON_TAGS_MAX    (8 * 1024)
#define TWIN_JSON_DESIRED_MAX (32 * 1024)
#define TWIN_JSON_DEPTH       24 /* of the request around it */

/* The tags and properties.desired of o (which may be NULL); left empty where absent. What
 * services add to a section on its way out ($metadata, $version) is dropped. */
must_check int twin_json_parse(
    const struct js *o, struct buf *tags, struct buf *desired, struct err *e);

#endif
