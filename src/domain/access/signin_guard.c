/*
 * Wrong secrets, counted.
 */
#include "domain/access/signin_guard.h"

#include <string.h>

void
signin_guard_init(struct signin_guard *g)
{
	*g = (struct signin_guard){{0}};
	tries_init(&g->sources, SIGNIN_GUARD_SOURCE, SIGNIN_GUARD_MOST);
	tries_init(&g->apps, SIGNIN_GUARD_APP, SIGNIN_GUARD_MOST);
	tries_init(&g->known, SIGNIN_GUARD_SOURCE, SIGNIN_GUARD_KNOWN);
}

void
signin_guard_done(struct signin_guard *g)
{
	tries_done(&g->sources);
	tries_done(&g->apps);
	tries_done(&g->known);
}

/* Who tries: the source, and behind it the application. */
struct who {
	uint8_t bytes[TRIES_SOURCE + SIGNIN_GUARD_ID];
	struct span source, app, pair;
};

static void
who_init(struct who *w, struct span peer, struct span app_id)
{
	struct span app = span_head(app_id, SIGNIN_GUARD_ID);
	tries_source(peer, w->bytes);
	if (app.len)
		memcpy(w->bytes + TRIES_SOURCE, app.p, app.len);
	w->source = span_of(w->bytes, TRIES_SOURCE);
	w->app = span_of(w->bytes + TRIES_SOURCE, app.len);
	w->pair = span_of(w->bytes, TRIES_SOURCE + app.len);
}

bool
signin_guard_may_try(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms)
{
	struct who w;
	who_init(&w, peer, app_id);
	if (tries_is_held(&g->known, w.pair))
		return tries_may(&g->known, w.pair, mono_ms);
	if (!tries_is_late(&g->sources, w.source, mono_ms))
		return true;
	return tries_may(&g->sources, w.source, mono_ms) &&
	       tries_may(&g->apps, w.app, mono_ms);
}

void
signin_guard_wrong(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms)
{
	struct who w;
	who_init(&w, peer, app_id);
	if (tries_is_held(&g->known, w.pair)) {
		tries_wrong(&g->known, w.pair, mono_ms);
		return;
	}
	tries_wrong(&g->sources, w.source, mono_ms);
	tries_wrong(&g->apps, w.app, mono_ms);
}

void
signin_guard_right(
    struct signin_guard *g, struct span peer, struct span app_id, int64_t mono_ms)
{
	struct who w;
	who_init(&w, peer, app_id);
	tries_hold(&g->known, w.pair, mono_ms);
}

void
signin_guard_saw(struct signin_guard *g, const char *app_id, const char *name)
{
	if (!span_to_str(span_str(app_id), g->bearer, sizeof(g->bearer)) ||
	    !span_to_str(span_str(name), g->name, sizeof(g->name)))
		g->bearer[0] = '\0';
}

const char *
signin_guard_name(const struct signin_guard *g, const char *app_id)
{
	return g->bearer[0] && strcmp(g->bearer, app_id) == 0 ? g->name : NULL;
}
