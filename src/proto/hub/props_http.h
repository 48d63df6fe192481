#ifndef PROTO_PROPS_HTTP_H
#define PROTO_PROPS_HTTP_H
/*
 * A message's properties from the headers of a request, or from a batch
 * (protocol/device.md 4.1): iothub-app-{name}, iothub-messageid and so on, in any case.
 * What comes out is the object of proto/hub/props.h, as the same message has it over
 * MQTT.
 */
#include "base/buf.h"

struct js;

struct props_http {
	struct js *sys_props, *app_props;
};
void props_http_init(struct props_http *p);
void props_http_done(struct props_http *p);
#define auto_props_http __attribute__((cleanup(props_http_done))) struct props_http
/* A header, or a member of a batch's "properties" (loose: what has no prefix of ours is
 * an application property there, and among headers nothing). value NULL: null. ERR_PARSE
 * where it is not UTF-8. */
must_check int props_http_add(struct props_http *p, const char *name,
    const struct span *value, bool loose, struct err *e);
/* Appends the object. ERR_LIMIT when it outgrows out. */
must_check int props_http_write(struct props_http *p, struct buf *out, struct err *e);

#endif
