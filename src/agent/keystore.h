#ifndef AGENT_KEYSTORE_H
#define AGENT_KEYSTORE_H
/*
 * The device directory: which credentials a device has, and which one it uses.
 *
 *	agent.conf	configuration
 *	cred/sas.key	the SAS key (Base64), 0600
 *	cred/NNNN/	an X.509 generation: key.pem, or key.uri of a key in a token or
 *			TPM; cert.pem (leaf first); meta
 *	active		"sas" or "x509 NNNN": the one switch, replaced atomically
 *	previous	what was active before; what a revert goes back to
 *	state.json	the hub that the SAS credential was assigned to
 *	journal.log	what was done when
 *	lock		held by whoever changes credentials: one session at a time
 *
 * `active` is the single commit point: what it names was written and synced before it,
 * and is never removed while it or `previous` names it. So a power cut at any write
 * leaves the old credential or the new one in use, never none: test_keystore_cut.c cuts
 * at every one of them.
 */
#include "base/buf.h"
#include "crypto/cert.h"
#include "crypto/key.h"

struct keystore; /* opaque */

#define KEYSTORE_GENERATION_SIZE 5 /* "0001" and its NUL */
#define KEYSTORE_GENERATIONS_MAX 9999
#define KEYSTORE_THUMBPRINT_SIZE (2 * DIGEST_SHA256 + 1)
#define KEYSTORE_HOST_SIZE       256
#define KEYSTORE_ID_SIZE         129
#define KEYSTORE_NAME_SIZE       16 /* "x509 0001" */

/* Names a credential: the SAS key, or a generation. */
struct keystore_ref {
	bool x509;
	char generation[KEYSTORE_GENERATION_SIZE]; /* "" for SAS */
};

/* A credential, loaded. sas: sas_key; x509: key, chain. */
struct keystore_credential {
	struct keystore_ref ref;
	struct buf sas_key;   /* decoded; secret */
	struct key *key;      /* owned */
	char *key_uri;        /* owned; of a key in a token or TPM, NULL for a file */
	struct buf chain_pem; /* leaf first */
	char thumbprint[KEYSTORE_THUMBPRINT_SIZE]; /* of the leaf, lower-case hex; "" */
	int64_t not_before_ms, not_after_ms;       /* of the leaf */
	bool reused; /* its key is that of an earlier generation: keystore_key_again */
};

/* Where a credential was sent by the provisioning service. A cache: losing it costs a
 * registration. */
struct keystore_assignment {
	char hub[KEYSTORE_HOST_SIZE], device_id[KEYSTORE_ID_SIZE];
};

/* What is known of a generation, in the order it gets there. */
enum keystore_stage {
	KEYSTORE_ABSENT,
	KEYSTORE_KEY,    /* key made */
	KEYSTORE_CERT,   /* certificate installed */
	KEYSTORE_PROVEN, /* connected with, on a real second connection */
	KEYSTORE_ACTIVE, /* in use */
	KEYSTORE_STAGES
};
const char *keystore_stage_name(enum keystore_stage s);

/* Makes a device directory: agent.conf with this text, the SAS key (empty: none, then
 * nothing can be loaded before the first certificate is promoted), active = sas. dir may
 * exist when it is empty of these. ERR_EXISTS when a device lives there already. */
must_check int keystore_create(
    const char *dir, struct span conf, struct span sas_key_base64, struct err *e);

/* Opens a device directory. ERR_PERM when dir or cred/ is foreign or open to others. */
must_check int keystore_open(const char *dir, struct keystore **ret, struct err *e);
void keystore_close(struct keystore *k);
own_define(struct keystore, keystore_close);
const char *keystore_dir(const struct keystore *k);
/* Needed by everything below that says "locked". Sweeps what a power cut left half
 * written. ERR_BUSY when another session holds it. */
must_check int keystore_lock(struct keystore *k, struct err *e);
/* The same, waiting for the other session at most so long. Blocks. */
must_check int keystore_lock_wait(struct keystore *k, int64_t max_ms, struct err *e);
void keystore_unlock(struct keystore *k);
bool keystore_is_locked(const struct keystore *k); /* by k */

must_check int keystore_active(
    struct keystore *k, struct keystore_ref *ret, struct err *e);
/* ERR_NOT_FOUND when nothing was active before. */
must_check int keystore_previous(
    struct keystore *k, struct keystore_ref *ret, struct err *e);
/* "sas", "x509 0001". */
void keystore_ref_name(const struct keystore_ref *r, char out[KEYSTORE_NAME_SIZE]);
must_check int keystore_ref_parse(struct span s, struct keystore_ref *ret, struct err *e);

/* Reads a credential: permissions checked; key and certificate must match (ERR_CORRUPT).
 * keystore_credential_done releases it, also after a failure. */
must_check int keystore_load(struct keystore *k, const struct keystore_ref *r,
    struct keystore_credential *ret, struct err *e);
void keystore_credential_done(struct keystore_credential *c);
#define auto_keystore_credential                                                         \
	__attribute__((cleanup(keystore_credential_done))) struct keystore_credential

/* Whether keys are to be made elsewhere than where this credential's is (another kind of
 * place, another token): key_uri is the configuration's, "" for files. */
bool keystore_is_elsewhere(const struct keystore_credential *c, const char *key_uri);

/* How far a generation is. ERR_PARSE when generation is no generation's name. */
must_check int keystore_stage(struct keystore *k, struct span generation,
    struct keystore_ref *ret_ref, enum keystore_stage *ret, struct err *e);

/* Which keys are made, and where. */
struct keystore_place {
	enum key_alg alg;
	const char *uri;       /* auth.key_uri, a token or TPM; "": files */
	const char *device_id; /* names its objects */
};
/* What holds the credential's key; of SAS, what would hold a new one. */
enum key_custody keystore_custody(
    const struct keystore_credential *c, const char *key_uri);

/* locked: the staged key of this kind (made before and never in use), or a fresh one in a
 * new generation. In a token the key's name is kept before the key is made, so that what
 * a power cut leaves is found again. ERR_UNAVAILABLE where the token is not there. */
must_check int keystore_keygen(struct keystore *k, const struct keystore_place *p,
    struct keystore_ref *ret_ref, struct key **ret_key, struct err *e);
/* locked: a new generation that holds r's key once more, or the staged one that does: for
 * a certificate that has expired, which a server renews for the same key alone. */
must_check int keystore_key_again(struct keystore *k, const struct keystore_ref *r,
    struct keystore_ref *ret_ref, struct key **ret_key, struct err *e);
/* The staged generation (a key that was never in use) and how far it is. ERR_NOT_FOUND
 * when there is none. */
must_check int keystore_staged(struct keystore *k, struct keystore_ref *ret_ref,
    enum keystore_stage *ret, struct err *e);
/* locked: removes a staged generation: nobody will take its certificate. */
must_check int keystore_abandon(
    struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e);

/* locked: puts the certificate beside the generation's key. ERR_CONFLICT, saying what:
 * not this key, not this device, not valid now, not fit for a client, or the chain does
 * not hold together. */
must_check int keystore_install(struct keystore *k, const struct keystore_ref *r,
    struct span chain_pem, const char *device_id, int64_t now_ms,
    struct keystore_credential *ret, struct err *e);

/* locked: notes that the generation connected, and where to. */
must_check int keystore_set_proven(struct keystore *k, const struct keystore_ref *r,
    const struct keystore_assignment *a, int64_t now_ms, struct err *e);

/* locked: the switch. Repeating it is harmless. */
must_check int keystore_promote(
    struct keystore *k, const struct keystore_ref *r, int64_t now_ms, struct err *e);
/* locked: back to `previous`; *ret is what is active then. Repeating it is harmless.
 * ERR_NOT_FOUND when X.509 is all that this device ever had. */
must_check int keystore_revert(
    struct keystore *k, int64_t now_ms, struct keystore_ref *ret, struct err *e);
/* locked: the same, to a credential that is named: SAS, whatever was renewed since. */
must_check int keystore_revert_to(
    struct keystore *k, const struct keystore_ref *to, int64_t now_ms, struct err *e);
/* locked: the active generation is refused: to the next older one that was proved and has
 * not expired, from the oldest on to the newest again; *ret is what is active then.
 * ERR_NOT_FOUND when there is no other. Never to SAS, which would let whoever refuses
 * certificates choose the weaker key. */
must_check int keystore_fall_back(
    struct keystore *k, int64_t now_ms, struct keystore_ref *ret, struct err *e);
/* locked: removes the oldest generations beyond keep, keys in tokens included; never the
 * active, the previous or a staged one, never the SAS key. */
must_check int keystore_prune(struct keystore *k, int64_t keep, struct err *e);

/* Puts the certificate into the TPM that holds its key, at the NV index of its URI, for
 * other programs on the device. Nothing to do elsewhere. */
must_check int keystore_cert_beside(
    struct keystore *k, const struct keystore_credential *c, struct err *e);

/* ERR_NOT_FOUND when this credential was not assigned yet. */
must_check int keystore_assignment_get(struct keystore *k, const struct keystore_ref *r,
    struct keystore_assignment *ret, struct err *e);
must_check int keystore_assignment_put(struct keystore *k, const struct keystore_ref *r,
    const struct keystore_assignment *a, struct err *e);

/* Writes, syncs and removes a 64 KB file where keys are kept: a full disk, a quota, a
 * read-only file system show here and not in the middle of a migration. */
must_check int keystore_probe(struct keystore *k, struct err *e);

/* Appends one line to journal.log: time, event, and what the caller says of it (one line,
 * no secret). */
must_check int keystore_journal(struct keystore *k, int64_t now_ms, const char *event,
    struct err *e, const char *fmt, ...) printf_like(5, 6);

#endif
