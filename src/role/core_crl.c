/*
 * CRLs in the core: rounds of signing, and lists for edges.
 */
#include <string.h>

#include "base/log.h"
#include "domain/pki/crl_plan.h"
#include "role/core_pki.h"

/* ---- making them ----------------------------------------------------------------------
 */

struct signing {
	struct core_pki *pki;
	struct crl_job job; /* its entries are with the signer */
};

static int
on_signed(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct signing *s = arg;
	int rc = 0;
	if (r->type == IPC_SIGNER_SIGNED) {
		const struct ipc_signer_signed *m = r->msg;
		rc = crl_plan_keep(&c->d, &s->job, m->der, e);
	}
	if (r->last) {
		core_pki_settled(s->pki, "crl", rc ? e : r->why);
		free(s);
	}
	return rc;
}

static int
ask(struct core_pki *p, const struct crl_job *j, struct err *e)
{
	struct ipc_signer_crl m = crl_plan_question(j);
	auto_(free) struct signing *s = own_alloc(sizeof(*s));
	*s = (struct signing){.pki = p, .job = *j};
	s->job.entries = SPAN_NONE;
	if (core_ask_signer(p->core, NULL, IPC_SIGNER_CRL, &m, on_signed, s, e))
		return -1;
	p->asked++;
	(void)TAKE(s);
	return 0;
}

static int
make_place(struct core_pki *p, const struct crl_place *place, struct err *e)
{
	struct crl_job jobs[CRL_JOBS];
	size_t n;
	if (crl_plan_jobs(&p->core->d, place, jobs, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (ask(p, &jobs[i], e))
			return -1;
	return 0;
}

void
core_crl_round(struct core_pki *p)
{
	struct crl_place v[CRL_PLAN_BATCH];
	struct err e;
	size_t n;
	if (crl_plan_due(&p->core->d, v, &n, &e)) {
		log_event(LOG_ERROR, "core.crl", LOG_ERR(&e));
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (make_place(p, &v[i], &e))
			log_event(LOG_ERROR, "core.crl", LOG_STR("issuer", v[i].issuer),
			    LOG_INT("shard", v[i].shard), LOG_ERR(&e));
}

/* ---- handing them out -----------------------------------------------------------------
 */

static int
on_crl_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_crl_get *m = msg;
	struct store_crl l;
	if (crl_plan_get(&c->d, m->issuer, m->shard, m->delta != 0, &l, e))
		return -1;
	const struct ipc_crl row = {.number = l.number,
	    .this_ms = l.this_ms,
	    .next_ms = l.next_ms,
	    .der = m->have == l.number ? SPAN_NONE : l.der};
	if (core_answer(c, a, IPC_CRL, &row, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_ca_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_ca_get *m = msg;
	struct store_issuer i;
	struct arena *ar = turn_arena(c->turn);
	if (store_issuer_by_name(c->store, arena_str(ar, m->name), ar, &i, e))
		return -1;
	const struct ipc_cert row = {.der = i.cert};
	if (core_answer(c, a, IPC_CERT, &row, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

/* ---- the list of lists ----------------------------------------------------------------
 */

struct listing {
	struct core *c;
	const struct ask *a;
};

static int
answer_row(void *ctx, const struct store_crl *l, struct err *e)
{
	struct listing *x = ctx;
	struct store_issuer i;
	if (store_issuer_get(x->c->store, l->issuer, turn_arena(x->c->turn), &i, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	const struct ipc_crl_row m = {.name = span_str(i.name),
	    .issuer = span_str(l->issuer),
	    .shard = l->shard,
	    .delta = l->delta,
	    .number = l->number,
	    .this_ms = l->this_ms,
	    .next_ms = l->next_ms};
	return core_answer(x->c, x->a, IPC_CRL_ROW, &m, e);
}

static int
on_crl_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct listing x = {c, a};
	(void)msg;
	if (store_crl_each(c->store, answer_row, &x, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_crl_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_crl_put *m = msg;
	const char *name;
	if (crl_plan_import(&c->d, m->der, &name, e))
		return -1;
	log_event(LOG_INFO, "core.crl_imported", LOG_STR("ca", name));
	return core_done(c, a, name, 0, e);
}

core_handler *
core_crl_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_CRL_GET] = on_crl_get,
	    [IPC_CA_GET] = on_ca_get,
	    [IPC_CRL_QUERY] = on_crl_query,
	    [IPC_CRL_PUT] = on_crl_put,
	};
	return handlers[type];
}
