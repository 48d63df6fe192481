#ifndef PROTO_DEVICE_CALL_H
#define PROTO_DEVICE_CALL_H
/*
 * A request of a device to the hub over HTTPS (protocol/device.md 4): whom its path names
 * and which hub it was sent to.
 */
#include "proto/http_call.h"

struct device_call {
	struct span host, device_id, module_id; /* module_id empty: the device itself */
};

/* The route's first parameter is the device; the second, where has_module, its module.
 * -1: the call was answered with an error (ends). */
must_check int device_call_take(
    struct http_call *c, bool has_module, struct device_call *ret);

#endif
