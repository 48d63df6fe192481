#ifndef STORE_ENROLLMENT_H
#define STORE_ENROLLMENT_H
/*
 * Who may register with DPS (protocol/service.md 1.4, 1.5): enrollment groups and
 * individual enrollments, one struct for both, and the CA certificates of the service,
 * which groups may name, and of hubs (3.5). Contracts of time, memory and errors are
 * those of store/store.h.
 */
#include "store/store.h"

enum store_enrollment_kind { STORE_GROUP, STORE_INDIVIDUAL };
enum store_attestation { STORE_ATT_X509 = 1, STORE_ATT_SYMMETRIC, STORE_ATT_TPM };

struct store_enrollment {
	enum store_enrollment_kind kind;
	const char *id; /* of the group, or the registration ID; compared without case,
			   stored as first spelled */
	int64_t etag;
	enum store_attestation attestation;
	struct span primary_cert, secondary_cert; /* DER: a group's CAs, or leaves */
	const char *primary_cert_sha256, *secondary_cert_sha256; /* lower-case hex */
	const char *primary_ca, *secondary_ca; /* instead of those: names of store_ca_cert
						*/
	struct span primary_key, secondary_key;        /* raw bytes, symmetric */
	struct span endorsement_key, storage_root_key; /* TPM2B_PUBLIC; individuals */
	const char *device_id;                         /* individuals; "" = the CN */
	struct span info; /* individuals: optionalDeviceInformation, a JSON object */
	bool enabled, iot_edge;
	const char *allocation;    /* "hashed", "geoLatency", "static", "custom" */
	const char *hubs;          /* host names joined by a space; "" = all */
	struct span tags, desired; /* initial twin, JSON objects */
	bool update_hub, migrate_data;
	int64_t created_ms, updated_ms;
	bool reprovision_unset;                /* it says nothing of re-provisioning */
	const char *webhook_url, *webhook_api; /* of "custom" */
};

must_check int store_enrollment_get(struct store *s, enum store_enrollment_kind kind,
    const char *id, struct arena *a, struct store_enrollment *ret, struct err *e);
/* Inserts; EXISTS when that kind has the ID. */
must_check int store_enrollment_add(
    struct store *s, const struct store_enrollment *n, struct err *e);
/* Rewrites; NOT_FOUND. */
must_check int store_enrollment_put(
    struct store *s, const struct store_enrollment *n, struct err *e);
must_check int store_enrollment_del(
    struct store *s, enum store_enrollment_kind kind, const char *id, struct err *e);
/* How many there are of one kind, without looking at them. */
must_check int store_enrollment_count(
    struct store *s, enum store_enrollment_kind kind, int64_t *ret, struct err *e);
/* Of one kind, in the order of store_device_each. */
must_check int store_enrollment_each(struct store *s, enum store_enrollment_kind kind,
    const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_enrollment *n, struct err *e), void *ctx,
    struct err *e);
/* The one that holds the certificate with this SHA-256 (lower-case hex); NOT_FOUND. */
must_check int store_enrollment_by_cert(struct store *s, enum store_enrollment_kind kind,
    const char *sha256, struct arena *a, struct store_enrollment *ret, struct err *e);
/* The group that names this store_ca_cert; NOT_FOUND. */
must_check int store_enrollment_by_ca(struct store *s, const char *name, struct arena *a,
    struct store_enrollment *ret, struct err *e);

struct store_ca_cert {
	const char *owner;  /* a hub's host name; "" = the provisioning service */
	const char *name;   /* compared without case */
	const char *sha256; /* lower-case hex; no two names have one certificate */
	struct span der;
	bool verified;
	const char *code; /* verification code, "" = none was asked for */
	int64_t etag, created_ms, updated_ms;
};

must_check int store_ca_cert_get(struct store *s, const char *owner, const char *name,
    struct arena *a, struct store_ca_cert *ret, struct err *e);
must_check int store_ca_cert_by_sha256(struct store *s, const char *owner,
    const char *sha256, struct arena *a, struct store_ca_cert *ret, struct err *e);
/* Inserts; EXISTS when its owner has the name or the certificate. */
must_check int store_ca_cert_add(
    struct store *s, const struct store_ca_cert *c, struct err *e);
/* Rewrites all of c->name; NOT_FOUND; EXISTS when another name has the certificate. */
must_check int store_ca_cert_put(
    struct store *s, const struct store_ca_cert *c, struct err *e);
must_check int store_ca_cert_del(
    struct store *s, const char *owner, const char *name, struct err *e);
/* Those of one owner. */
must_check int store_ca_cert_each(struct store *s, const char *owner,
    int (*visit)(void *ctx, const struct store_ca_cert *c, struct err *e), void *ctx,
    struct err *e);

#endif
