/*
 * The CAs over the service API: what each is doing, and changes of it.
 */
#include <string.h>

#include "base/log.h"
#include "crypto/crl.h"
#include "role/core.h"
#include "store/pki.h"

static void
after_change(void *arg, const void *item)
{
	struct core *c = arg;
	struct err e;
	(void)item;
	if (core_load_issuers(c, &e))
		log_event(LOG_ERROR, "core.issuers", LOG_ERR(&e));
}

void
core_issuers_changed(struct core *c)
{
	turn_after(c->turn, after_change, "", 1);
	c->anchors_changed = true;
}

/* ---- rows -----------------------------------------------------------------------------
 */

/* The newest number among an issuer's full lists, and the first end. */
struct lists {
	const char *issuer;
	int64_t number, next_ms;
};

static int
visit_crl(void *ctx, const struct store_crl *l, struct err *e)
{
	struct lists *all = ctx;
	(void)e;
	if (l->delta || strcmp(l->issuer, all->issuer) != 0)
		return 0;
	if (l->number > all->number)
		all->number = l->number;
	if (!all->next_ms || l->next_ms < all->next_ms)
		all->next_ms = l->next_ms;
	return 0;
}

static int
answer_issuer(struct core *c, const struct ask *a, const char *sha256, struct err *e)
{
	struct store_issuer row;
	struct store_cert_counts certs;
	struct lists lists = {.issuer = sha256};
	struct ipc_issuer m = {.state_ms = 0};
	if (store_issuer_get(c->store, sha256, turn_arena(c->turn), &row, e) ||
	    store_cert_count(c->store, sha256, domain_now(&c->d), &certs, e) ||
	    store_device_cert_count(c->store, sha256, &m.in_use, &m.last_seen_ms, e) ||
	    store_crl_each(c->store, visit_crl, &lists, e))
		return -1;
	m.name = span_str(row.name);
	m.purpose = span_str(row.purpose);
	m.state = span_str(row.state);
	m.custody = span_str(row.custody);
	m.cert = row.cert;
	m.state_ms = row.state_ms;
	m.unexpired = certs.unexpired;
	m.revoked = certs.revoked;
	m.crl_number = lists.number;
	m.crl_next_ms = lists.next_ms;
	return core_answer(c, a, IPC_ISSUER, &m, e);
}

static int
on_issuer_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_issuer_query *m = msg;
	size_t shown = 0;
	for (size_t i = 0; i < c->issuers.n; i++) {
		const struct issuer_entry *en = &c->issuers.v[i];
		if (m->name.len && !span_eq_str(m->name, en->name))
			continue;
		if (answer_issuer(c, a, en->hex, e))
			return -1;
		shown++;
	}
	if (m->name.len && !shown)
		return err_set(
		    e, ERR_NOT_FOUND, "there is no CA '%.*s'", SPAN_FMT(m->name));
	return core_done(c, a, "", 0, e);
}

/* ---- changes --------------------------------------------------------------------------
 */

static int
read_change(const struct ipc_issuer_put *m, struct issuer_change *ret, struct err *e)
{
	enum crl_reason reason = CRL_UNSPECIFIED;
	*ret = (struct issuer_change){.name = m->name, .force = m->force};
	if (issuer_state_parse(m->state, &ret->state, e))
		return -1;
	if (m->reason.len && ret->state != ISSUER_REVOKED)
		return err_set(e, ERR_PARSE, "a reason is for state revoked alone");
	if (m->reason.len && crl_reason_parse(m->reason, &reason, e))
		return -1;
	if (reason == CRL_HOLD || reason == CRL_REMOVE)
		return err_set(e, ERR_PARSE, "a CA is revoked for ever: no hold");
	ret->reason = (int)reason;
	return 0;
}

/* Sessions that stand on a CA that is not trusted any more end with the turn. */
static int
on_issuer_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_issuer_put *m = msg;
	struct issuer_change ch;
	struct store_issuer row;
	if (read_change(m, &ch, e) || issuer_put_state(&c->d, &ch, e))
		return -1;
	core_issuers_changed(c);
	core_recheck_all(c);
	log_event(LOG_WARN, "core.issuer", LOG_SPAN("ca", m->name),
	    LOG_SPAN("state", m->state), LOG_SPAN("reason", m->reason),
	    LOG_INT("forced", m->force));
	struct arena *ar = turn_arena(c->turn);
	if (store_issuer_by_name(c->store, arena_str(ar, m->name), ar, &row, e) ||
	    answer_issuer(c, a, row.sha256, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_issuer_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_ISSUER_QUERY] = on_issuer_query,
	    [IPC_ISSUER_PUT] = on_issuer_put,
	};
	return handlers[type];
}
