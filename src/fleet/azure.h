#ifndef FLEET_AZURE_H
#define FLEET_AZURE_H
/*
 * The service APIs of the hub, DPS, ARM and EST that a migration needs, as requests and
 * readers of answers (protocol/service.md, RFC 7030, and muster's two logs). Pure: rest.h
 * carries them. Requests live in the arena given.
 */
#include "fleet/rest.h"

struct js;

#define AZURE_API     "2021-04-12"
#define AZURE_DPS     "2021-10-01"
#define AZURE_ARM     "2023-06-30"
#define AZURE_ARM_DPS "2022-02-05"
#define AZURE_PAGE    1000

/* An answer that is not one of the 2xx as an error: the status decides the code, the text
 * is the server's own. 0 for 2xx. */
must_check int azure_check(
    const struct rest_response *r, const char *what, struct err *e);

/* PREFIX + ID, percent-encoded, + TAIL + "?api-version=...": the target of a request. */
const char *azure_path(struct arena *a, const char *prefix, const char *id,
    const char *tail, const char *version);
/* A document as the body of a request. */
struct span azure_body(struct arena *a, const struct js *v);

/* --- hub: identities and twins (2.2, 2.3, 2.5) --- */
void azure_device_get(struct arena *a, const char *id, struct rest_request *ret);
/* etag: as the identity has it; "*" any, NULL: it is to be made. */
void azure_device_put(struct arena *a, const char *id, const struct js *identity,
    const char *etag, struct rest_request *ret);
void azure_device_delete(struct arena *a, const char *id, struct rest_request *ret);
/* The page after continuation ("" = the first). */
void azure_device_query(
    struct arena *a, const char *continuation, struct rest_request *ret);
/* The same of modules. */
void azure_module_query(
    struct arena *a, const char *continuation, struct rest_request *ret);
/* Devices of one kind of authentication that bear a tag. */
void azure_tagged_query(struct arena *a, const char *tag, const char *value,
    const char *auth, const char *continuation, struct rest_request *ret);
void azure_twin_get(struct arena *a, const char *id, struct rest_request *ret);
/* Tags merged in; null deletes. */
void azure_twin_patch(
    struct arena *a, const char *id, const struct js *tags, struct rest_request *ret);

struct azure_device {
	const char *id, *module_id, *auth, *status,
	    *state; /* authenticationType, ..., connectionState */
};
/* A page of the query, in a. */
must_check int azure_device_page(struct span body, struct arena *a,
    struct azure_device **ret, size_t *ret_n, struct err *e);
/* authentication.type of an identity: "sas", "selfSigned", "certificateAuthority". */
const char *azure_auth_type(const struct js *identity);
/* What of an identity a PUT takes back: ID, status, capabilities, authentication. */
struct js *azure_identity_restore(const struct js *identity);

/* --- DPS: enrollment groups (1.4, 1.5) --- */
void azure_group_get(struct arena *a, const char *id, struct rest_request *ret);
void azure_group_put(
    struct arena *a, const char *id, const struct js *group, struct rest_request *ret);
void azure_group_attestation(struct arena *a, const char *id, struct rest_request *ret);
struct js *azure_group_x509(const char *id, const char *ca_pem);
struct js *azure_group_symmetric(
    const char *id, const char *primary, const char *secondary);

/* --- DPS: registrations (1.6) --- */
void azure_registration_delete(struct arena *a, const char *id, struct rest_request *ret);

/* --- EST (RFC 7030 4.1, 4.2) --- */
void azure_est_cacerts(struct arena *a, struct rest_request *ret);
/* csr_der is sent as base64 (RFC 8951). */
void azure_est_enroll(struct arena *a, struct span csr_der, struct rest_request *ret);

/* --- ARM: the hub's switches (3.1, 3.2) --- */
void azure_hub_get(struct arena *a, const char *resource, struct rest_request *ret);
/* With the ETag that hub has, where it has one. */
void azure_hub_put(struct arena *a, const char *resource, const struct js *hub,
    struct rest_request *ret);
/* The provisioning service (3.3). */
void azure_dps_get(struct arena *a, const char *resource, struct rest_request *ret);
void azure_hub_keys(struct arena *a, const char *resource, struct rest_request *ret);

/* --- muster's logs: NDJSON, the last line says "end" --- */
struct azure_log_filter {
	int64_t after_seq, since_ms, limit;
	const char *device_id, *thumb; /* NULL or "": any */
	const char *what, *auth, *plane;
};
void azure_events(
    struct arena *a, const struct azure_log_filter *f, struct rest_request *ret);
void azure_connections(
    struct arena *a, const struct azure_log_filter *f, struct rest_request *ret);

/* Of either log; what a row does not have is "" or 0. */
struct azure_row {
	int64_t seq, at_ms;
	const char *event, *plane, *device_id, *auth, *scope, *thumb, *reason, *proof;
	const char *module_id; /* "": the device itself */
	int64_t code;
};
struct azure_log_end {
	int64_t next;              /* afterSeq of what follows */
	int64_t complete_since_ms; /* of the connection log; INT64_MAX unknown */
	size_t rows;
};
/* ERR_CORRUPT where the stream was cut: without its last line nothing can be concluded
 * from what is missing. The row lives during the call; a non-zero return stops. */
must_check int azure_log_read(struct span body,
    int (*visit)(void *ctx, const struct azure_row *r, struct err *e), void *ctx,
    struct azure_log_end *ret, struct err *e);

#endif
