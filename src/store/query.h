#ifndef STORE_QUERY_H
#define STORE_QUERY_H
/*
 * What queries of the service read (protocol/service.md 2.5): identities in the order in
 * which they were made, which is that of a number each has, over the index of one of
 * their properties. Same contracts as store/store.h.
 */
#include "store/store.h"

/* Which identities. The MODULE kinds are of modules, ID and TAG of both, the others of
 * devices. */
enum store_range_kind {
	STORE_RANGE_ALL,
	STORE_RANGE_ID,
	STORE_RANGE_AUTH, /* number: enum store_auth */
	STORE_RANGE_ENABLED,
	STORE_RANGE_CONNECTED,
	STORE_RANGE_TAG_TEXT,
	STORE_RANGE_TAG_NUMBER,
	STORE_RANGE_TAG_BOOL,
	STORE_RANGE_MODULE_AUTH,
	STORE_RANGE_MODULES_OF
};

#define STORE_TAG_CHARS 100 /* of a text that tell it apart */
#define STORE_TAG_NAME  255 /* a longer path is in no index: each value repeats it */

struct store_range {
	enum store_range_kind kind;
	int64_t number; /* AUTH, ENABLED, CONNECTED, a tag's number or boolean */
	const char
	    *text; /* ID, MODULES_OF, a tag's text; a longer one's beginning counts */
	const char *tag; /* its path, names joined by '.', at most STORE_TAG_NAME */
};

/* Whether the TAG kinds know every identity. Of a database that is older than its index
 * of tags they do only once store_tags_fill has been through it; then they do for ever.
 */
bool store_tags_ready(const struct store *s);
/* Puts the tags of up to max more twins into the index; *ret_left: of how many numbers it
 * may yet have to look, 0: it is ready. */
must_check int store_tags_fill(
    struct store *s, int64_t max, int64_t *ret_left, struct err *e);

/* The numbers of up to max identities after one (0: from the first), ascending, in
 * ret[0..*ret_n). Of a text tag also those that begin alike (STORE_TAG_CHARS). */
must_check int store_range_next(struct store *s, const struct store_range *r,
    int64_t after, size_t max, int64_t *ret, size_t *ret_n, struct err *e);

/* Visits the identity of a number; not one that is gone. with_twin false: its twin's
 * members (tags to reported_meta) are empty and were not read. */
must_check int store_device_at(struct store *s, int64_t n, bool with_twin,
    int (*visit)(void *ctx, const struct store_device *d, struct err *e), void *ctx,
    struct err *e);

/* Visits the kinds of devices that there are, by what alone is set of d: hub, enabled,
 * auth, connected; n: how many are of the kind. */
must_check int store_device_kinds(struct store *s,
    int (*visit)(void *ctx, const struct store_device *d, int64_t n, struct err *e),
    void *ctx, struct err *e);

#endif
