#ifndef AGENT_RENEW_PLAN_H
#define AGENT_RENEW_PLAN_H
/*
 * When a certificate is renewed, and when the server is asked next. Pure: dates, rules
 * and a seed in, a moment out; no clock, no chance, no I/O. Due is judged by wall time,
 * anew at every look, so a clock that jumps skips nothing; pauses are lengths, measured
 * by whoever waits on a monotonic clock.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

struct agent_config;

struct renew_rules {
	int64_t before_ms, share; /* tbl/agent_config.def, section renew */
	int64_t check_ms, retry_min_ms, retry_max_ms;
};
struct renew_rules renew_plan_rules(const struct agent_config *cfg);

enum renew_why {
	RENEW_NOT_DUE,
	RENEW_AGE,     /* so much of its life is left */
	RENEW_ASKED,   /* the server's window */
	RENEW_EXPIRED, /* past its end: same key, bounded by the server's grace */
	RENEW_REUSED,  /* its key was certified again after the end: a new key now */
	RENEW_MOVED,   /* the key shall be elsewhere (auth.key_uri) */
	RENEW_TOLD,    /* by a person: --now */
	RENEW_WHYS
};
const char *renew_plan_why(enum renew_why w);

/* What a decision rests on. Windows that are empty or upside down count as none. */
struct renew_facts {
	int64_t not_before_ms, not_after_ms;
	int64_t window_start_ms, window_end_ms; /* the server's suggestion; 0, 0: none */
	uint64_t seed; /* of device and certificate: renew_plan_seed */
	bool reused, moved, told;
};

/* The same for the same device and certificate, spread evenly over devices. thumbprint:
 * any text that names the certificate. */
uint64_t renew_plan_seed(const char *device_id, const char *thumbprint);

/* Wall time at which renewal is due: the later of "before" and "share" (so a certificate
 * of two minutes is not due at birth), drawn back by up to an eighth of the life by the
 * seed so that what was issued together is not renewed together; or the seed's point of
 * the server's window where that is sooner. Never before a quarter of the life, the
 * server's window aside, which may lie in the past. */
int64_t renew_plan_due_ms(const struct renew_facts *f, const struct renew_rules *r);
/* RENEW_NOT_DUE before it. */
enum renew_why renew_plan_judge(
    const struct renew_facts *f, const struct renew_rules *r, int64_t now_ms);

/* What became of the last attempts. */
struct renew_past {
	int failures;           /* in a row */
	bool refused;           /* the last one: the server said no, for good */
	int64_t retry_after_ms; /* what it asked for; 0: nothing */
	int64_t poll_ms;        /* how often it wants to be asked; 0: it did not say */
};

/* How long to wait, from the last attempt's end (or from the start) to the next look: a
 * doubled pause after failures (fourfold after refusals), never below what the server
 * asked for (an eighth of the certificate's life at most); else until due, but at most
 * check (or poll), so that a jump of the clock is seen. Spread by the seed. At least 1.
 */
int64_t renew_plan_wait_ms(const struct renew_facts *f, const struct renew_rules *r,
    const struct renew_past *p, int64_t now_ms);

#define RENEW_PLAN_SOON_MS 60000
/* How long from the start of the device, or a change of its credential, to the first
 * look: within what is left of the wait since the last one (last_ms; 0: since its
 * certificate began), spread by the seed, so that a fleet that is powered on in one
 * minute does not ask in one; of a pause after failures, all of that. What is overdue by
 * then is looked at within RENEW_PLAN_SOON_MS: a device that wakes for an hour a day must
 * not spend each of them on a pause of six. */
int64_t renew_plan_first_ms(const struct renew_facts *f, const struct renew_rules *r,
    const struct renew_past *p, int64_t last_ms, int64_t now_ms);

#endif
