#ifndef PROTO_IDENTITY_H
#define PROTO_IDENTITY_H
/*
 * What the service's requests about devices and modules share: "authentication" both
 * ways, and the answer that is one row (protocol/service.md 2.3).
 */
#include "proto/http_call.h"

struct js;

/* "sas", "selfSigned" ...; auth: enum ipc_auth. */
const char *identity_auth_name(uint8_t auth);
/* The members that identities and twins share. */
void identity_put_common(struct js *o, const struct ipc_device *m);
/* The member "authentication". */
struct js *identity_auth(const struct ipc_device *m);
/* The member "authentication" of a request's body o into m. room takes the keys and,
 * as a, outlives m. */
must_check int identity_parse_auth(struct arena *a, const struct js *o,
    struct buf room[2], struct ipc_device_put *m, struct err *e);

/* And status, statusReason, capabilities: all that a device's identity carries. */
must_check int identity_parse_device(struct arena *a, const struct js *o,
    struct buf room[2], struct ipc_device_put *m, struct err *e);

/* The path's IDs as they are looked up: any text that fits a message. */
must_check int identity_check_ids(const struct http_call *c, struct err *e);
/* Of what has an ID as identities do: whether the path's is a text that fits a message.
 * One that does not names nothing: the call is answered not_found (tbl/wire_error.def).
 */
must_check bool identity_has_id(struct http_call *c, uint32_t not_found);

/* An answer that is one row and its DONE: make's JSON with the identity's etag. */
void identity_answer(struct http_call *c, enum ipc_type type, const void *msg,
    struct js *(*make)(const struct ipc_device *m));
/* Its parts: the ETag header; v (taken) as the answer's body; the end. */
void identity_etag(struct http_call *c, int64_t etag);
void identity_gather(struct http_call *c, struct js *v);
void identity_done(struct http_call *c, const struct ipc_done *d);
/* The DONE of a DELETE. */
void identity_gone(struct http_call *c, enum ipc_type type, const void *msg);

#endif
