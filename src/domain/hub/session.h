#ifndef DOMAIN_SESSION_H
#define DOMAIN_SESSION_H
/*
 * Connections to the hub: who may open one (protocol/device.md 3.1 to 3.5), and the table
 * of those that are open, one an identity. The table lives in the core's memory; a core
 * that restarts starts with none, and edges close theirs.
 */
#include "base/map.h"
#include "domain/domain.h"

#define SESSION_CAS  8                /* CHAIN_DEPTH_MAX */
#define SESSION_NAME (2 * CAP_ID + 2) /* the longest name, with its NUL */

/* Its texts end with a NUL, are "" where there is none, and lie elsewhere: behind it for
 * one in the table, which is there a million times. */
struct session {
	int64_t id;
	const char *name; /* the identity's: "dev", or "dev/mod" of a module */
	const char *device_id;
	const char *module_id; /* "": the device itself */
	const char *generation;
	const char *policy;             /* by_policy: its name */
	const char *thumb, *thumb_sha1; /* of the leaf; "" for SAS */
	const char *issuer, *serial;    /* its name (domain/pki/revoke.h); "" for SAS */
	const uint8_t (*ca)[32];        /* the CAs above it, its issuer first */
	const char *address, *address_before; /* for domain/hub/clone.h */
	unsigned edge;                        /* which link it came over */
	uint8_t n_ca;
	bool by_key;      /* SAS with the device's own key */
	bool by_policy;   /* SAS with a hub policy's key */
	bool by_chain;    /* X.509 under a trusted CA, the CN being the device's ID */
	bool by_hub_ca;   /* and that CA is one of the hub's own certificates */
	uint8_t key[32];  /* by_key: SHA-256 of the key that signed */
	int64_t moved_ms; /* when the address was another before; 0: never */
	int64_t opened_ms;
	const char *hub; /* that it is a connection to: the configuration's name */
	uint32_t subs;   /* codec/topic.h: topic_subs_qos; session_judge: as it is kept */
	bool superseded; /* by a newer one of the device; its edge has yet to close it */
	uint64_t yields; /* the turn that granted a newer one, superseded at its end */
	UT_hash_handle hh;      /* by id */
	UT_hash_handle hh_name; /* by name */
};

struct session_table {
	struct session *by_id, *by_name;
	struct session *walk; /* the next of session_walk */
	int64_t open[2]
		    [2]; /* how many: by certificate or not, by a policy's key or not */
	int64_t next_id;
};

void session_table_init(struct session_table *t);
void session_table_done(struct session_table *t);

/* Sets to "" what is NULL. */
void session_blanks(struct session *s);
/* The same, its texts in a. */
struct session session_copy(const struct session *s, struct arena *a);

/* Decides. On success *ret describes the session (not in the table yet; id not given) and
 * *ret_close_ms when the credential's time is over (token expiry plus grace, where the
 * calendar has that day; native profile: the certificate's notAfter; 0 = never). Its
 * texts are in d->arena. */
must_check int session_judge(struct domain *d, const struct ipc_hub_open *m,
    struct session *ret, int64_t *ret_close_ms, struct refusal *no, struct err *e);

/* After the turn is durable: enters a copy of s under a fresh ID. An older session of the
 * device is superseded: copied to *old (its texts are those in the table) and true
 * returned. It stays in the table until its edge says it is closed, since its will is yet
 * to come (protocol/device.md 3.6). */
bool session_enter(struct session_table *t, const struct session *s, struct session *old,
    int64_t *ret_id);
const struct session *session_find(const struct session_table *t, int64_t id);
const struct session *session_of(const struct session_table *t, const char *name);
/* Notes that this turn has granted the identity a newer connection. */
void session_yield(struct session_table *t, const char *name, uint64_t turn);
/* What the session of that ID is subscribed to from now on. */
void session_subscribe(struct session_table *t, int64_t id, uint32_t subs);
/* How it was opened, in the words of the connection log: "x509" or "sas"; "hub" for a
 * policy's key, else "device". */
const char *session_auth(const struct session *s);
const char *session_scope(const struct session *s);
/* A walk over the table with turns between its steps: one that leaves is not met, one
 * that comes may be. There is one walk; begun again, it begins at the first. */
void session_walk_begin(struct session_table *t);
const struct session *session_walk(struct session_table *t); /* NULL: the end */
/* Removes by ID; false when it is gone already. */
bool session_leave(struct session_table *t, int64_t id);

/* Refuses where the certificate that it was opened with, or a CA above it, was revoked
 * since (domain/pki/revoke.h), or its hub has given the CA up (domain/pki/trust.h). */
must_check int session_check_cert(
    struct domain *d, const struct session *s, struct refusal *no, struct err *e);

/* True where an identity as it is now is the one that was admitted and would still admit
 * the credential of an open session, at its hub. dev: the row of s->name, a module's own
 * (whose device is another question). */
bool session_still_admitted(const struct config *cfg, const struct session *s,
    const struct store_device *dev, const struct store_hub *hub);

#endif
