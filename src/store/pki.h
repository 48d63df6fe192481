#ifndef STORE_PKI_H
#define STORE_PKI_H
/*
 * The core's memory of certificates: what was issued and revoked, the CAs, what each
 * device uses, CRLs and OCSP answers, enrolments under way, rollovers. The contracts of
 * time, memory and errors are store.h's. Hex is lower case; a SHA-256 of a certificate or
 * an SPKI is 64 characters of it.
 */
#include "crypto/traits.h"
#include "store/store.h"

/* ---- certificates (struct store_cert is store.h's) ---- */

/* By issuer (SHA-256) and serial: names a certificate whatever its encoding. NOT_FOUND
 * when it is none of ours. */
must_check int store_cert_get(struct store *s, const char *issuer, const char *serial,
    struct arena *a, struct store_cert *ret, struct err *e);
/* Sets revoked_ms and reason (0, 0 takes it off hold); notes the change for the next
 * delta CRL and drops the OCSP answer signed ahead, all in the same transaction. Changes
 * nothing where it is revoked for that reason already (the date stays), or is not and
 * should not be. NOT_FOUND; CONFLICT, with nothing changed, for what would end a
 * revocation or turn it into a hold: only certificateHold ends (RFC 5280 5.3.1). */
must_check int store_cert_revoke(struct store *s, const char *issuer, const char *serial,
    int64_t at_ms, int reason, struct err *e);
/* Sets superseded_ms of all the subject's other unrevoked device certificates that were
 * issued before the one of that SHA-256 and have none, and clears its own. Nothing is
 * changed, and nothing written, where that is no certificate of ours for the subject. */
must_check int store_cert_supersede(struct store *s, const char *subject,
    const char *sha256, int64_t at_ms, struct err *e);

struct store_cert_filter {
	int64_t after; /* n of the last one seen, 0 = from the first */
	const char *subject, *issuer, *key_sha256, *profile; /* "" = any */
	/* each 0 = whatever; "before" leaves that moment out, "after" has it: */
	int64_t superseded_before_ms, expires_before_ms, expires_after_ms;
	int revoked; /* 0 any, 1 revoked, -1 not revoked */
	int64_t limit;
};
/* Joined by AND; ascending by n. Walks an index: the subject's, the key's, the issuer's,
 * that of superseded ones which are not revoked, or of all. */
must_check int store_cert_find(struct store *s, const struct store_cert_filter *f,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e);
struct store_cert_counts {
	int64_t unexpired, revoked; /* revoked: of the unexpired ones */
};
/* Walks the index of all that the issuer ever issued: not for every turn. */
must_check int store_cert_count(struct store *s, const char *issuer, int64_t now_ms,
    struct store_cert_counts *ret, struct err *e);

/* The same kept as they come: all that it ever issued, and the end of the last (0: none).
 */
struct store_cert_issued {
	int64_t count, last_end_ms;
};
must_check int store_cert_issued(
    struct store *s, const char *issuer, struct store_cert_issued *ret, struct err *e);

/* Certificates that others issued and we refuse. put inserts or rewrites; del and get:
 * NOT_FOUND. This holds for every get, put and del below. */
struct store_foreign {
	const char *issuer, *serial, *sha256, *device_id;
	int64_t revoked_ms;
	int reason;
};
must_check int store_foreign_get(struct store *s, const char *issuer, const char *serial,
    struct arena *a, struct store_foreign *ret, struct err *e);
/* The same by the certificate itself (lower-case hex). */
must_check int store_foreign_by_sha256(struct store *s, const char *sha256,
    struct arena *a, struct store_foreign *ret, struct err *e);
must_check int store_foreign_put(
    struct store *s, const struct store_foreign *f, struct err *e);
must_check int store_foreign_del(
    struct store *s, const char *issuer, const char *serial, struct err *e);

/* ---- what each device uses ---- */

struct store_device_cert {
	const char *device_id, *sha256, *issuer, *serial, *key_sha256;
	int64_t not_after_ms, first_ms, seen_ms; /* of this certificate; first_ms 0: it
						    has checked in, not connected */
	const char *peer;                        /* address it came from last */
	const char *custody, *generation;        /* as reported; "" = never */
	struct span anchors;                     /* as reported, 32 bytes each */
	const char *agent;
	int64_t clock_off_ms, report_ms;
	const char *report_key; /* SHA-256 of the SPKI that custody tells of */
	struct traits traits;   /* as seen when it connected, TRAITS_UNKNOWN = never */
};
must_check int store_device_cert_get(struct store *s, const char *device_id,
    struct arena *a, struct store_device_cert *ret, struct err *e);
must_check int store_device_cert_put(
    struct store *s, const struct store_device_cert *c, struct err *e);
must_check int store_device_cert_del(
    struct store *s, const char *device_id, struct err *e);
struct store_device_cert_filter {
	const char *after;               /* device ID, "" = from the first */
	const char *issuer, *key_sha256; /* "" = any */
	int64_t limit;
};
/* Ascending by device ID. */
must_check int store_device_cert_each(struct store *s,
    const struct store_device_cert_filter *f,
    int (*visit)(void *ctx, const struct store_device_cert *c, struct err *e), void *ctx,
    struct err *e);
/* How many devices use a certificate that ends before the hour of before_ms is over. */
must_check int store_device_cert_ending(
    struct store *s, int64_t before_ms, int64_t *ret, struct err *e);
/* How many devices used this issuer's last, and when one did (0 = never). */
must_check int store_device_cert_count(struct store *s, const char *issuer,
    int64_t *ret_count, int64_t *ret_last_ms, struct err *e);

/* ---- registration IDs that may not enrol ---- */

struct store_blocked {
	const char *registration_id;
	int64_t at_ms;
	const char *reason, *added_by;
};
must_check int store_blocked_get(struct store *s, const char *registration_id,
    struct arena *a, struct store_blocked *ret, struct err *e);
must_check int store_blocked_put(
    struct store *s, const struct store_blocked *b, struct err *e);
must_check int store_blocked_del(
    struct store *s, const char *registration_id, struct err *e);

/* ---- the CAs ---- */

struct store_issuer {
	const char *sha256, *name;
	const char *purpose; /* root, device, service, cross */
	const char *state;   /* domain/pki/issuer.h */
	int reason;
	const char *custody;
	struct span cert; /* DER */
	int64_t added_ms, state_ms;
};
must_check int store_issuer_get(struct store *s, const char *sha256, struct arena *a,
    struct store_issuer *ret, struct err *e);
must_check int store_issuer_by_name(struct store *s, const char *name, struct arena *a,
    struct store_issuer *ret, struct err *e);
/* EXISTS when the name is another's. */
must_check int store_issuer_put(
    struct store *s, const struct store_issuer *i, struct err *e);
/* By name. */
must_check int store_issuer_each(struct store *s,
    int (*visit)(void *ctx, const struct store_issuer *i, struct err *e), void *ctx,
    struct err *e);

/* ---- CRLs and OCSP answers ---- */

struct store_crl {
	const char *issuer; /* SHA-256 */
	int64_t shard;
	bool delta;
	int64_t number, this_ms, next_ms;
	int64_t mark; /* of store_crl_mark, taken before its entries were read */
	struct span der;
};
must_check int store_crl_get(struct store *s, const char *issuer, int64_t shard,
    bool delta, struct arena *a, struct store_crl *ret, struct err *e);
must_check int store_crl_put(struct store *s, const struct store_crl *c, struct err *e);
/* Without their bytes (der is empty), in order of next_ms. */
must_check int store_crl_each(struct store *s,
    int (*visit)(void *ctx, const struct store_crl *c, struct err *e), void *ctx,
    struct err *e);
/* Revoked certificates of a distribution point that end at since_ms or later, ascending
 * by serial. since_ms = thisUpdate of the full CRL before: an entry stays until one CRL
 * beyond the certificate's end had it (RFC 5280 3.3). Of *c only issuer, serial,
 * crl_shard, revoked_ms and reason are set, texts else "". */
must_check int store_crl_entries(struct store *s, const char *issuer, int64_t shard,
    int64_t since_ms, int (*visit)(void *ctx, const struct store_cert *c, struct err *e),
    void *ctx, struct err *e);
/* What changed since the full CRL that was settled: the same members, of what
 * store_cert_revoke noted. Reason 8 (removeFromCRL) with the hold's date where it was
 * released. */
must_check int store_crl_changes(struct store *s, const char *issuer, int64_t shard,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e);
/* The number of the youngest change, 0 = never one. Counts up, never reused: what is
 * revoked while a CRL is being signed has a higher one, whatever the clock does. */
must_check int store_crl_mark(struct store *s, int64_t *ret_mark, struct err *e);
/* The distribution points with changes that neither their full CRL nor their delta holds
 * (by mark): how many changes there are since the full one, whatever was settled. */
must_check int store_crl_dirty(struct store *s,
    int (*visit)(
	void *ctx, const char *issuer, int64_t shard, int64_t changes, struct err *e),
    void *ctx, struct err *e);
/* Forgets the changes up to mark, which a full CRL holds that is stored. */
must_check int store_crl_settle(
    struct store *s, const char *issuer, int64_t shard, int64_t mark, struct err *e);

struct store_ocsp {
	const char *issuer, *serial;
	int64_t this_ms, next_ms;
	int64_t revoked_ms; /* the certificate's, as the answer tells them */
	int reason;
	struct span der;
};
must_check int store_ocsp_get(struct store *s, const char *issuer, const char *serial,
    struct arena *a, struct store_ocsp *ret, struct err *e);
/* NOT_FOUND, with nothing kept, when no certificate of ours is in the state that the
 * answer tells: it was revoked, or released, while the answer was being signed, and is
 * still due. */
must_check int store_ocsp_put(struct store *s, const struct store_ocsp *o, struct err *e);
/* The issuer's certificates that are valid at now_ms and whose answer is missing or ends
 * before before_ms, at most limit: those without an answer first, then by its end. */
must_check int store_ocsp_due(struct store *s, const char *issuer, int64_t now_ms,
    int64_t before_ms, int64_t limit,
    int (*visit)(void *ctx, const struct store_cert *c, struct err *e), void *ctx,
    struct err *e);
/* Drops the answers of certificates that ended before before_ms, at most limit. */
must_check int store_ocsp_trim(
    struct store *s, int64_t before_ms, int64_t limit, struct err *e);

/* ---- enrolment ---- */

struct store_token {
	const char *device_id, *sha256;
	int64_t created_ms, expires_ms, used_ms;
	const char *created_by;
};
must_check int store_token_get(struct store *s, const char *device_id, struct arena *a,
    struct store_token *ret, struct err *e);
/* EXISTS when that secret is another device's. */
must_check int store_token_put(
    struct store *s, const struct store_token *t, struct err *e);
must_check int store_token_del(struct store *s, const char *device_id, struct err *e);
/* By device ID. */
must_check int store_token_each(struct store *s,
    int (*visit)(void *ctx, const struct store_token *t, struct err *e), void *ctx,
    struct err *e);

struct store_enrol {
	const char *id, *device_id;
	const char *state; /* pending, approved, denied, issued */
	const char *key_sha256, *credential, *address;
	int64_t created_ms, decided_ms;
	const char *decided_by, *cert_sha256;
};
must_check int store_enrol_get(struct store *s, const char *id, struct arena *a,
    struct store_enrol *ret, struct err *e);
must_check int store_enrol_put(
    struct store *s, const struct store_enrol *r, struct err *e);
/* state "" = any; oldest first. */
must_check int store_enrol_each(struct store *s, const char *state, int64_t limit,
    int (*visit)(void *ctx, const struct store_enrol *r, struct err *e), void *ctx,
    struct err *e);
/* Drops those created before before_ms, whatever their state. */
must_check int store_enrol_trim(struct store *s, int64_t before_ms, struct err *e);

struct store_allow {
	const char *device_id;
	int64_t until_ms, quarantined_ms;
	const char *added_by;
};
must_check int store_allow_get(struct store *s, const char *device_id, struct arena *a,
    struct store_allow *ret, struct err *e);
must_check int store_allow_put(
    struct store *s, const struct store_allow *w, struct err *e);
must_check int store_allow_del(struct store *s, const char *device_id, struct err *e);
/* By device ID. */
must_check int store_allow_each(struct store *s,
    int (*visit)(void *ctx, const struct store_allow *w, struct err *e), void *ctx,
    struct err *e);

/* ---- rollovers ---- */

struct store_rollover {
	int64_t n; /* 0: not stored yet */
	const char *from_issuer, *to_issuer;
	const char *state; /* domain/pki/rollover.h */
	int64_t share, spread_ms, started_ms, wave_ms, ended_ms;
};
/* Adds (n = 0) or rewrites. EXISTS when one between the same two started in the same
 * millisecond. */
must_check int store_rollover_put(
    struct store *s, const struct store_rollover *r, struct err *e);
/* Youngest first. */
must_check int store_rollover_each(struct store *s, int64_t limit,
    int (*visit)(void *ctx, const struct store_rollover *r, struct err *e), void *ctx,
    struct err *e);

#endif
