#ifndef FLEET_PACE_H
#define FLEET_PACE_H
/*
 * How fast a target may be asked: the throttles of its tier (protocol/service.md 6.2,
 * 6.3) as a bucket a family of operations, and what they make of a plan's duration. Pure:
 * time is an argument, milliseconds of a clock that does not jump.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum pace_family {
	PACE_REGISTRY, /* identities */
	PACE_QUERY,
	PACE_TWIN_READ,
	PACE_TWIN_WRITE,
	PACE_DPS,      /* enrollments and registrations, by us */
	PACE_REGISTER, /* registrations, by devices: which we set off */
	PACE_ARM,
	PACE_FAMILIES
};

/* "identity registry". For people. */
const char *pace_name(enum pace_family f);

/* ---- throttles ---- */

/* Of a whole hub and its provisioning service. */
struct pace_limits {
	char tier[8]; /* "S1"; "": none are known */
	int64_t units;
	int64_t per_min[PACE_FAMILIES]; /* 0: not known, or without a bound */
};

#define PACE_UNITS_MAX 200
/* ERR_PARSE on a tier whose throttles are not known. */
must_check int pace_limits_of(
    struct span tier, int64_t units, struct pace_limits *ret, struct err *e);

/* ---- a bucket ---- */

/* Of what a throttle allows so much is used, in hundredths: others ask the hub too. */
#define PACE_SHARE 90

struct pace {
	int64_t limit;   /* operations a minute that are allowed us; 0: no bound */
	int64_t rate;    /* those that are used now; 0: no bound */
	int64_t credit;  /* a 60,000th of an operation each */
	int64_t at_ms;   /* of credit */
	int64_t hold_ms; /* nothing before */
};

void pace_init(struct pace *p, int64_t per_min, int64_t now_ms);
/* 0: there is room. Else how long to wait before asking again. */
int64_t pace_wait(struct pace *p, int64_t now_ms);
/* The same; 0: it is counted. */
int64_t pace_take(struct pace *p, int64_t now_ms);
/* The target said 429, and after how long it may be asked again (0: it did not): nothing
 * until then, and half as fast afterwards. */
void pace_refused(struct pace *p, int64_t now_ms, int64_t wait_ms);
/* It took one: a little faster again, up to the limit. */
void pace_taken(struct pace *p);

/* ---- a prediction ---- */

/* What one device, and one gate, cost. */
struct pace_cost {
	int64_t device[PACE_FAMILIES], wave[PACE_FAMILIES];
	int64_t device_ms; /* of one device, were it alone */
	int64_t parallel;
};

#define PACE_BY_DEVICES PACE_FAMILIES
struct pace_prediction {
	int64_t ms;
	/* what takes longest of it: a family, or PACE_BY_DEVICES */
	int by;
};
void pace_predict(const struct pace_limits *l, const struct pace_cost *c,
    const size_t *waves, size_t n, struct pace_prediction *ret);
/* "2 h 5 min", "40 s" */
#define PACE_TEXT 48
void pace_text(int64_t ms, char out[PACE_TEXT]);

#endif
