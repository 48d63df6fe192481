/*
 * Messages about operators: who they are, and their signing in.
 */
#include "base/log.h"
#include "domain/pki/leaf.h"
#include "domain/access/principal.h"
#include "domain/access/signin.h"
#include "role/core.h"

const char *
core_operator_of(struct core *c, const struct ipc_cred *cred)
{
	char thumb[LEAF_THUMB];
	struct store_operator op;
	struct err e;
	struct arena *ar = turn_arena(c->turn);
	const char *name;
	if (cred->kind == CRED_BEARER && signin_name(&c->d, cred, &name, &e) == 0)
		return arena_printf(ar, "operator:%s", name);
	leaf_thumb(cred, thumb);
	if (store_operator_get(c->store, thumb, ar, &op, &e))
		return arena_printf(ar, "operator:%s", thumb);
	return arena_printf(ar, "operator:%s", op.name);
}

static int
answer_operator(struct core *c, const struct ask *a, const struct store_principal *p,
    const char *secret, struct err *e)
{
	struct ipc_operator m = {.name = span_str(p->name),
	    .app_id = span_str(p->app_id),
	    .role = span_str(p->role),
	    .secret = span_str(secret),
	    .added_ms = p->added_ms,
	    .secret_ms = p->secret_ms,
	    .secret_end_ms = p->secret_end_ms,
	    .signin_ms = p->signin_ms};
	if (store_operator_count(
		c->store, p->name, domain_now(&c->d), &m.certificates, e))
		return -1;
	return core_answer(c, a, IPC_OPERATOR, &m, e);
}

struct listing {
	struct core *c;
	const struct ask *a;
};

static int
visit(void *ctx, const struct store_principal *p, struct err *e)
{
	const struct listing *l = ctx;
	return answer_operator(l->c, l->a, p, "", e);
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_operator_query *m = msg;
	struct arena *ar = turn_arena(c->turn);
	struct listing l = {c, a};
	struct store_principal p;
	if (!m->name.len && store_principal_each(c->store, visit, &l, e))
		return -1;
	if (m->name.len &&
	    (store_principal_get(c->store, arena_str(ar, m->name), ar, &p, e) ||
		answer_operator(c, a, &p, "", e)))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_operator_put *m = msg;
	struct store_principal p;
	const char *secret;
	if (principal_put(&c->d, m, &p, &secret, e) ||
	    answer_operator(c, a, &p, secret, e))
		return -1;
	log_event(LOG_WARN, "core.operator", LOG_STR("name", p.name),
	    LOG_STR("role", p.role), LOG_INT("secret", m->secret));
	return core_done(c, a, "", 0, e);
}

static int
on_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_operator_delete *m = msg;
	if (principal_delete(&c->d, m->name, e))
		return -1;
	log_event(LOG_WARN, "core.operator_removed", LOG_SPAN("name", m->name));
	return core_done(c, a, "", 0, e);
}

static int
on_signin(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_signin *m = msg;
	static const struct ipc_cred nobody = {.kind = CRED_NONE};
	struct refusal no;
	const char *token;
	if (signin_check(&c->d, m, &token, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE) {
		const struct refusal_row *row = refusal_row(no.code);
		if (core_log_refusal(c, "service", SPAN_NONE, &m->peer, &nobody, &no,
			err_row(row->err)->http, e))
			return -1;
		return core_refused(c, a, &no, row->hub, e);
	}
	log_event(LOG_INFO, "core.signin", LOG_SPAN("application", m->app_id),
	    LOG_SPAN("resource", m->resource), LOG_SPAN("peer", m->peer.address));
	const struct ipc_bearer got = {.token = span_str(token), .life_s = SIGNIN_LIFE_S};
	return core_answer(c, a, IPC_BEARER, &got, e);
}

core_handler *
core_operator_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_OPERATOR_QUERY] = on_query,
	    [IPC_OPERATOR_PUT] = on_put,
	    [IPC_OPERATOR_DELETE] = on_delete,
	    [IPC_SIGNIN] = on_signin,
	};
	return handlers[type];
}
