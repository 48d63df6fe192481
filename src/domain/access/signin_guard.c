/*
 * Wrong secrets, counted.
 */
#include "domain/access/signin_guard.h"

#include "base/map.h"

void
signin_guard_init(struct signin_guard *g, int64_t mono_ms)
{
	for (size_t i = 0; i < SIGNIN_GUARD_BUCKETS; i++) {
		throttle_init(&g->peers[i], SIGNIN_GUARD_PEER, mono_ms);
		throttle_init(&g->apps[i], SIGNIN_GUARD_APP, mono_ms);
	}
}

static struct throttle *
bucket(struct throttle *all, struct span key)
{
	return &all[map_hash(key.p, key.len) % SIGNIN_GUARD_BUCKETS];
}

static struct throttle *
peer_of(struct signin_guard *g, struct span address)
{
	return bucket(g->peers, span_head(address, span_rfind(address, ':')));
}

bool
signin_guard_may_try(
    struct signin_guard *g, struct span address, struct span app_id, int64_t mono_ms)
{
	struct throttle peer = *peer_of(g, address), app = *bucket(g->apps, app_id);
	return throttle_take(&peer, mono_ms) && throttle_take(&app, mono_ms);
}

void
signin_guard_wrong(
    struct signin_guard *g, struct span address, struct span app_id, int64_t mono_ms)
{
	(void)throttle_take(peer_of(g, address), mono_ms);
	(void)throttle_take(bucket(g->apps, app_id), mono_ms);
}
