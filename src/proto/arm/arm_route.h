#ifndef PROTO_ARM_ROUTE_H
#define PROTO_ARM_ROUTE_H
/*
 * Message routing of a hub as JSON (protocol/service.md 3.2). The one endpoint there is
 * is the built-in "events", the one source DeviceMessages, and a condition is "true" or
 * "false"; a route that asks for more is refused by name, so that no message is taken for
 * somebody whom it does not reach.
 */
#include "proto/http_call.h"

struct js;

/* properties.routing. routes: a JSON array. */
struct js *arm_route_json(struct span routes, bool fallback);
/* The body's; what is not in it stays as it is. ERR_PARSE, ERR_UNSUPPORTED. */
must_check int arm_route_take(const struct http_call *c, const struct js *properties,
    struct ipc_hub_put *m, struct err *e);

#endif
