#ifndef DOMAIN_CRL_PLAN_H
#define DOMAIN_CRL_PLAN_H
/*
 * Which CRLs are due and what stands in them. A list covers one distribution point (a
 * shard of an issuer's certificates), so that what a revocation costs is a list of its
 * shard, not of the fleet.
 *
 * Of each shard there is a full list and a delta (RFC 5280 5.2.4). A change makes the
 * delta anew, and the full list too where that is small or the delta would be a quarter
 * of it; each is made anew at half its life in any case. A full list and the delta made
 * with it have one number (5.2.3); the delta stands on the full list before, so whoever
 * holds that one can go on with it. Shard -1 is the issuer's whole list, for
 * certificates that name no distribution point and for whoever reads a list a CA: made
 * anew at half its life or when one of the former is revoked; it has no delta.
 */
#include "domain/domain.h"
#include "store/pki.h"

#define CRL_PLAN_BATCH 16 /* places a turn */

struct crl_place {
	char issuer[65]; /* lower-case hex SHA-256 */
	int64_t shard;
	bool full; /* a full list, with the delta that belongs to it; else a delta */
};

/* Places whose lists are due, at most CRL_PLAN_BATCH: none yet, half their life over,
 * changed (changes that pki.crl_delay still collects included: the caller has the timer).
 * Of issuers whose key the signer holds, until their last certificate has ended. */
must_check int crl_plan_due(
    struct domain *d, struct crl_place v[CRL_PLAN_BATCH], size_t *ret_n, struct err *e);

/* One list to be signed. */
struct crl_job {
	char issuer[65];
	uint8_t issuer_sha256[32];
	int64_t shard, number, base, this_ms, next_ms; /* base 0: a full list */
	int64_t mark;
	int64_t settled; /* of a full list: changes that no delta has to tell any more */
	struct span entries; /* packed as crypto/crl.h has it; in d->arena */
};
#define CRL_JOBS 2
/* What is to be signed for a place, at this moment of the transaction. ERR_LIMIT where
 * the entries are more than a message holds: more shards are needed. */
must_check int crl_plan_jobs(struct domain *d, const struct crl_place *p,
    struct crl_job ret[CRL_JOBS], size_t *ret_n, struct err *e);
/* The question to the signer. */
struct ipc_signer_crl crl_plan_question(const struct crl_job *j);
/* Keeps the signed list, unless a younger one is there. */
must_check int crl_plan_keep(
    struct domain *d, const struct crl_job *j, struct span der, struct err *e);

/* A list that another made is taken in for serving: the root's, whose key is elsewhere.
 * It must be the whole list of a CA that is known here and holds no key for it, signed by
 * it, with a number above that of the one before. ERR_DENIED, ERR_CONFLICT. */
must_check int crl_plan_import(
    struct domain *d, struct span der, const char **ret_name, struct err *e);

/* The list for serving, by its issuer's name. NOT_FOUND. */
must_check int crl_plan_get(struct domain *d, struct span issuer, int64_t shard,
    bool delta, struct store_crl *ret, struct err *e);

/* Is that issuer one whose lists and answers are made here? */
bool crl_plan_has_key(const struct store_issuer *i);

#endif
