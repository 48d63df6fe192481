#ifndef CODEC_IPC_MSG_H
#define CODEC_IPC_MSG_H
/*
 * Messages between our processes as structs, made from tbl/ipc.def and
 * tbl/ipc_fields.def: struct ipc_dps_register and so on. Packing and unpacking walk one
 * field table; spans of an unpacked message point into the body it was unpacked from.
 */
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "tbl/ipc_fields.def"

enum ipc_type {
#define IPC(NAME, name, from, to, right) IPC_##NAME,
#include "tbl/ipc.def"
#undef IPC
	IPC_N
};

/* Who may stand at an end of a link. */
enum ipc_role {
	IPC_ROLE_M = 1,
	IPC_ROLE_E = 2,
	IPC_ROLE_C = 4,
	IPC_ROLE_S = 8,
	IPC_ROLE_T = 16,
	IPC_ROLE_K = 32,
	IPC_ROLE_H = 64
};

enum right {
	RIGHT_NONE = 0,
#define RIGHT(NAME, text) RIGHT_BIT_##NAME,
	RIGHT_BITS_START_ = -1,
#include "tbl/right.def"
#undef RIGHT
#define RIGHT(NAME, text) RIGHT_##NAME = 1 << RIGHT_BIT_##NAME,
#include "tbl/right.def"
#undef RIGHT
};

/* How a peer proved who it is. NONE: neither token nor certificate; BASIC: a one-time
 * token for EST (RFC 7030 3.2.3); BEARER: a token that an operator signed in for. */
enum cred_kind { CRED_NONE, CRED_SAS, CRED_X509, CRED_BASIC, CRED_BEARER };
/* device.auth: as enum store_auth, for those who may not see the store. */
enum ipc_auth { IPC_AUTH_NONE, IPC_AUTH_SAS, IPC_AUTH_SELF_SIGNED, IPC_AUTH_CA };
/* c2d.ack: which outcomes the sender wants to hear of (protocol/device.md 3.8). */
enum ipc_ack { IPC_ACK_NONE, IPC_ACK_POSITIVE, IPC_ACK_NEGATIVE, IPC_ACK_FULL };
enum ipc_settle { IPC_SETTLE_COMPLETE, IPC_SETTLE_REJECT, IPC_SETTLE_ABANDON };
/* feedback.outcome, as service.md 2.8 has them. */
enum ipc_outcome {
	IPC_OUTCOME_SUCCESS,
	IPC_OUTCOME_EXPIRED,
	IPC_OUTCOME_EXHAUSTED,
	IPC_OUTCOME_REJECTED,
	IPC_OUTCOME_PURGED
};
/* enrollment.kind and .attestation: as enum store_enrollment_kind and store_attestation.
 */
enum ipc_enrollment_kind { IPC_KIND_GROUP, IPC_KIND_INDIVIDUAL };
enum ipc_attestation {
	IPC_ATTESTATION_X509 = 1,
	IPC_ATTESTATION_SYMMETRIC,
	IPC_ATTESTATION_TPM
};
/* enrollment_put.mode: whichever it takes; only where there is none; only where there is
 * one. */
enum ipc_enrollment_mode { IPC_MODE_PUT, IPC_MODE_CREATE, IPC_MODE_UPDATE };

/* registry_item.mode (service.md 2.4). */
enum ipc_import {
	IPC_IMPORT_CREATE,
	IPC_IMPORT_UPDATE,
	IPC_IMPORT_UPDATE_IF_MATCH,
	IPC_IMPORT_DELETE,
	IPC_IMPORT_DELETE_IF_MATCH,
	IPC_IMPORT_UPDATE_TWIN,
	IPC_IMPORT_UPDATE_TWIN_IF_MATCH,
	IPC_IMPORT_PUT,
	IPC_IMPORT_PUT_IF_MATCH,
	IPC_IMPORT_N
};

/* blob_write.kind: a block of identities, the list of blocks, a blob of text */
enum ipc_blob { IPC_BLOB_BLOCK, IPC_BLOB_COMMIT, IPC_BLOB_TEXT };
/* keys_regenerate.which */
enum ipc_keys { IPC_KEYS_PRIMARY, IPC_KEYS_SECONDARY, IPC_KEYS_BOTH };
/* job.kind and .status (service.md 2.7); the latter as enum store_job_status. */
enum ipc_job_kind { IPC_JOB_ANY, IPC_JOB_METHOD, IPC_JOB_TWIN };
enum ipc_job_status {
	IPC_JOB_SCHEDULED,
	IPC_JOB_QUEUED,
	IPC_JOB_RUNNING,
	IPC_JOB_COMPLETED,
	IPC_JOB_FAILED,
	IPC_JOB_CANCELLED,
	IPC_JOB_STATUS_N
};

#define IPC_TYPE_U8                     uint8_t
#define IPC_TYPE_U32                    uint32_t
#define IPC_TYPE_I64                    int64_t
#define IPC_TYPE_STR                    struct span
#define IPC_TYPE_BLOB                   struct span
#define IPC_TYPE_NEST_peer              struct ipc_peer
#define IPC_TYPE_NEST_cred              struct ipc_cred
#define IPC_TYPE_NEST_c2d               struct ipc_c2d
#define IPC_MEMBER_(S, KIND, name, cap) IPC_TYPE_##KIND name;

struct ipc_peer {
	IPC_FIELDS_peer(IPC_MEMBER_, )
};
struct ipc_cred {
	IPC_FIELDS_cred(IPC_MEMBER_, )
};
#define IPC(NAME, name, from, to, right)                                                 \
	struct ipc_##name {                                                              \
		IPC_FIELDS_##name(IPC_MEMBER_, )                                         \
	};
#include "tbl/ipc.def"
#undef IPC

/* The longest body a message can have: its caps added up. */
#define IPC_BODY_MAX (5 * 1024 * 1024)

struct ipc_row {
	const char *name;
	uint8_t from, to; /* bits of enum ipc_role */
	uint32_t right;   /* bits of enum right */
	size_t size;      /* of the struct */
};

/* NULL for a number that is no message. */
const struct ipc_row *ipc_msg_row(unsigned type);
/* True where a role may send this message to the other. */
bool ipc_msg_allowed(unsigned type, enum ipc_role from, enum ipc_role to);

/* Appends the body of msg, a struct of that type. A field over its cap is ERR_LIMIT
 * naming it: a bug or an unchecked input of the sender. */
must_check int ipc_msg_pack(
    enum ipc_type type, const void *msg, struct buf *out, struct err *e);
/* Fills *msg (of the row's size) from a body. ERR_PARSE names the field. */
must_check int ipc_msg_unpack(
    enum ipc_type type, struct span body, void *msg, struct err *e);

#endif
