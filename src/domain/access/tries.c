/*
 * Wrong tries by key.
 */
#include "domain/access/tries.h"

#include <string.h>

#include "base/own.h"
#include "codec/addr.h"

struct tries_entry {
	struct throttle left;
	int64_t wrong_ms; /* of the last wrong one; 0: none */
	struct list lru;
	UT_hash_handle hh;
	size_t len;
	uint8_t key[];
};

void
tries_init(struct tries *t, int64_t per_min, size_t most)
{
	*t = (struct tries){.most = most, .per_min = per_min};
	list_init(&t->lru);
}

static void
forget(struct tries *t, struct tries_entry *it)
{
	HASH_DEL(t->by_key, it);
	list_del(&it->lru);
	t->n--;
	free(it);
}

void
tries_done(struct tries *t)
{
	struct tries_entry *it, *next;
	HASH_ITER (hh, t->by_key, it, next)
		forget(t, it);
}

static struct tries_entry *
find(const struct tries *t, struct span key)
{
	struct tries_entry *it;
	HASH_FIND(hh, t->by_key, key.p, key.len, it);
	return it;
}

static struct tries_entry *
hold(struct tries *t, struct span key, int64_t mono_ms)
{
	struct tries_entry *it = find(t, key);
	if (it) {
		list_del(&it->lru);
		list_push(&t->lru, &it->lru);
		return it;
	}
	if (t->n == t->most)
		forget(t, list_of(t->lru.next, struct tries_entry, lru));
	it = own_alloc(sizeof(*it) + key.len);
	it->len = key.len;
	memcpy(it->key, key.p, key.len);
	throttle_init(&it->left, t->per_min, mono_ms);
	HASH_ADD_KEYPTR(hh, t->by_key, it->key, it->len, it);
	list_push(&t->lru, &it->lru);
	t->n++;
	return it;
}

bool
tries_may(const struct tries *t, struct span key, int64_t mono_ms)
{
	const struct tries_entry *it = find(t, key);
	if (!it)
		return true;
	struct throttle left = it->left;
	return throttle_take(&left, mono_ms);
}

bool
tries_is_late(const struct tries *t, struct span key, int64_t mono_ms)
{
	const struct tries_entry *it = find(t, key);
	return it && it->wrong_ms && mono_ms - it->wrong_ms < TRIES_LATE_MS;
}

bool
tries_is_held(const struct tries *t, struct span key)
{
	return find(t, key) != NULL;
}

void
tries_wrong(struct tries *t, struct span key, int64_t mono_ms)
{
	struct tries_entry *it = hold(t, key, mono_ms);
	(void)throttle_take(&it->left, mono_ms);
	it->wrong_ms = mono_ms;
}

void
tries_hold(struct tries *t, struct span key, int64_t mono_ms)
{
	(void)hold(t, key, mono_ms);
}

void
tries_source(struct span peer, uint8_t ret[TRIES_SOURCE])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct err none;
	memset(ret, 0, TRIES_SOURCE);
	uint8_t ip[ADDR_LEN];
	if (addr_parse_peer(peer, ip, &none))
		return;
	bool v4 = memcmp(ip, mapped, sizeof(mapped)) == 0;
	memcpy(ret, ip, v4 ? TRIES_SOURCE : TRIES_SOURCE / 2);
}
