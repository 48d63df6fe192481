/*
 * The core's memory of enrolments under way and of wrong tokens.
 */
#include "domain/access/est_guard.h"

#include <stdlib.h>
#include <string.h>

#include "base/own.h"

struct est_guard_entry {
	UT_hash_handle hh;
	char device_id[];
};

void
est_guard_init(struct est_guard *g)
{
	g->busy = NULL;
	tries_init(&g->sources, EST_GUARD_WRONG, EST_GUARD_SOURCES);
}

void
est_guard_done(struct est_guard *g)
{
	struct est_guard_entry *it, *next;
	tries_done(&g->sources);
	HASH_ITER (hh, g->busy, it, next) {
		HASH_DEL(g->busy, it);
		free(it);
	}
}

static struct est_guard_entry *
find(const struct est_guard *g, const char *device_id)
{
	struct est_guard_entry *it;
	HASH_FIND_STR(g->busy, device_id, it);
	return it;
}

bool
est_guard_enter(struct est_guard *g, const char *device_id)
{
	if (find(g, device_id))
		return false;
	size_t len = strlen(device_id);
	struct est_guard_entry *it = own_alloc(sizeof(*it) + len + 1);
	memcpy(it->device_id, device_id, len + 1);
	HASH_ADD_KEYPTR(hh, g->busy, it->device_id, len, it);
	return true;
}

void
est_guard_leave(struct est_guard *g, const char *device_id)
{
	struct est_guard_entry *it = find(g, device_id);
	if (!it)
		return;
	HASH_DEL(g->busy, it);
	free(it);
}

bool
est_guard_may_try(struct est_guard *g, struct span peer, int64_t mono_ms)
{
	uint8_t source[TRIES_SOURCE];
	tries_source(peer, source);
	return tries_may(&g->sources, span_of(source, sizeof(source)), mono_ms);
}

void
est_guard_wrong(struct est_guard *g, struct span peer, int64_t mono_ms)
{
	uint8_t source[TRIES_SOURCE];
	tries_source(peer, source);
	tries_wrong(&g->sources, span_of(source, sizeof(source)), mono_ms);
}
