#ifndef FLEET_ATTEMPT_H
#define FLEET_ATTEMPT_H
/*
 * One MQTT CONNECT with a SAS token over TLS, to see what the hub says to it. No session,
 * no telemetry. Blocks for at most timeout_ms.
 */
#include "base/err.h"
#include "base/span.h"

struct attempt {
	const char *server_host; /* where to connect, and whose certificate it must be */
	int64_t port;
	const char *ca;  /* PEM file; NULL: the system's CAs */
	const char *hub; /* the name in the token and the user name */
	const char *device_id;
	struct span key; /* decoded */
	int64_t now_s;
	int64_t timeout_ms;
};

/* *ret_code: the CONNACK return code (MQTT 3.1.1 3.2.2.3). */
must_check int attempt_sas(const struct attempt *t, int *ret_code, struct err *e);

#endif
