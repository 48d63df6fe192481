#ifndef AGENT_HUB_LINK_H
#define AGENT_HUB_LINK_H
/*
 * A device's connection to its hub (protocol/device.md 3.1 to 3.9): the user name, the
 * SAS password or the certificate, and telemetry with its property bag.
 */
#include "agent/mqtt_link.h"

#define HUB_LINK_PROPS_MAX 8

struct hub_link_opts {
	const char *host; /* the assigned hub */
	int64_t port;
	const char *device_id;
	struct tls_client *tls; /* pinned to host; with the certificate for X.509 */
	struct span sas_key;    /* decoded; empty for X.509. Used before open returns */
	int64_t sas_expiry_s;
	int64_t keepalive_ms, connect_ms;
};

/* The operations of mqtt_link.h; on_suback and on_message do not come. */
must_check int hub_link_open(struct loop *l, const struct hub_link_opts *opts,
    const struct mqtt_link_ops *ops, void *arg, struct mqtt_link **ret, struct err *e);

struct hub_link_prop {
	const char *key, *value;
};

/* One telemetry message, QoS 1, content type JSON in UTF-8; props: application properties
 * beside those, at most HUB_LINK_PROPS_MAX. */
must_check int hub_link_send(struct mqtt_link *m, const char *device_id, struct span body,
    const struct hub_link_prop *props, size_t nprops, int *ret_mid, struct err *e);

#endif
