#ifndef PROTO_DPS_JSON_H
#define PROTO_DPS_JSON_H
/*
 * What devices say and hear of a registration, in JSON, the same over every transport:
 * the body of a register (protocol/device.md 1.5, 1.11) and its state (1.10), which the
 * service API shows too (protocol/service.md 1.6).
 */
#include "codec/ipc_msg.h"
#include "crypto/csr.h"
#include "proto/wire_error.h"

struct js;

#define DPS_JSON_BODY_MAX (96 * 1024) /* protocol/device.md 1.5 */

/* What was found in a register's body. */
struct dps_json_body {
	struct buf payload; /* the custom payload, re-serialised; empty: none */
	struct buf endorsement_key, storage_root_key; /* TPM2B_PUBLIC, checked */
	struct csr csr; /* has_csr: a certificate is asked for */
	bool has_csr;
	bool bad_csr; /* what is wrong is its CSR */
};
void dps_json_body_done(struct dps_json_body *b);
#define auto_dps_json_body                                                               \
	__attribute__((cleanup(dps_json_body_done))) struct dps_json_body

/* text: may be empty (.NET sends none), else an object. A registrationId in it must be
 * registration_id, in any case. Members of other versions are ignored, a CSR too unless
 * csr says that one is looked for (dps.issue). *ret is to be zero, and freed whatever
 * comes. */
must_check int dps_json_parse(struct span text, struct span registration_id, bool csr,
    struct dps_json_body *ret, struct err *e);
/* What the device is told where that failed. */
struct wire_error dps_json_error(const struct dps_json_body *b, const struct err *e);
/* Puts what was found into the message. */
void dps_json_fill(const struct dps_json_body *b, struct ipc_dps_register *m);

/* A TPM's key (TPM2B_PUBLIC) out of Base64 (1.13), checked to be one that is served. */
must_check int dps_json_tpm_key(struct span text, struct buf *out, struct err *e);

/* {"operationId", "status", "registrationState"}; and the HTTP status that goes with it:
 * 202 while assigning, else 200. */
void dps_json_operation(const struct ipc_dps_state *m, struct buf *out);
int dps_json_status(const struct ipc_dps_state *m);
/* What a TPM must open before it may register: the body of a 401 (1.13). */
void dps_json_challenge(const struct ipc_dps_state *m, struct buf *out);
/* The bare registration state. */
struct js *dps_json_state(const struct ipc_dps_state *m);

#endif
