#ifndef CODEC_HUB_CONF_H
#define CODEC_HUB_CONF_H
/*
 * What the configuration says of the hubs in this server: their names and aliases, their
 * weights, which take part in allocation, and how far they are from whom. hub.name lists
 * the hubs; names returned are its own spelling, and live as long as the configuration.
 */
#include "codec/addr.h"
#include "codec/config.h"

#define HUB_CONF_WEIGHT_MAX 1000

/* hub.alias, dps.hub_weights, dps.hubs_excluded, dps.regions and dps.latencies: well
 * formed, and of hubs and regions that there are. Part of config_check. */
must_check int hub_conf_check(const struct config *c, struct err *e);

/* The hub that a name or an alias means, with a port behind it or none; NULL where it is
 * none of ours. */
const char *hub_conf_find(const struct config *c, struct span host);
/* The part of an alias's word in front of its '='. */
struct span hub_conf_alias(const char *word);

/* 1 to HUB_CONF_WEIGHT_MAX. */
int64_t hub_conf_weight(const struct config *c, const char *hub);
bool hub_conf_is_excluded(const struct config *c, const char *hub);
/* The region with the longest prefix around an address; empty where there is none. */
struct span hub_conf_region(const struct config *c, const uint8_t ip[ADDR_LEN]);
/* Milliseconds from region to hub; INT64_MAX where none are given. */
int64_t hub_conf_latency(const struct config *c, struct span region, const char *hub);

#endif
