#ifndef FLEET_TARGET_H
#define FLEET_TARGET_H
/*
 * Where the campaign's server is and as whom we speak to it: from a muster home (address
 * in run/ports, CA in ca/root.pem, certificate in operators/) or told one by one.
 */
#include "base/arena.h"
#include "fleet/rest.h"

struct target_opts { /* NULL or "": from the home */
	const char *home;
	const char *server;   /* https://host:port */
	const char *mqtt;     /* host:port, for the seal's attempts */
	const char *ca;       /* PEM file */
	const char *operator; /* name in operators/ */
	const char *cert, *key;
	const char *resource; /* ARM path of the hub */
};

struct target {
	struct rest_opts rest;
	const char *mqtt_host;
	int64_t mqtt_port;
	const char *resource;
};

#define TARGET_RESOURCE                                                                  \
	"/subscriptions/muster/resourceGroups/muster/providers/Microsoft.Devices/"       \
	"IotHubs/muster"
#define TARGET_RESOURCE_DPS                                                              \
	"/subscriptions/muster/resourceGroups/muster/providers/Microsoft.Devices/"       \
	"provisioningServices/muster"

/* --home, $MUSTER_HOME, ~/.muster. */
const char *target_home(const char *told, struct arena *a);
/* Texts live in a. ERR_NOT_FOUND says what is missing and which option gives it; ERR_PERM
 * a key that others may read. */
must_check int target_find(
    const struct target_opts *o, struct arena *a, struct target *ret, struct err *e);
/* MQTT of a hub elsewhere ("host" or "host:port"): as o says, else that host at 8883. */
must_check int target_mqtt(const struct target_opts *o, const char *host, struct arena *a,
    struct target *ret, struct err *e);
/* The two ports in H/run/ports. ERR_UNAVAILABLE when no server runs there. */
must_check int target_ports(
    const char *home, int64_t *ret_mqtt, int64_t *ret_https, struct err *e);

#endif
