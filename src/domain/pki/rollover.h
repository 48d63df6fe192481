#ifndef DOMAIN_ROLLOVER_H
#define DOMAIN_ROLLOVER_H
/*
 * From one CA to the next, as a campaign:
 *
 *	start	the new CA (and its root) is trusted beside the old; enrollment groups
 *that name the old one name both wave	the new CA issues; a share of the fleet is told,
 *at check-in, to renew in a window that lies at the wave's start
 *	finish	when nobody uses the old CA any more it is retired, and leaves the groups
 *	stop	all of it undone, before the old one is retired
 *
 * and the same from a CA that was revoked: everybody is called, and comes back by exactly
 * the certificate that our own record has (domain/pki/renew.h). One of a purpose at a
 *time.
 *
 * For CAs of servers and operators (purpose service) a wave is the cut-over, of all at
 * once: it is gated by what devices told of their trust anchors.
 */
#include "domain/pki/census.h"
#include "domain/pki/issuer.h"
#include "store/pki.h"

enum rollover_state {
	ROLLOVER_READY,     /* started; nobody was called */
	ROLLOVER_MOVING,    /* the new one issues */
	ROLLOVER_EMERGENCY, /* the old one is revoked */
	ROLLOVER_FINISHED,
	ROLLOVER_STOPPED,
	ROLLOVER_STATE_N
};
const char *rollover_state_name(enum rollover_state s);
bool rollover_is_open(const struct store_rollover *r);

/* All that are under way, one a purpose; youngest first. */
#define ROLLOVER_OPEN_MAX CA_PURPOSE_N
struct rollover_list {
	struct store_rollover v[ROLLOVER_OPEN_MAX];
	size_t n;
};
must_check int rollover_list(struct domain *d, struct rollover_list *ret, struct err *e);
/* The open one that the CA of that name is part of, old or new; "": the only one there
 * is. NOT_FOUND; CONFLICT where a name is wanted. */
must_check int rollover_of(
    struct domain *d, struct span name, struct store_rollover *ret, struct err *e);
/* The youngest, open or ended; n 0 where there never was one. */
must_check int rollover_last(struct domain *d, struct store_rollover *ret, struct err *e);

/* ---- the device's side ---- */

/* What a rollover wants of a device whose certificate is of that issuer (SHA-256, hex).
 * The window lies at the wave's start and stays there, however often the device asks. */
struct rollover_call {
	bool called;
	int64_t start_ms, end_ms;
	int64_t poll_ms;    /* ask again within; 0: no wish */
	const char *reason; /* static */
};
must_check int rollover_call(struct domain *d, struct span device_id, const char *issuer,
    struct rollover_call *ret, struct err *e);
/* A certificate of a revoked CA is good for getting another unless it was issued at or
 * after the moment that the operator stated; *ret false then. */
must_check int rollover_is_before_compromise(
    struct domain *d, const struct store_cert *c, bool *ret, struct err *e);

/* ---- the operator's ---- */

/* from "": the active one. ERR_EXISTS where one of the purpose is under way, or where a
 * group stands in the way; nothing is changed then. */
must_check int rollover_start(struct domain *d, struct span from, struct span to,
    int64_t spread_ms, struct store_rollover *ret, struct err *e);
/* share: of CENSUS_ALL, never smaller than before; spread_ms -1: as before. GATE, by c,
 * where too many of the former wave have not moved, or (service) devices lack the new
 * root; force passes. */
must_check int rollover_wave(struct domain *d, struct store_rollover *r, int64_t share,
    int64_t spread_ms, const struct census *c, bool force, struct err *e);
/* GATE, by a final c, where the old CA is still of use to anybody. */
must_check int rollover_finish(struct domain *d, struct store_rollover *r,
    const struct census *c, bool force, struct err *e);
must_check int rollover_stop(struct domain *d, struct store_rollover *r, struct err *e);

/* An intermediate's key is in other hands. */
struct rollover_alarm {
	struct span name, to; /* to "": the best there is */
	int reason;           /* RFC 5280 5.3.1 */
	int64_t since_ms;     /* when it began; 0: what is on record may all come back */
	int64_t spread_ms;    /* -1: as the server can bear */
	const char *operator_issuer; /* SHA-256 of the CA of who asks, "" = none */
	bool force;
};
/* Another CA of the purpose issues, the old one is revoked, groups name the new one, all
 * of its devices are called. GATE where there is no other CA, or where who asks would
 * lock himself out (force passes that alone). */
must_check int rollover_revoke(struct domain *d, const struct rollover_alarm *m,
    struct store_rollover *ret, struct err *e);

/* What that would mean, without doing it. */
#define ROLLOVER_MISSING 6
struct rollover_drill {
	struct store_issuer from, to; /* to.name "" = there is none */
	int64_t spread_ms;            /* what the re-issue would be spread over */
	const char *groups;           /* that name it, joined by a space */
	const char *missing[ROLLOVER_MISSING];
	size_t n_missing; /* 0: ready */
};
must_check int rollover_drill(struct domain *d, const struct rollover_alarm *m,
    struct rollover_drill *ret, struct err *e);
/* Over how long so many re-enrolments are spread that the server keeps up. */
int64_t rollover_spread_ms(int64_t devices);

#endif
