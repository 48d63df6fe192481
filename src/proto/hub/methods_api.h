#ifndef PROTO_METHODS_API_H
#define PROTO_METHODS_API_H
/*
 * A direct method as services write it (protocol/service.md 2.6).
 */
#include "base/buf.h"

struct ipc_method_call;
struct js;

/* methodName, payload and the time-outs of o into m, where those not given stay; payload
 * takes the JSON. */
must_check int methods_api_parse(
    const struct js *o, struct ipc_method_call *m, struct buf *payload, struct err *e);

#endif
