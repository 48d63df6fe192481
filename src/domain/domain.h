#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H
/*
 * What every rule needs: the store (inside the turn's transaction), the configuration, the
 * time, and the turn's memory. And refusals: a rule that says no fills a struct refusal and
 * succeeds; only a rule that could not decide (disk, bug) returns -1 with an error.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "store/store.h"

struct domain {
	struct store *store;
	const struct config *cfg;
	const struct clock *clock;
	struct arena *arena;	   /* freed at the end of the turn */
	uint8_t service_ca[32];	   /* SHA-256 of the CA of servers and operators */
	uint8_t device_ca[32];	   /* SHA-256 of our device issuing CA */
	struct throttle *throttle; /* registrations, azure profile */
};

enum refusal_code {
#define REFUSAL(name, err, dps, hub, words) REFUSAL_##name,
#include "tbl/refusal.def"
#undef REFUSAL
	REFUSAL_N
};

struct refusal {
	enum refusal_code code; /* REFUSAL_NONE = granted */
	char detail[200];	/* particulars, for operators only */
};

struct refusal_row {
	const char *name;
	enum err_code err;
	int dps, hub; /* numbers on the wire */
	const char *words;
};
const struct refusal_row *refusal_row(enum refusal_code code);
/* Fills *r and returns 0, so that a rule reads: return refuse(r, REFUSAL_X, "..."); */
int refuse(struct refusal *r, enum refusal_code code, const char *fmt, ...) printf_like(3, 4);
/* "words: detail", for the connection log and the operator. In a static-free buffer of the
 * caller. */
#define REFUSAL_TEXT 300
void refusal_text(const struct refusal *r, char out[REFUSAL_TEXT]);

static inline int64_t
domain_now(const struct domain *d)
{
	return clock_wall_ms(d->clock);
}

#endif
