/*
 * Messages of devices that are not about the hub: registration, an edge's own
 * certificate, refusals.
 */
#include "domain/enrol.h"
#include "domain/issue.h"
#include "role/core.h"

static int
on_tls_request(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_tls_request *m = msg;
	struct ipc_signer_issue issue;
	if (issue_server(&c->d, m->spki, &issue, e))
		return -1;
	return core_sign(c, a, &issue, e);
}

/* ---- DPS ------------------------------------------------------------------------------
 */

static int
log_registration(struct core *c, const struct ipc_dps_register *m,
    const struct ipc_dps_state *st, struct err *e)
{
	struct arena *a = turn_arena(c->turn);
	struct store_conn line = {.what = "register",
	    .plane = "dps",
	    .device_id = arena_str(a, st->registration_id),
	    .auth = m->cred.kind == CRED_X509 ? "x509" : "sas",
	    .scope = "device",
	    .thumb = arena_str(a, st->thumb),
	    .reason = arena_printf(a, "%s%.*s, hub %.*s",
		st->group_id.len ? "group " : "individual enrollment",
		SPAN_FMT(st->group_id), SPAN_FMT(st->hub)),
	    .peer = arena_str(a, m->peer.address),
	    .agent = arena_str(a, m->peer.agent),
	    .proto = arena_str(a, m->peer.proto)};
	return core_log_conn(c, &line, e);
}

static int
on_dps_register(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_dps_register *m = msg;
	struct ipc_dps_state st = {0};
	struct refusal no;
	if (enrol_register(&c->d, m, &st, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE && span_eq_str(st.status, "unassigned"))
		return core_answer(c, a, IPC_DPS_STATE, &st, e);
	if (no.code == REFUSAL_NONE)
		return log_registration(c, m, &st, e) ||
			       core_answer(c, a, IPC_DPS_STATE, &st, e)
			   ? -1
			   : 0;
	int number = refusal_row(no.code)->dps;
	if (core_log_refusal(
		c, "dps", m->registration_id, &m->peer, &m->cred, &no, number, e))
		return -1;
	if (st.status.len) /* a disabled group has a state of its own */
		return core_answer(c, a, IPC_DPS_STATE, &st, e);
	return core_refused(c, a, &no, number, e);
}

static int
on_dps_poll(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_dps_poll *m = msg;
	struct ipc_dps_state st;
	struct refusal no;
	if (enrol_poll(&c->d, m, &st, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE)
		return core_answer(c, a, IPC_DPS_STATE, &st, e);
	int number = refusal_row(no.code)->dps;
	if (core_log_refusal(
		c, "dps", m->registration_id, &m->peer, &m->cred, &no, number, e))
		return -1;
	return core_refused(c, a, &no, number, e);
}

/* ---- what an edge refused by itself -------------------------------------------------
 */

static int
on_refused(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_refused *m = msg;
	struct arena *ar = turn_arena(c->turn);
	(void)a;
	struct store_conn line = {.what = "refused",
	    .plane = arena_str(ar, m->plane),
	    .device_id = arena_str(ar, m->device_id),
	    .module_id = arena_str(ar, m->module_id),
	    .auth = "none",
	    .scope = "",
	    .thumb = "",
	    .code = (int)m->code,
	    .reason = arena_str(ar, m->reason),
	    .peer = arena_str(ar, m->peer.address),
	    .agent = arena_str(ar, m->peer.agent),
	    .proto = arena_str(ar, m->peer.proto)};
	return core_log_conn(c, &line, e);
}

core_handler *
core_device_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_TLS_REQUEST] = on_tls_request,
	    [IPC_DPS_REGISTER] = on_dps_register,
	    [IPC_DPS_POLL] = on_dps_poll,
	    [IPC_REFUSED] = on_refused,
	};
	return handlers[type];
}
