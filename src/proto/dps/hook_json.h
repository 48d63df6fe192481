#ifndef PROTO_HOOK_JSON_H
#define PROTO_HOOK_JSON_H
/*
 * What is asked of a custom allocation's webhook, and what it answers
 * (protocol/device.md 2.6).
 */
#include "codec/ipc_msg.h"

/* Whether a webhook may have that URL: https, or http to this machine. Else every
 * registration would cross the network in the clear. */
bool hook_json_url(struct span url);

#define HOOK_JSON_REQUEST_MAX (1024 * 1024)

/* The body of the POST. ERR_PARSE where the enrollment in m is none. */
must_check int hook_json_request(
    const struct ipc_hook_call *m, struct buf *out, struct err *e);

/* What an answer's spans point into. */
struct hook_json_room {
	struct js *v;
	struct buf tags, desired, payload;
};
#define HOOK_JSON_ROOM                                                                   \
	((struct hook_json_room){.tags = BUF_INIT(CAP_JSON),                             \
	    .desired = BUF_INIT(CAP_JSON),                                               \
	    .payload = BUF_INIT(CAP_JSON)})
void hook_json_room_done(struct hook_json_room *r);

/* {"iotHubHostName", "initialTwin"?, "payload"?}; other members are let be. ERR_PARSE,
 * ERR_LIMIT: naming what is wrong. A payload is an object or null, as no more is told to
 * devices (protocol/device.md 7, row 24). */
must_check int hook_json_answer(struct span body, struct hook_json_room *r,
    struct ipc_hook_answer *ret, struct err *e);

#endif
