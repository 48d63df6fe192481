/*
 * What AMQP asks besides the questions it shares with HTTPS: whether a credential is
 * good, when it ends, and what there is to read.
 */
#include "base/num.h"
#include "domain/access/policy.h"
#include "role/core.h"

#define CALENDAR_END_S INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

/* 0: not said, as of an operator's token, which is judged with each use like all others;
 * or beyond the calendar, which is never. */
static int64_t
end_of(const struct core *c, const struct ipc_cred *cred)
{
	if (cred->kind == CRED_SAS && cred->sas_expiry_s > CALENDAR_END_S)
		return 0;
	if (cred->kind == CRED_SAS)
		return (cred->sas_expiry_s + c->cfg.hub.clock_skew_s) * 1000;
	return cred->kind == CRED_X509 ? cred->not_after_ms : 0;
}

static int
on_login(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_login *m = msg;
	struct refusal no;
	if (policy_authorize(&c->d, &m->cred, 0, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		return core_done(c, a, "", end_of(c, &m->cred), e);
	int http = err_row(refusal_row(no.code)->err)->http;
	if (core_log_refusal(c, "service", SPAN_NONE, &m->peer, &m->cred, &no, http, e))
		return -1;
	return core_refused(c, a, &no, refusal_row(no.code)->hub, e);
}

static int
on_login_service(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_login_service *m = msg;
	return core_done(c, a, "", end_of(c, &m->cred), e);
}

static int
on_events_bounds(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct ipc_bounds m = {0};
	const char *created;
	(void)msg;
	if (store_event_bounds(c->store, &m.first_seq, &m.last_seq, &m.last_ms, e) ||
	    store_meta_get(c->store, "created_ms", turn_arena(c->turn), &created, e))
		return -1;
	num_ok(span_str(created), 0, INT64_MAX, &m.created_ms);
	if (core_answer(c, a, IPC_BOUNDS, &m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_login_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_LOGIN] = on_login,
	    [IPC_LOGIN_SERVICE] = on_login_service,
	    [IPC_EVENTS_BOUNDS] = on_events_bounds,
	};
	return handlers[type];
}
