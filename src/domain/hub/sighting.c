/*
 * Who was last seen with what, an entry an identity.
 */
#include "domain/hub/sighting.h"

#include "crypto/digest.h"

enum { OVERHEAD = 32 }; /* of the heap and of the table, for one */

struct entry {
	uint8_t by[DIGEST_SHA256];
	int64_t at_ms;
	UT_hash_handle hh;
	char name[];
};

struct sightings {
	struct entry *by_name; /* and in the order they were noted */
	size_t bytes, bytes_max;
};

struct sightings *
sighting_new(size_t bytes_max)
{
	struct sightings *t = own_alloc(sizeof(*t));
	t->bytes_max = bytes_max;
	return t;
}

static size_t
size_of(const char *name)
{
	return sizeof(struct entry) + strlen(name) + 1 + OVERHEAD;
}

static void
forget(struct sightings *t, struct entry *x)
{
	t->bytes -= size_of(x->name);
	HASH_DEL(t->by_name, x);
	free(x);
}

void
sighting_free(struct sightings *t)
{
	if (!t)
		return;
	while (t->by_name)
		forget(t, t->by_name);
	free(t);
}

static struct entry *
find(const struct sightings *t, const char *name)
{
	struct entry *x;
	HASH_FIND_STR(t->by_name, name, x);
	return x;
}

static struct span
with_nul(const char *text)
{
	return span_of(text, strlen(text) + 1);
}

/* The credential and the life of the identity it was good for. */
static void
fingerprint(const struct session *s, uint8_t out[DIGEST_SHA256])
{
	const struct span parts[] = {
	    with_nul(s->generation),
	    with_nul(s->thumb),
	    with_nul(s->policy),
	    span_of(s->key, sizeof(s->key)),
	};
	digest_sha256v(parts, sizeof(parts) / sizeof(parts[0]), out);
}

static int64_t
interval(const struct session *s)
{
	return s->thumb[0] ? SIGHTING_X509_MS : SIGHTING_SAS_MS;
}

bool
sighting_is_due(const struct sightings *t, const struct session *s, int64_t now_ms)
{
	uint8_t by[DIGEST_SHA256];
	const struct entry *x = find(t, s->name);
	if (!x || now_ms < x->at_ms || now_ms - x->at_ms >= interval(s))
		return true;
	fingerprint(s, by);
	return memcmp(by, x->by, sizeof(by)) != 0;
}

void
sighting_note(struct sightings *t, const struct session *s, int64_t now_ms)
{
	struct span name = with_nul(s->name);
	sighting_forget(t, s->name); /* so that it comes last */
	while (t->by_name && t->bytes + size_of(s->name) > t->bytes_max)
		forget(t, t->by_name);
	struct entry *x = own_alloc(sizeof(*x) + name.len);
	memcpy(x->name, name.p, name.len);
	HASH_ADD_STR(t->by_name, name, x);
	t->bytes += size_of(x->name);
	fingerprint(s, x->by);
	x->at_ms = now_ms;
}

void
sighting_forget(struct sightings *t, const char *name)
{
	struct entry *x = find(t, name);
	if (x)
		forget(t, x);
}
