/*
 * Polls of devices, counted.
 */
#include "domain/access/poll_guard.h"

#include "base/own.h"
#include "codec/id.h"

struct poll_guard_entry {
	char id[ID_MAX + 1];
	int64_t since_ms, n;
	UT_hash_handle hh;
};

void
poll_guard_init(struct poll_guard *g, int64_t most)
{
	*g = (struct poll_guard){.most = most};
}

static void
drop(struct poll_guard *g, struct poll_guard_entry *x)
{
	HASH_DEL(g->entries, x);
	free(x);
}

void
poll_guard_done(struct poll_guard *g)
{
	struct poll_guard_entry *x, *next;
	HASH_ITER (hh, g->entries, x, next)
		drop(g, x);
}

/* Once a window: what is over counts no more. */
static void
sweep(struct poll_guard *g, int64_t mono_ms)
{
	struct poll_guard_entry *x, *next;
	if (mono_ms - g->swept_ms < POLL_GUARD_WINDOW_MS)
		return;
	g->swept_ms = mono_ms;
	HASH_ITER (hh, g->entries, x, next)
		if (mono_ms - x->since_ms >= POLL_GUARD_WINDOW_MS)
			drop(g, x);
}

static bool
lower_id(struct span id, char out[ID_MAX + 1])
{
	if (!span_to_str(id, out, ID_MAX + 1))
		return false;
	for (char *p = out; *p; p++)
		*p = *p >= 'A' && *p <= 'Z' ? (char)(*p + 32) : *p;
	return true;
}

bool
poll_guard_take(struct poll_guard *g, struct span registration_id, int64_t mono_ms)
{
	char id[ID_MAX + 1];
	struct poll_guard_entry *x;
	if (!g->most || !lower_id(registration_id, id))
		return true;
	sweep(g, mono_ms);
	HASH_FIND_STR(g->entries, id, x);
	if (!x && HASH_COUNT(g->entries) >= POLL_GUARD_MAX)
		return true;
	if (!x) {
		x = own_alloc(sizeof(*x));
		memcpy(x->id, id, sizeof(x->id));
		x->since_ms = mono_ms;
		HASH_ADD_STR(g->entries, id, x);
	}
	if (mono_ms - x->since_ms >= POLL_GUARD_WINDOW_MS) {
		x->since_ms = mono_ms;
		x->n = 0;
	}
	return ++x->n <= g->most;
}
