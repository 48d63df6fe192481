/*
 * Signs of copied keys.
 */
#include "domain/hub/clone.h"

#include <stdio.h>
#include <string.h>

#define ADDRESS_MAX 47 /* "[", an IPv6 address, "]" */

/* "203.0.113.7:49152", "[2001:db8::1]:49152": what stands before the port. */
static struct span
address_of(struct span peer)
{
	return span_head(peer, span_rfind(peer, ':'));
}

static bool
same_certificate(const struct session *a, const struct session *b)
{
	return a->serial[0] && strcmp(a->issuer, b->issuer) == 0 &&
	       strcmp(a->serial, b->serial) == 0;
}

bool
clone_follow(
    struct session *next, const struct session *was, struct span peer, struct arena *a)
{
	struct span here = address_of(peer);
	if (here.len > ADDRESS_MAX)
		return false;
	next->address = arena_str(a, here);
	if (!was || !same_certificate(next, was))
		return false;
	if (span_eq_str(here, was->address)) {
		next->address_before = arena_str(a, span_str(was->address_before));
		next->moved_ms = was->moved_ms;
		return false;
	}
	next->address_before = arena_str(a, span_str(was->address));
	next->moved_ms = next->opened_ms;
	return span_eq_str(here, was->address_before) &&
	       next->opened_ms - was->moved_ms < CLONE_WINDOW_MS;
}

static struct clone_sign *
place_for(struct clone_list *l, const char *device_id)
{
	struct clone_sign *oldest = &l->v[0];
	for (size_t i = 0; i < l->n; i++) {
		if (strcmp(l->v[i].device_id, device_id) == 0)
			return &l->v[i];
		if (l->v[i].at_ms < oldest->at_ms)
			oldest = &l->v[i];
	}
	return l->n < CLONE_MAX ? &l->v[l->n++] : oldest;
}

void
clone_note(struct clone_list *l, const char *device_id, int64_t at_ms, const char *text)
{
	struct clone_sign *s = place_for(l, device_id);
	snprintf(s->device_id, sizeof(s->device_id), "%s", device_id);
	snprintf(s->text, sizeof(s->text), "%s", text);
	s->at_ms = at_ms;
}

size_t
clone_count(
    const struct clone_list *l, int64_t since_ms, const struct clone_sign **ret_last)
{
	const struct clone_sign *last = NULL;
	size_t n = 0;
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].at_ms < since_ms)
			continue;
		n++;
		if (!last || l->v[i].at_ms > last->at_ms)
			last = &l->v[i];
	}
	if (ret_last)
		*ret_last = last;
	return n;
}
