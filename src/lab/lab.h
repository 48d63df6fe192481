#ifndef LAB_LAB_H
#define LAB_LAB_H
/*
 * A fleet on one machine, for rehearsals, demos and tests: N simulated devices (the real
 * agent code, real TLS and MQTT) on SAS keys of an enrollment group, each reached through
 * the system's own sshd on a loopback address of its own. Everything lives under
 * HOME/lab.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

#define LAB_DEVICES_MAX 10000
#define LAB_GROUP       "lab-sas"

struct lab_opts {
	const char *home;
	int64_t devices;
	const char *fault; /* "dev-0007=disk-full", NULL */
	int64_t telemetry_ms;
	bool json;
	const char *operator; /* NULL: admin */
};

/* Returns when every device is connected with SAS and was heard. What it started before a
 * failure is stopped again. ERR_EXISTS when a lab runs in this home. */
must_check int lab_up(const struct lab_opts *o, struct err *e);
must_check int lab_status(const struct lab_opts *o, struct err *e);
/* Ends a fault; device NULL: all of them. */
must_check int lab_mend(const struct lab_opts *o, const char *device, struct err *e);
/* Stops all that lab_up started and checks that nothing is left. Nothing running is fine.
 */
must_check int lab_down(const struct lab_opts *o, struct err *e);

#endif
