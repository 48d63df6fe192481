#ifndef CRYPTO_CHAIN_IMPL_H
#define CRYPTO_CHAIN_IMPL_H
/*
 * What the files of the chain share: chain_set.c keeps the known CAs, chain_path.c
 * searches, chain_judge.c asks OpenSSL about one whole path, chain.c tells the verdict.
 */
#include "base/map.h"
#include "crypto/chain.h"
#include "crypto/ossl.h"
#include "crypto/rules.h"

/* --- the known CAs --- */

struct chain_node {
	struct cert *cert;
	bool trusted;
	struct rules_fault fault; /* found out once, when it came in */
	uint32_t name;            /* hash of the subject as RFC 5280 7.1 compares it */
	struct chain_node *same;  /* next of that hash */
	struct chain_node *up;    /* the known CA that signed it */
	unsigned up_at;           /* the generation up was looked for in */
	UT_hash_handle hh;        /* by name; only the first of a hash is in the table */
};

struct chain_set {
	struct chain_node *by_name;
	size_t n;
	unsigned generation; /* counts additions, so that kept links go stale */
	X509_STORE *empty;   /* trust is given per path, never by a store */
	uint8_t (*refused)[DIGEST_SHA256]; /* keys, by the SHA-256 of their SPKI */
	size_t n_refused;
};

/* The first that may have this subject; walk its ->same and compare. */
struct chain_node *chain_set_find(const struct chain_set *s, const X509_NAME *subject);
bool chain_set_has(const struct chain_set *s, const struct cert *c);
bool chain_set_refuses(const struct chain_set *s, const struct cert *c);
/* The known CA that signed n, looked for once per generation of the set. */
struct chain_node *chain_set_up(const struct chain_set *s, struct chain_node *n);

/* What is wrong with n for who asks o; n->fault is that for nobody's wishes. */
struct rules_fault chain_set_check(
    const struct chain_node *n, const struct chain_options *o);

/* Equal as RFC 5280 7.1 compares names: case and white space folded. */
bool chain_set_same_name(const X509_NAME *a, const X509_NAME *b);
bool chain_set_same_cert(const struct cert *a, const struct cert *b);
/* False when the names do not fit, or they do and the key identifiers say it is another
 * key (RFC 5280 4.2.1.1). */
bool chain_set_may_issue(const struct cert *ca, const struct cert *c);

/* --- one path --- */

struct chain_path {
	struct cert *v[CHAIN_DEPTH_MAX]; /* leaf first */
	size_t n;
	struct chain_node *anchor; /* the last's; NULL while there is none */
};

/* A store that trusts nothing, whose contexts keep to the path they judge. */
X509_STORE *chain_judge_store(void);
/* Whether path holds, by OpenSSL. Refuses in v; *ret_bad is the index of the certificate
 * whose signature its issuer's key did not make, else -1. others: where issuers of
 * indirect revocation lists may be. */
bool chain_judge_path(const struct chain_set *set, const struct chain_path *path,
    const struct cert_list *others, const struct chain_options *o,
    struct chain_verdict *v, int *ret_bad);
/* What that costs at most, in signatures. */
unsigned chain_judge_cost(const struct chain_path *path, const struct chain_options *o);

/* Finds a path from list->v[0] to a trusted CA that holds. False: v says why not. */
bool chain_path_find(const struct chain_set *set, const struct cert_list *list,
    const struct chain_options *o, struct chain_verdict *v, struct chain_path *ret);

/* --- the verdict --- */

/* Sets reason and text, unless an earlier one stands. */
void chain_refuse(struct chain_verdict *v, enum chain_reason r, const struct cert *c,
    const char *fmt, ...) printf_like(4, 5);
/* Is c valid at o's time? Refuses in v. */
bool chain_in_time(
    const struct cert *c, const struct chain_options *o, struct chain_verdict *v);

#endif
