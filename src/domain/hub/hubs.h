#ifndef DOMAIN_HUBS_H
#define DOMAIN_HUBS_H
/*
 * Several hubs in one server (docs/decisions/0019). An identity is on one of them at a
 * time: the one it was assigned to or made in. One that is on none (made before hubs were
 * told apart, or on a hub that is no more) is served by each, and listed with the first,
 * so that no change of hub.name leaves a device outside. A module is where its device is.
 */
#include "domain/domain.h"

/* The hub that a service request is for: what it calls us by, else the first. */
const char *hubs_asked(const struct config *cfg, struct span host);
/* The hub that an identity is on; NULL: on none, or of no hub of ours. */
const char *hubs_of(const struct config *cfg, const struct store_device *dev);
/* Whether a hub (a name of hub_conf_find) serves the identity, which is a device's. */
bool hubs_serves(
    const struct config *cfg, const char *hub, const struct store_device *dev);

/* Whether the hub's lists have the device; one hub's do. */
bool hubs_lists(
    const struct config *cfg, const char *hub, const struct store_device *dev);

/* The same of any identity: a module is where its device is. */
must_check int hubs_has(struct domain *d, const char *hub, const struct store_device *dev,
    bool *ret, struct err *e);

/* NOT_FOUND, in the words of an identity that is not there, where the device of "name"
 * (or of the module "dev/mod") is on another hub than the one asked by host, or nowhere.
 */
must_check int hubs_check(
    struct domain *d, struct span host, struct span name, struct err *e);

/* How many devices a hub lists. */
struct hubs_counts {
	int64_t total, enabled, connected;
};
must_check int hubs_count(
    struct domain *d, const char *hub, struct hubs_counts *ret, struct err *e);

#endif
