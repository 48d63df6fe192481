/*
 * An edge's CRLs.
 */
#include "proto/pki/crl_cache.h"

#include <stdlib.h>

#include "base/list.h"
#include "base/map.h"

/* As the hash wants it: no padding that is not zero. */
struct key {
	char issuer[65];
	int64_t shard;
	int64_t delta;
};

struct entry {
	UT_hash_handle hh;
	struct list used; /* in crl_cache.used, oldest first */
	struct key key;
	struct crl_cached list;
	uint8_t der[];
};

struct crl_cache {
	struct entry *by_key;
	struct list used;
	size_t bytes, max;
};

static struct key
key_of(const struct crl_key *k)
{
	struct key key;
	memset(&key, 0, sizeof(key));
	memcpy(key.issuer, k->issuer, strnlen(k->issuer, sizeof(k->issuer) - 1));
	key.shard = k->shard;
	key.delta = k->delta;
	return key;
}

struct crl_cache *
crl_cache_new(size_t bytes_max)
{
	struct crl_cache *c = own_alloc(sizeof(*c));
	c->max = bytes_max;
	list_init(&c->used);
	return c;
}

static void
drop(struct crl_cache *c, struct entry *e)
{
	HASH_DEL(c->by_key, e);
	list_del(&e->used);
	c->bytes -= sizeof(*e) + e->list.der.len;
	free(e);
}

void
crl_cache_free(struct crl_cache *c)
{
	if (!c)
		return;
	list_each_safe (it, &c->used)
		drop(c, list_of(it, struct entry, used));
	free(c);
}

static struct entry *
find(struct crl_cache *c, const struct key *key)
{
	struct entry *e;
	HASH_FIND(hh, c->by_key, key, sizeof(*key), e);
	return e;
}

struct crl_cached *
crl_cache_get(struct crl_cache *c, const struct crl_key *k)
{
	struct key key = key_of(k);
	struct entry *e = find(c, &key);
	if (!e)
		return NULL;
	list_del(&e->used);
	list_push(&c->used, &e->used);
	return &e->list;
}

void
crl_cache_put(
    struct crl_cache *c, const struct crl_key *k, const struct ipc_crl *l, int64_t now_ms)
{
	struct key key = key_of(k);
	struct entry *was = find(c, &key);
	size_t size = sizeof(struct entry) + l->der.len;
	if (was)
		drop(c, was);
	if (size > c->max)
		return;
	while (c->bytes + size > c->max)
		drop(c, list_of(c->used.next, struct entry, used));
	struct entry *e = own_alloc(size);
	e->key = key;
	memcpy(e->der, l->der.p, l->der.len);
	e->list = (struct crl_cached){.number = l->number,
	    .this_ms = l->this_ms,
	    .next_ms = l->next_ms,
	    .asked_ms = now_ms,
	    .der = span_of(e->der, l->der.len)};
	HASH_ADD(hh, c->by_key, key, sizeof(e->key), e);
	list_push(&c->used, &e->used);
	c->bytes += size;
}
