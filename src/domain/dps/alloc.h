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
 * A hub that is not linked, or takes no part in allocation (links.h), is assigned by none
 * of them, nor by a webhook.
 */
#include "domain/dps/links.h"

struct alloc_ask {
	struct span registration_id;
	const char *policy;
	const char *hubs;    /* that may be taken, joined by a space; "" = all linked */
	struct span address; /* of the device, with its port */
};

/* NULL where no hub is left. The name is hub.name's own spelling. */
const char *alloc_hub(
    const struct config *cfg, const struct links *l, const struct alloc_ask *a);
/* The hubs to choose among, in the order of hub.name: how many. */
size_t alloc_candidates(const struct config *cfg, const struct links *l, const char *hubs,
    const char *ret[LINKS_MAX]);

#endif
