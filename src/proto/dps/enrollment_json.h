#ifndef PROTO_ENROLLMENT_JSON_H
#define PROTO_ENROLLMENT_JSON_H
/*
 * Enrollments as the service API shows them (protocol/service.md 1.4, 1.5).
 */
#include "codec/ipc_msg.h"

struct js;

/* A group or an individual enrollment, without keys. state: of its registration, as
 * text; empty = none. */
struct js *enrollment_json(const struct ipc_enrollment *m, struct span state);
/* Its attestation with its keys (1.2). */
struct js *enrollment_json_keys(const struct ipc_enrollment *m);

#endif
