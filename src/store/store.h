#ifndef STORE_STORE_H
#define STORE_STORE_H
/*
 * The core's memory: devices, registrations, events, the connection log, hub
 * properties, certificates. Typed verbs over one database; callers never see SQL.
 *
 * Contract of time: every verb is synchronous. Writes happen inside a transaction that
 * the core opens at the start of a loop turn (store_begin) and ends at its close
 * (store_commit); nothing written is durable, and nothing may be acknowledged, before
 * store_commit returned 0. A write outside a transaction is refused. A write that answers
 * NOT_FOUND or EXISTS changed nothing and the turn goes on; after any other failed write
 * or commit the transaction is gone: every write and the commit answer that first error
 * until store_rollback, and nothing of that turn may be acknowledged. After a failed sync
 * store_begin fails for ever: end the process, a new one reads what the disk really has.
 *
 * Contract of memory: rows read are copied into the caller's arena. Text fields are
 * terminated; "" stands for NULL. Times are milliseconds since 1970, 0 = never.
 *
 * Errors: NOT_FOUND and EXISTS where said; FULL when the disk is; BUSY when another
 * process holds the database; CORRUPT; UNSUPPORTED for a schema newer than this program;
 * else IO.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/own.h"
#include "base/span.h"

struct store;

/* Opens (creates, migrates: schema/NNNN-*.sql in order, one transaction each) the
 * database file, mode 0600, WAL, synchronous=FULL (read back and checked),
 * locking_mode=EXCLUSIVE, so that after store_open returned, no further file is ever
 * opened (the jail forbids it). */
must_check struct store *store_open(const char *path, struct err *e);
void store_close(struct store *s);
own_define(struct store, store_close);

must_check int store_begin(struct store *s, struct err *e);
must_check int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s);
bool store_in_transaction(const struct store *s);
/* PRAGMA integrity_check and the schema version; ERR_CORRUPT with what was found. */
must_check int store_verify(struct store *s, struct err *e);
/* WAL checkpoint without waiting for readers; called in idle moments. */
must_check int store_checkpoint(struct store *s, struct err *e);

/* ---- devices (service.md 2.3) ---- */

/* A module is an identity like a device, named "device/module" (store/module.h): what is
 * said by ID works on both. Walks and counts of devices leave modules out. */

enum store_auth {
	STORE_AUTH_NONE,
	STORE_AUTH_SAS,
	STORE_AUTH_SELF_SIGNED,
	STORE_AUTH_CA
};

struct store_device {
	const char *id;         /* case-sensitive, primary key; a device's has no '/' */
	const char *generation; /* changes only when deleted and made anew */
	int64_t etag;           /* counts up with each identity change */
	bool enabled;
	const char *status_reason;
	enum store_auth auth; /* the identity's type */
	bool sas_window; /* X.509 identity that may still use its SAS keys (native) */
	struct span primary_key, secondary_key; /* raw bytes, 16..64, empty = none */
	const char *primary_thumb,
	    *secondary_thumb; /* lower-case hex, SHA-1 or SHA-256 */
	bool iot_edge;
	int64_t created_ms, status_updated_ms, conn_updated_ms, last_activity_ms;
	bool connected;
	const char *group_id;   /* enrollment group that made it, "" = by hand */
	uint32_t subs;          /* of its session, codec/topic.h; 0 = none is kept */
	const char *managed_by; /* of a module: who looks after it, "" = nobody said */
	struct span tags, desired, reported; /* JSON objects */
	int64_t desired_version, reported_version, twin_etag;
	const char *hub; /* that serves it; "" = any does (domain/hub/hubs.h) */
	struct span desired_meta, reported_meta; /* JSON objects, domain/hub/twin.h */
};

must_check int store_device_get(struct store *s, const char *id, struct arena *a,
    struct store_device *ret, struct err *e);
/* Inserts; EXISTS when the ID is taken. A module's device must be there: without it the
 * schema refuses the row, which spoils the transaction. */
must_check int store_device_add(
    struct store *s, const struct store_device *d, struct err *e);
/* Rewrites all columns of d->id; NOT_FOUND. */
must_check int store_device_put(
    struct store *s, const struct store_device *d, struct err *e);
/* A device's modules go with it. */
must_check int store_device_del(struct store *s, const char *id, struct err *e);
/* Connection columns only (no etag change). */
must_check int store_device_seen(
    struct store *s, const char *id, bool connected, int64_t at_ms, struct err *e);
/* Rewrites the twin (tags to reported_meta) of d->id, which was read in this turn. */
must_check int store_twin_put(
    struct store *s, const struct store_device *d, struct err *e);
/* What its session is subscribed to, alone; NOT_FOUND. */
must_check int store_device_subs(
    struct store *s, const char *id, uint32_t subs, struct err *e);
/* lastActivityTime alone: of a device that comes without a connection. */
must_check int store_device_active(
    struct store *s, const char *id, int64_t at_ms, struct err *e);
/* Visits the numbers (store/query.h) of the identities, modules too, that are connected.
 */
must_check int store_device_connected(struct store *s,
    int (*visit)(void *ctx, int64_t n, struct err *e), void *ctx, struct err *e);
/* The identity of a number, if there still is one, is not connected. */
must_check int store_device_gone(
    struct store *s, int64_t n, int64_t at_ms, struct err *e);

/* Visits rows in ascending ID order after "after" ("" = from the first), at most limit.
 * The row is valid during the call; a non-zero return stops and is handed on. */
must_check int store_device_each(struct store *s, const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e);

/* ---- registrations (service.md 1.6); enrollments are in store/enrollment.h ---- */

struct store_registration {
	const char *id;       /* registration ID, compared without case */
	const char *group_id; /* "" where an individual enrollment decided */
	const char *device_id, *hub;
	const char *status,
	    *substatus; /* as on the wire: assigning, assigned, failed, disabled */
	const char *operation_id;
	int error_code;
	const char *error_text;
	const char *attestation; /* "x509", "symmetricKey" or "tpm" */
	const char *thumb;       /* SHA-256 of the leaf, lower-case hex; "" for keys */
	int64_t etag, created_ms, updated_ms;
	int64_t
	    ready_ms; /* azure profile: when a poll may answer "assigned"; 0 = at once */
	struct span payload; /* JSON for the device; empty = none */
	const char *hubs;    /* assigned to before, joined by a space */
	int64_t deadline_ms; /* "assigning": when it has failed; 0 = it does not wait */
	const char *cert;    /* SHA-256 of the certificate issued with it, "" = none */
	const char
	    *csr_key; /* of the key that it asked one for, "" = it asked for none */
};

must_check int store_registration_get(struct store *s, const char *id, struct arena *a,
    struct store_registration *ret, struct err *e);
/* Inserts or rewrites. */
must_check int store_registration_put(
    struct store *s, const struct store_registration *r, struct err *e);
must_check int store_registration_del(struct store *s, const char *id, struct err *e);
/* group_id "" = of every group. */
must_check int store_registration_each(struct store *s, const char *group_id,
    const char *after, int64_t limit,
    int (*visit)(void *ctx, const struct store_registration *r, struct err *e), void *ctx,
    struct err *e);

/* ---- events (telemetry) and the connection log ---- */

struct store_event {
	int64_t seq; /* ascending, never reused, also not after a restart */
	int64_t enqueued_ms;
	const char *device_id, *generation;
	const char *module_id; /* "": the device itself */
	const char *auth;      /* "sas" or "x509" */
	const char *thumb;     /* SHA-256 of the leaf that sent it, "" for SAS */
	struct span props;     /* JSON object of system and application properties */
	struct span body;
};

/* seq of e is ignored; *ret_seq is the one given. */
must_check int store_event_add(
    struct store *s, const struct store_event *ev, int64_t *ret_seq, struct err *e);

/* Filters are joined by AND; a device's rows include those of its modules. In all of this
 * header a negative limit means none. */
struct store_event_filter {
	int64_t after_seq;
	const char *device_id; /* "" = any */
	const char *thumb;     /* "" = any */
	int64_t since_ms;
	int64_t limit;
	int64_t to_seq; /* 0 = to the end; where device_id is given it has no meaning */
};
/* Sets after_seq and to_seq of f so that it walks so many of what it would walk;
 * *ret_more: there is more behind to_seq. A filter with a device_id stays as it is: its
 * index has no others. */
must_check int store_event_bound(struct store *s, struct store_event_filter *f,
    int64_t events, bool *ret_more, struct err *e);
must_check int store_event_each(struct store *s, const struct store_event_filter *f,
    int (*visit)(void *ctx, const struct store_event *ev, struct err *e), void *ctx,
    struct err *e);
/* The first and the last that are kept, and when the last came; *ret_first is *ret_last +
 * 1 and *ret_last_ms 0 where there are none. */
must_check int store_event_bounds(struct store *s, int64_t *ret_first, int64_t *ret_last,
    int64_t *ret_last_ms, struct err *e);
/* Drops events older than before_ms, then the oldest until bodies and properties take at
 * most max_bytes; at most batch rows a call, so that a turn stays short. *ret_dropped
 * says how many went. */
must_check int store_event_trim(struct store *s, int64_t before_ms, int64_t max_bytes,
    int64_t batch, int64_t *ret_dropped, struct err *e);

struct store_conn {
	int64_t seq, at_ms;
	const char *what;  /* "connect", "disconnect", "refused" */
	const char *plane; /* "dps", "hub", "service" */
	const char *device_id;
	const char *module_id; /* "": the device itself */
	const char *auth;      /* "sas", "x509", "none" */
	const char *scope;     /* "device", "hub" (a policy), "operator", "" */
	const char *thumb;     /* SHA-256 of the leaf presented, "" */
	int code;              /* as on the wire: CONNACK code, or HTTP/DPS code */
	const char *reason;    /* for the operator; never sent to a peer */
	const char *peer;      /* address */
	const char *agent;     /* client agent string */
	const char *proto; /* "mqtt", "mqtt-ws", "https"; "" or NULL: no connection's */
};

must_check int store_conn_add(struct store *s, const struct store_conn *c, struct err *e);

/* The same as of events. */
struct store_conn_filter {
	int64_t after_seq, to_seq, since_ms, limit;
	const char *device_id, *what, *auth, *plane; /* "" = any */
};
must_check int store_conn_bound(struct store *s, struct store_conn_filter *f,
    int64_t lines, bool *ret_more, struct err *e);
must_check int store_conn_each(struct store *s, const struct store_conn_filter *f,
    int (*visit)(void *ctx, const struct store_conn *c, struct err *e), void *ctx,
    struct err *e);
/* Drops lines older than before_ms, then the oldest until max_rows are left; at most
 * batch lines a call. */
must_check int store_conn_trim(struct store *s, int64_t before_ms, int64_t max_rows,
    int64_t batch, int64_t *ret_dropped, struct err *e);
/* Since when the connection log is complete: the later of the store's creation (the value
 * "created_ms", which whoever makes the database puts; NOT_FOUND without it) and the
 * millisecond after the youngest entry that retention dropped. "No SAS in 24 h" fails
 * closed on it. */
must_check int store_conn_complete_since(struct store *s, int64_t *ret_ms, struct err *e);

/* ---- the hub's properties and policies (service.md 3.2) ---- */

struct store_hub {
	bool disable_local_auth, disable_device_sas, disable_module_sas;
	int64_t etag;
};
must_check int store_hub_get(struct store *s, struct store_hub *ret, struct err *e);
must_check int store_hub_put(struct store *s, const struct store_hub *h, struct err *e);

struct store_policy {
	const char *name;
	const char *plane;                      /* "hub" or "dps" */
	struct span primary_key, secondary_key; /* raw bytes */
	uint32_t rights; /* bits of enum in domain/access/policy.h */
};
must_check int store_policy_get(struct store *s, const char *plane, const char *name,
    struct arena *a, struct store_policy *ret, struct err *e);
must_check int store_policy_put(
    struct store *s, const struct store_policy *p, struct err *e);
must_check int store_policy_del(
    struct store *s, const char *plane, const char *name, struct err *e);
must_check int store_policy_each(struct store *s, const char *plane,
    int (*visit)(void *ctx, const struct store_policy *p, struct err *e), void *ctx,
    struct err *e);

/* ---- certificates issued, and operators ---- */

struct store_cert {
	const char *serial; /* lower-case hex */
	const char *issuer; /* SHA-256 of the issuer's certificate */
	const char *profile, *subject, *requester;
	const char *sha256;
	int64_t not_before_ms, not_after_ms, issued_ms;
	struct span der;
	const char *key_sha256; /* of the SPKI; "" in rows of an older version */
	int64_t crl_shard;      /* of its distribution point, -1 = it has none */
	int64_t revoked_ms;     /* 0 = not revoked */
	int reason;             /* RFC 5280 5.3.1 */
	int64_t superseded_ms;  /* since when its device uses a newer one */
	int64_t n;              /* counts up; given by the store */
};
/* EXISTS when (issuer, serial) was there already: a bug or a restored clone, never
 * ignored. */
must_check int store_cert_add(struct store *s, const struct store_cert *c, struct err *e);
must_check int store_cert_by_sha256(struct store *s, const char *sha256, struct arena *a,
    struct store_cert *ret, struct err *e);
/* Those of that subject, youngest first. */
must_check int store_cert_each(struct store *s, const char *subject, int64_t limit,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e);

struct store_operator {
	const char *sha256; /* of the certificate, primary key */
	const char *name;
	int64_t added_ms, not_after_ms;
	bool enabled;
};
must_check int store_operator_get(struct store *s, const char *sha256, struct arena *a,
    struct store_operator *ret, struct err *e);
must_check int store_operator_put(
    struct store *s, const struct store_operator *o, struct err *e);

/* ---- small named values (ID scope, created_ms, ...) ---- */
must_check int store_meta_get(
    struct store *s, const char *key, struct arena *a, const char **ret, struct err *e);
must_check int store_meta_put(
    struct store *s, const char *key, const char *value, struct err *e);

#endif
