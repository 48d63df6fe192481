#ifndef ROLE_CORE_PKI_H
#define ROLE_CORE_PKI_H
/*
 * The core's standing work on certificates: CRLs and OCSP answers made anew in time,
 * superseded certificates revoked, health watched. Work is done in rounds, each after the
 * commit of a turn, so that nothing is signed that could be rolled back.
 */
#include "domain/health.h"
#include "domain/pki/ocsp_book.h"
#include "role/core.h"

struct core_pki {
	struct core *core;
	struct loop_timer *timer;
	int64_t due_ms; /* when the timer fires, by the loop's clock; 0: not started */
	struct issuer_book seen; /* as of which the next was loaded */
	struct ocsp_book book;
	unsigned asked;       /* questions of ours that the signer has */
	bool more;            /* a batch was full: the next round comes soon */
	bool failing;         /* the signer refused; said once */
	struct throttle live; /* OCSP answers signed while somebody waits */
	struct health_watch watch;
	int64_t watch_ms; /* when health is looked at next */
	uint64_t watches;
	int64_t journal_count; /* of the signer, -1 unknown */
	int64_t started_ms;
};

struct core_pki *core_pki_new(struct core *c);
void core_pki_free(struct core_pki *p);
/* Something was revoked or released: the next round comes within pki.crl_delay. */
void core_pki_soon(struct core *c);

/* ---- parts of a round, after the commit ---- */
void core_crl_round(struct core_pki *p);
void core_ocsp_round(struct core_pki *p);
void core_health_round(struct core_pki *p);
/* A question of a round failed or was answered. */
void core_pki_settled(struct core_pki *p, const char *what, const struct err *why);

#endif
