#ifndef AGENT_TELEMETRY_H
#define AGENT_TELEMETRY_H
/*
 * The telemetry message, with a simulated sensor: temperature and humidity wander.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

struct telemetry {
	int temperature_c100, humidity_pc100; /* hundredths; drawn by telemetry_init */
};

void telemetry_init(struct telemetry *t);

struct telemetry_facts {
	const char *device_id;
	int64_t now_ms;
	bool x509;
	int64_t not_after_ms; /* of the certificate; 0 with SAS */
};

/* Moves the sensor a step and appends {"deviceId","temperature","humidity","timestamp",
 * "authType","certDaysRemaining"}; certDaysRemaining is null with SAS. */
must_check int telemetry_write(
    struct telemetry *t, const struct telemetry_facts *f, struct buf *out, struct err *e);

#endif
