#ifndef DOMAIN_SIGHTING_H
#define DOMAIN_SIGHTING_H
/*
 * What stands in the connection log of devices over HTTPS. Such a device has no
 * connection that begins and ends, and a line a request would drown the log; yet a seal
 * goes by the log ("no SAS in 24 h", "no SAS since the switch"). So a line is due where a
 * device comes with another credential than last time, after a session was opened for
 * it, and every so often while it goes on. In memory: after a restart all are due, and so
 * is, where there are too many, whoever had a line longest ago.
 */
#include "domain/hub/session.h"

/* SAS more often: it is what is looked for. */
#define SIGHTING_SAS_MS  (INT64_C(10) * 60 * 1000)
#define SIGHTING_X509_MS (INT64_C(60) * 60 * 1000)

struct sightings;

/* Of a million devices with names like "device-000017". */
#define SIGHTING_BYTES_MAX ((size_t)144 << 20)
struct sightings *sighting_new(size_t bytes_max);
void sighting_free(struct sightings *t);

/* s: as session_judge describes who came. */
bool sighting_is_due(const struct sightings *t, const struct session *s, int64_t now_ms);
/* The line is durable. */
void sighting_note(struct sightings *t, const struct session *s, int64_t now_ms);
/* Whatever comes next is due: something else about this identity was logged. */
void sighting_forget(struct sightings *t, const char *name);

#endif
