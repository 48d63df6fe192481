#ifndef PROTO_ARM_LINK_H
#define PROTO_ARM_LINK_H
/*
 * Linked hubs of a provisioning service as JSON (protocol/service.md 3.3): their
 * connection string goes in and never comes out.
 */
#include "codec/ipc_msg.h"

struct arena;
struct js;

/* properties.iotHubs of packed ipc_link. */
struct js *arm_link_json(struct span links, struct arena *a);
/* The same on its way in: packed in out, which is a secret. A link whose connection
 * string is masked, as it is shown, or missing, has no key then. ERR_PARSE. */
must_check int arm_link_pack(const struct js *hubs, struct buf *out, struct err *e);
/* "Hashed" of "hashed", and back; NULL: no policy that a service can have. */
const char *arm_link_allocation_shown(struct span name);
const char *arm_link_allocation(struct span shown);

#endif
