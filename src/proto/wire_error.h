#ifndef PROTO_WIRE_ERROR_H
#define PROTO_WIRE_ERROR_H
/*
 * From the core's answer to what a peer may see of a failure: HTTP status, number, fixed
 * words. Reasons for operators are no part of it.
 */
#include "codec/ipc_msg.h"

struct wire_error {
	int status;        /* HTTP */
	uint32_t number;   /* 401002 */
	const char *name;  /* "IotHubUnauthorizedAccess" */
	const char *words; /* static */
};

enum wire_plane { WIRE_HUB, WIRE_DPS };

/* A number by itself; its status is its first three digits. */
struct wire_error wire_error_of(uint32_t number);
/* Of a failed IPC_DONE: status by its code's row of tbl/err.def, number as the core gave
 * it, or the plane's usual one for that status. */
struct wire_error wire_error_of_done(const struct ipc_done *d, enum wire_plane plane);
/* Of an error of the edge's own. */
struct wire_error wire_error_of_code(enum err_code code, enum wire_plane plane);

/* The request-level body of DPS (protocol/device.md 1.10), complete JSON. detail, "" for
 * none: text for a proven operator, put in front of nothing else. */
void wire_error_dps_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out);
/* The hub's shape A (protocol/service.md 2.9). */
void wire_error_hub_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out);
/* Its shape B, which calls of methods are answered in: the number, as JSON in JSON. A
 * device that is not there is told in shape A: Node knows it by its name alone (T18). */
void wire_error_method_body(
    const struct wire_error *w, const char *detail, int64_t now_ms, struct buf *out);
/* The resource manager's. */
void wire_error_arm_body(const struct wire_error *w, const char *detail, struct buf *out);
/* A token endpoint's (RFC 6749 5.2). */
void wire_error_oauth_body(
    const struct wire_error *w, const char *detail, struct buf *out);

#endif
