/*
 * Allocation of devices to hubs.
 */
#include "domain/dps/alloc.h"

#include <math.h>
#include <string.h>

#include "base/buf.h"
#include "codec/hub_conf.h"
#include "crypto/digest.h"

/* Hubs that are still in the running. */
struct field {
	const char *v[LINKS_MAX];
	size_t n;
};

static bool
is_among(const struct config *cfg, const char *hub, const char *hubs)
{
	struct span rest = span_str(hubs);
	if (rest.len == 0)
		return true;
	while (rest.len) /* named by an alias, perhaps */
		if (hub_conf_find(cfg, span_split(&rest, ' ')) == hub)
			return true;
	return false;
}

size_t
alloc_candidates(const struct config *cfg, const struct links *l, const char *hubs,
    const char *ret[LINKS_MAX])
{
	size_t n = 0;
	for (size_t i = 0; i < cfg->hub.name.n && n < LINKS_MAX; i++) {
		const char *hub = cfg->hub.name.v[i];
		const struct link *link = links_find(l, hub);
		if (link && link->apply && is_among(cfg, hub, hubs))
			ret[n++] = hub;
	}
	return n;
}

/* ---- the hash -------------------------------------------------------------------------
 */

/* In (0, 1), evenly. */
static double
draw(struct span registration_id, const char *hub)
{
	uint8_t sha[DIGEST_SHA256];
	uint64_t v = 0;
	auto_buf b = BUF_INIT(1024);
	buf_put_span(&b, registration_id);
	buf_u8(&b, 0);
	buf_str(&b, hub);
	for (size_t i = 0; i < b.len; i++)
		if (b.p[i] >= 'A' && b.p[i] <= 'Z')
			b.p[i] += 32;
	digest_sha256(buf_span(&b), sha);
	for (size_t i = sizeof(v); i-- > 0;) /* the first byte is the lowest */
		v = v << 8 | sha[i];
	return ((double)(v >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
}

static const char *
by_hash(const struct links *l, const struct field *f, struct span registration_id)
{
	const char *best = NULL;
	double best_score = 0;
	for (size_t i = 0; i < f->n; i++) {
		double weight = (double)links_find(l, f->v[i])->weight;
		double score = -weight / log(draw(registration_id, f->v[i]));
		if (best && score <= best_score)
			continue;
		best = f->v[i];
		best_score = score;
	}
	return best;
}

/* ---- latency --------------------------------------------------------------------------
 */

static struct span
region_of(const struct config *cfg, struct span address)
{
	uint8_t ip[ADDR_LEN];
	struct err e;
	return addr_parse_peer(address, ip, &e) ? SPAN_NONE : hub_conf_region(cfg, ip);
}

/* Leaves those that are nearest. */
static void
keep_nearest(const struct config *cfg, struct span region, struct field *f)
{
	struct field near = {.n = 0};
	int64_t least = INT64_MAX;
	for (size_t i = 0; i < f->n; i++) {
		int64_t ms = hub_conf_latency(cfg, region, f->v[i]);
		if (ms > least)
			continue;
		if (ms < least)
			near.n = 0;
		least = ms;
		near.v[near.n++] = f->v[i];
	}
	*f = near;
}

/* ---- static ---------------------------------------------------------------------------
 */

static const char *
first_named(const struct config *cfg, const struct field *f, const char *hubs)
{
	struct span rest = span_str(hubs);
	while (rest.len) {
		const char *hub = hub_conf_find(cfg, span_split(&rest, ' '));
		for (size_t i = 0; i < f->n; i++)
			if (f->v[i] == hub)
				return hub;
	}
	return f->n ? f->v[0] : NULL;
}

const char *
alloc_hub(const struct config *cfg, const struct links *l, const struct alloc_ask *a)
{
	struct field f;
	f.n = alloc_candidates(cfg, l, a->hubs, f.v);
	if (strcmp(a->policy, "static") == 0)
		return first_named(cfg, &f, a->hubs);
	if (strcmp(a->policy, "geoLatency") == 0)
		keep_nearest(cfg, region_of(cfg, a->address), &f);
	return by_hash(l, &f, a->registration_id);
}
