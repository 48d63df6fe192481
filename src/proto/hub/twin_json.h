#ifndef PROTO_TWIN_JSON_H
#define PROTO_TWIN_JSON_H
/*
 * Twin documents on their way in: taken out of a request, checked against Azure's limits
 * (protocol/device.md 3.12), written anew. What reaches the core was written by us. And
 * on their way out to services, with the times of their properties.
 */
#include "base/buf.h"

struct ipc_device;
struct js;

#define TWIN_JSON_TAGS_MAX     (8 * 1024)
#define TWIN_JSON_DESIRED_MAX  (32 * 1024)
#define TWIN_JSON_REPORTED_MAX (32 * 1024)
#define TWIN_JSON_DEPTH        24 /* of the request around it */

/* The tags and properties.desired of o (which may be NULL); left empty where absent. What
 * services add to a section on its way out ($metadata, $version) is dropped. */
must_check int twin_json_parse(
    const struct js *o, struct buf *tags, struct buf *desired, struct err *e);
/* A device's report: a merge patch of its reported properties. */
must_check int twin_json_report(struct span text, struct buf *patch, struct err *e);

/* A section on its way out: doc with its $metadata (meta: as domain/hub/twin.h keeps it)
 * and $version. The caller owns it. */
struct js *twin_json_section(struct span doc, struct span meta, int64_t version);
/* The whole, as services see it. */
struct js *twin_json_whole(const struct ipc_device *m);

#endif
