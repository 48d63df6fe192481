/*
 * Allocation of devices to hubs.
 */
#include "domain/alloc.h"

#include <string.h>

#include "base/buf.h"
#include "crypto/digest.h"

static uint64_t
score(struct span registration_id, const char *hub)
{
	uint8_t sha[DIGEST_SHA256];
	auto_buf b = BUF_INIT(1024);
	buf_put_span(&b, registration_id);
	buf_u8(&b, 0);
	buf_str(&b, hub);
	for (size_t i = 0; i < b.len; i++)
		if (b.p[i] >= 'A' && b.p[i] <= 'Z')
			b.p[i] += 32;
	digest_sha256(buf_span(&b), sha);
	uint64_t v;
	memcpy(&v, sha, sizeof(v));
	return v;
}

static bool
is_among(const char *hub, const char *hubs)
{
	struct span rest = span_str(hubs);
	if (rest.len == 0)
		return true;
	while (rest.len)
		if (span_ieq_str(span_split(&rest, ' '), hub))
			return true;
	return false;
}

const char *
alloc_hub(struct span registration_id, const char *policy, const char *hubs,
    const struct conf_list *linked)
{
	bool fixed = strcmp(policy, "static") == 0;
	const char *best = NULL;
	uint64_t best_score = 0;
	for (size_t i = 0; i < linked->n; i++) {
		if (!is_among(linked->v[i], hubs))
			continue;
		if (fixed)
			return linked->v[i];
		uint64_t s = score(registration_id, linked->v[i]);
		if (best && s <= best_score)
			continue;
		best = linked->v[i];
		best_score = s;
	}
	return best;
}
