#ifndef PROTO_CRL_CACHE_H
#define PROTO_CRL_CACHE_H
/*
 * CRLs that an edge has fetched from the core, so that a list of megabytes crosses the
 * link once for each of its numbers and not for each reader. Bounded; the longest unused
 * goes first.
 */
#include "codec/ipc_msg.h"

#define CRL_CACHE_BYTES (64u << 20)

struct crl_cache;

struct crl_key {
	char issuer[65];
	int64_t shard;
	bool delta;
};

struct crl_cached {
	int64_t number, this_ms, next_ms;
	int64_t asked_ms; /* when the core last said that it is the newest; monotonic */
	struct span der;
};

struct crl_cache *crl_cache_new(size_t bytes_max);
void crl_cache_free(struct crl_cache *c);
own_define(struct crl_cache, crl_cache_free);

/* What is there, or NULL; valid until the next put. */
struct crl_cached *crl_cache_get(struct crl_cache *c, const struct crl_key *k);
/* Takes a copy of a list; one that is larger than the whole cache is not kept. */
void crl_cache_put(struct crl_cache *c, const struct crl_key *k, const struct ipc_crl *l,
    int64_t now_ms);

#endif
