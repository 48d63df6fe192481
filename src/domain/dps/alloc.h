#ifndef DOMAIN_ALLOC_H
#define DOMAIN_ALLOC_H
/*
 * Which hub a device is assigned to (protocol/device.md 2.6), by its enrollment's policy:
 *
 * hashed      a weighted rendezvous hash (highest -weight / ln(h), h the hash of the
 *             lower-cased registration ID and the hub's name): each hub gets its weight's
 *             share, every node computes the same, and a hub that is added takes its
 *             share from each of the others and moves nobody else.
 * geoLatency  the hub with the least configured latency from the region that the device's
 *             address lies in; where several are as near, or none is known, by the hash.
 * static      the one that the enrollment names, else the first there is.
 *
 * A hub that is excluded (dps.hubs_excluded) is assigned by none of them, nor by a
 * webhook.
 */
#include "base/span.h"
#include "codec/config.h"

struct alloc_ask {
	struct span registration_id;
	const char *policy;
	const char *hubs;    /* that may be taken, joined by a space; "" = all of ours */
	struct span address; /* of the device, with its port */
};

#define ALLOC_HUBS_MAX 50

/* NULL where no hub is left. The name is hub.name's own spelling. */
const char *alloc_hub(const struct config *cfg, const struct alloc_ask *a);
/* The hubs to choose among, in the order of hub.name: how many. */
size_t alloc_candidates(
    const struct config *cfg, const char *hubs, const char *ret[ALLOC_HUBS_MAX]);

#endif
