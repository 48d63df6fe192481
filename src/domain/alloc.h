#ifndef DOMAIN_ALLOC_H
#define DOMAIN_ALLOC_H
/*
 * Which hub a device is assigned to (protocol/device.md 2.6). "hashed" is a rendezvous
 * hash (highest random weight) of the lower-cased registration ID over the hub names:
 * every node computes the same, and adding a hub to n moves 1 in n + 1 devices, all of
 * them to it.
 */
#include "base/span.h"
#include "codec/conf.h"

/* hubs: names joined by a space; "" = all of "linked". policy: "hashed" or "static" (the
 * first). NULL when no name is left. The name returned is linked's own spelling. */
const char *alloc_hub(struct span registration_id, const char *policy, const char *hubs,
    const struct conf_list *linked);

#endif
