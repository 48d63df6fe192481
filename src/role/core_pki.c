/*
 * Rounds of standing work on certificates.
 */
#include "role/core_pki.h"

#include <string.h>

#include "base/log.h"
#include "domain/pki/revoke.h"
#include "store/pki.h"

#define FIRST_MS        200 /* until the signer has named its CAs */
#define ROUND_MS        5000
#define BACKLOG_MS      20 /* while there is more to do */
#define SUPERSEDE_BATCH 64
#define TRIM_BATCH      1000
#define TRIM_AFTER_MS   INT64_C(86400000) /* answers of what ended a day ago */
#define LIVE_PER_MIN    60000

static void
start_timer(struct core_pki *p, int64_t after_ms)
{
	int64_t at = loop_now_ms(p->core->loop) + after_ms;
	if (p->due_ms && p->due_ms <= at)
		return;
	p->due_ms = at;
	loop_timer_start(p->timer, after_ms);
}

void
core_pki_soon(struct core *c)
{
	start_timer(c->pki, c->cfg.pki.crl_delay_ms);
}

void
core_pki_settled(struct core_pki *p, const char *what, const struct err *why)
{
	p->asked--;
	if (why && !p->failing)
		log_event(LOG_ERROR, "core.status", LOG_STR("what", what), LOG_ERR(why));
	p->failing = why != NULL;
	if (p->asked == 0 && !why)
		start_timer(p, BACKLOG_MS); /* there may be more that is due */
}

/* CertIDs of CAs that were added, or put in or out of use. */
static void
reload_book(struct core_pki *p)
{
	struct core *c = p->core;
	struct err e;
	if (memcmp(&p->seen, &c->issuers, sizeof(p->seen)) == 0)
		return;
	if (ocsp_book_load(&c->d, &p->book, &e))
		log_event(LOG_ERROR, "core.status", LOG_ERR(&e));
	else
		p->seen = c->issuers;
}

static void
after_round(void *arg, const void *item)
{
	struct core *c = arg;
	struct core_pki *p = c->pki;
	(void)item;
	reload_book(p);
	if (c->signer && !p->asked) {
		core_crl_round(p);
		core_ocsp_round(p);
	}
	core_health_round(p);
	start_timer(p, p->more ? BACKLOG_MS : p->book.n ? ROUND_MS : FIRST_MS);
}

static int
tidy(struct core_pki *p, struct err *e)
{
	struct core *c = p->core;
	if (revoke_superseded(&c->d, SUPERSEDE_BATCH, &p->more, e))
		return -1;
	return store_ocsp_trim(
	    c->store, domain_now(&c->d) - TRIM_AFTER_MS, TRIM_BATCH, e);
}

static void
on_round(void *arg)
{
	struct core_pki *p = arg;
	struct core *c = p->core;
	struct err e = {0};
	p->due_ms = 0;
	p->more = false;
	if (turn_enter(c->turn, NULL, &e)) {
		core_give_up(c, &e);
		return;
	}
	start_timer(p, ROUND_MS); /* also where this turn is lost */
	if (tidy(p, &e)) {
		turn_spoil(c->turn, &e);
		return;
	}
	turn_after(c->turn, after_round, "", 1);
}

struct core_pki *
core_pki_new(struct core *c)
{
	struct core_pki *p = own_alloc(sizeof(*p));
	p->core = c;
	p->journal_count = -1;
	p->started_ms = domain_now(&c->d);
	p->timer = loop_timer_new(c->loop, on_round, p);
	throttle_init(&p->live, LIVE_PER_MIN, loop_now_ms(c->loop));
	health_watch_init(&p->watch);
	start_timer(p, FIRST_MS);
	return p;
}

void
core_pki_free(struct core_pki *p)
{
	if (!p)
		return;
	loop_timer_free(p->timer);
	free(p);
}
