/*
 * Health in the core: asked for over the service API, and watched, so that the log has a
 * line when something gets worse or better. And the figures that others watch.
 */
#include "base/log.h"
#include "domain/hub/clone.h"
#include "domain/metrics.h"
#include "role/core_pki.h"

#define WATCH_MS   60000
#define DEEP_EVERY 60

static struct health_inputs
inputs(const struct core_pki *p, bool deep)
{
	return (struct health_inputs){.signer_up = p->core->signer != NULL,
	    .journal_count = p->journal_count,
	    .ca_problem = p->core->ca_problem,
	    .clones = p->core->clones,
	    .started_ms = p->started_ms,
	    .deep = deep};
}

/* ---- the log --------------------------------------------------------------------------
 */

static int
watch_item(void *ctx, const struct health_item *i, struct err *e)
{
	static const enum log_level levels[] = {LOG_INFO, LOG_WARN, LOG_ERROR};
	struct core_pki *p = ctx;
	(void)e;
	if (health_watch_changed(&p->watch, i))
		log_event(levels[i->state], "core.health", LOG_STR("item", i->name),
		    LOG_STR("state", health_state_name(i->state)),
		    LOG_STR("text", i->text));
	return 0;
}

static int
on_journal(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct core_pki *p = arg;
	const struct ipc_done *m = r->msg;
	(void)c, (void)e;
	if (r->last && !r->why && m)
		p->journal_count = m->number;
	return 0;
}

/* How long until lists must be looked at: lives are days, in tests seconds. */
static int64_t
watch_every_ms(const struct core *c)
{
	int64_t eighth = c->cfg.pki.crl_life_ms / 8;
	return eighth < WATCH_MS ? eighth : WATCH_MS;
}

void
core_health_round(struct core_pki *p)
{
	struct core *c = p->core;
	struct err e;
	const struct health_inputs in = inputs(p, p->watches % DEEP_EVERY == 1);
	const struct ipc_signer_health m = {0};
	if (loop_now_ms(c->loop) < p->watch_ms)
		return;
	p->watches++;
	p->watch_ms = loop_now_ms(c->loop) + watch_every_ms(c);
	if (c->signer &&
	    core_ask_signer(c, NULL, IPC_SIGNER_HEALTH, &m, on_journal, p, &e))
		log_event(LOG_ERROR, "core.health", LOG_ERR(&e));
	if (health_each(&c->d, &in, watch_item, p, &e))
		log_event(LOG_ERROR, "core.health", LOG_ERR(&e));
}

/* ---- the service API ------------------------------------------------------------------
 */

struct listing {
	struct core *c;
	const struct ask *a;
};

static int
answer_item(void *ctx, const struct health_item *i, struct err *e)
{
	struct listing *l = ctx;
	const struct ipc_health m = {.name = span_str(i->name),
	    .state = span_str(health_state_name(i->state)),
	    .text = span_head(span_str(i->text), 300),
	    .at_ms = i->at_ms};
	return core_answer(l->c, l->a, IPC_HEALTH, &m, e);
}

static int
on_health_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct listing l = {c, a};
	const struct health_inputs in = inputs(c->pki, true);
	(void)msg;
	if (health_each(&c->d, &in, answer_item, &l, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* ---- metrics --------------------------------------------------------------------------
 */

static int
answer_sample(void *ctx, const struct metrics_sample *s, struct err *e)
{
	struct listing *l = ctx;
	struct span label[METRICS_LABELS];
	for (int i = 0; i < METRICS_LABELS; i++)
		label[i] = span_head(span_str(s->label[i] ? s->label[i] : ""), 64);
	const struct ipc_metric m = {.family = (uint8_t)s->metric,
	    .a = label[0],
	    .b = label[1],
	    .c = label[2],
	    .milli = s->milli};
	return core_answer(l->c, l->a, IPC_METRIC, &m, e);
}

static int
on_metrics_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct listing l = {c, a};
	const struct health_inputs health = inputs(c->pki, false);
	const struct metrics_inputs in = {
	    .counted = c->metrics, .sessions = &c->sessions, .health = &health};
	(void)msg;
	if (metrics_each(&c->d, &in, answer_sample, &l, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_health_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_HEALTH_GET] = on_health_get,
	    [IPC_METRICS_GET] = on_metrics_get,
	};
	return handlers[type];
}
