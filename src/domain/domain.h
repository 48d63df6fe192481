#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H
/*
 * What every rule needs: the store (inside the turn's transaction), the configuration,
 * the time, and the turn's memory.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "domain/refusal.h"
#include "store/store.h"

struct issuer_book;

struct domain {
	struct store *store;
	const struct config *cfg;
	const struct clock *clock;
	struct arena *arena;               /* freed when the request is done */
	const struct issuer_book *issuers; /* domain/pki/issuer.h; NULL: not known yet */
	struct throttle *throttle;         /* registrations, azure profile */
	struct est_guard *est;             /* enrolments under way */
	struct poll_guard *polls;          /* of devices; NULL: no limit */
	bool hooks_full;                   /* no webhook can be asked for now */
	struct signin_guard *signins;      /* operators' wrong secrets */
};

static inline int64_t
domain_now(const struct domain *d)
{
	return clock_wall_ms(d->clock);
}

#endif
