#ifndef PROTO_ENROLLMENT_BODY_H
#define PROTO_ENROLLMENT_BODY_H
/*
 * Enrollments on their way in (protocol/service.md 1.4, 1.5): taken out of a request's
 * JSON, checked, written anew. What reaches the core was written by us.
 */
#include "base/buf.h"
#include "codec/ipc_msg.h"

struct js;

#define ENROLLMENT_BODY_DEPTH 24

/* What a parsed message points into. */
struct enrollment_body {
	struct buf attestation[2], hubs, info, tags, desired;
};
void enrollment_body_init(struct enrollment_body *r);
void enrollment_body_done(struct enrollment_body *r);
#define auto_enrollment_body                                                             \
	__attribute__((cleanup(enrollment_body_done))) struct enrollment_body

/* "enrollmentGroupId" or "registrationId". */
const char *enrollment_body_id_member(uint8_t kind);
/* Fills m, whose kind and id are set (m->id empty: the member's). The message borrows
 * from o, r and itself. ERR_PARSE, ERR_UNSUPPORTED, ERR_LIMIT, naming the member. */
must_check int enrollment_body_parse(const struct js *o, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e);

#endif
