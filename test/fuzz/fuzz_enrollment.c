/*
 * Enrollments as services send them: what is taken has an ID, an attestation that is
 * complete, and fits its message.
 */
#include "fuzz.h"

#include "codec/id.h"
#include "codec/js.h"
#include "proto/dps/enrollment_body.h"

static void
is_complete(const struct ipc_enrollment_put *m)
{
	assert(id_is_registration(m->id));
	assert(!m->device_id.len || id_is_device(m->device_id));
	switch (m->attestation) {
	case IPC_ATTESTATION_X509:
		assert(m->primary_cert.len || m->keep_primary || m->primary_ca.len);
		return;
	case IPC_ATTESTATION_TPM:
		assert(m->kind == IPC_KIND_INDIVIDUAL && m->endorsement_key.len);
		return;
	default:
		assert(m->attestation == IPC_ATTESTATION_SYMMETRIC);
	}
}

static void
try_as(const struct js *o, uint8_t kind)
{
	auto_enrollment_body r;
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	struct ipc_enrollment_put m = {.kind = kind};
	enrollment_body_init(&r);
	if (enrollment_body_parse(o, &r, &m, NULL))
		return;
	is_complete(&m);
	/* what is longer than a message may have is refused by name, nothing else */
	struct err e = {0};
	assert(
	    ipc_msg_pack(IPC_ENROLLMENT_PUT, &m, &body, &e) == 0 || e.code == ERR_LIMIT);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(js_free) struct js *o =
	    js_parse(span_of(data, len), 64 * 1024, ENROLLMENT_BODY_DEPTH, NULL);
	if (!js_is(o, JS_OBJECT))
		return 0;
	try_as(o, IPC_KIND_GROUP);
	try_as(o, IPC_KIND_INDIVIDUAL);
	return 0;
}
