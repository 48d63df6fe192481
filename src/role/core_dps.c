/*
 * Registrations of devices. Those that a webhook or the signer decides go on when that
 * has answered, whether or not the device's connection is still there.
 */
#include <stdlib.h>
#include <string.h>

#include "base/own.h"
#include "role/core_hook.h"

/* ---- what became of it ----------------------------------------------------------------
 */

static int
log_registration(struct core *c, const struct ipc_dps_state *st,
    const struct ipc_peer *peer, struct err *e)
{
	struct arena *a = turn_arena(c->turn);
	bool by_cert = span_eq_str(st->attestation, "x509");
	struct store_conn line = {.what = "register",
	    .plane = "dps",
	    .device_id = arena_str(a, st->registration_id),
	    .auth = by_cert ? "x509" : "sas",
	    .scope = "device",
	    .thumb = arena_str(a, st->thumb),
	    .reason = arena_printf(a, "%s%.*s, hub %.*s",
		st->group_id.len ? "group " : "individual enrollment",
		SPAN_FMT(st->group_id), SPAN_FMT(st->hub)),
	    .peer = arena_str(a, peer->address),
	    .agent = arena_str(a, peer->agent),
	    .proto = arena_str(a, peer->proto)};
	return core_log_conn(c, &line, e);
}

/* One that failed after it was put aside. */
static int
log_failure(struct core *c, const struct ipc_dps_state *st, const struct refusal *no,
    const struct ipc_peer *peer, struct err *e)
{
	const struct ipc_cred cred = {
	    .kind = span_eq_str(st->attestation, "x509") ? CRED_X509 : CRED_SAS};
	return core_log_refusal(c, "dps", st->registration_id, peer, &cred, no,
	    refusal_row(no->code)->dps, e);
}

/* What the identity's change means for its sessions, whatever became of the registration.
 */
static int
spread(struct core *c, const struct enrol_result *res, struct err *e)
{
	if (res->moved)
		core_recheck_device(c, res->moved);
	return core_twin_changed(
	    c, res->twin.device_id, res->twin.patch, res->twin.version, e);
}

/* a: the register that still waits for it; NULL: devices find it by polling. */
static int
tell(struct core *c, const struct ask *a, const struct enrol_result *res,
    const struct refusal *no, const struct enrol_pending *p, struct err *e)
{
	const struct ipc_peer peer = {
	    .address = span_str(p->address), .proto = span_str(p->proto)};
	const struct refusal gone = {.code = REFUSAL_OPERATION};
	if (!res->state.status.len)
		return a ? core_refused(c, a, &gone, refusal_row(gone.code)->dps, e) : 0;
	int rc = no->code == REFUSAL_NONE ? log_registration(c, &res->state, &peer, e)
					  : log_failure(c, &res->state, no, &peer, e);
	if (rc || spread(c, res, e))
		return -1;
	return a ? core_answer(c, a, IPC_DPS_STATE, &res->state, e) : 0;
}

/* ---- certificates ---------------------------------------------------------------------
 */

static void
drop(struct enrol_pending *p)
{
	own_wipe(p, sizeof(*p));
	free(p);
}

static int
finish_issue(struct core *c, const struct ask *a, const struct enrol_pending *p,
    const struct ipc_signer_issued *got, const struct err *why, struct err *e)
{
	struct enrol_result res;
	struct refusal no;
	int rc = enrol_issued(&c->d, p, got, why ? why->text : "", &res, &no, e);
	est_done(&c->d, &p->promise);
	return rc ? -1 : tell(c, a, &res, &no, p, e);
}

static int
on_certified(struct core *c, void *arg, const struct core_reply *r, struct err *e)
{
	struct enrol_pending *p = arg;
	const void *got = r->type == IPC_SIGNER_ISSUED ? r->msg : NULL;
	int rc = finish_issue(c, r->ask, p, got, r->why, e);
	drop(p);
	return rc;
}

/* The answer to a waits for the certificate. */
static int
issue(struct core *c, const struct ask *a, const struct enrol_result *res, struct err *e)
{
	struct err why = {0};
	struct enrol_pending *p = own_alloc(sizeof(*p));
	*p = res->pending;
	if (core_sign_then(c, a, &res->issue, on_certified, p, &why) == 0)
		return 0;
	int rc = finish_issue(c, a, p, NULL, &why, e);
	drop(p);
	return rc;
}

/* ---- webhooks -------------------------------------------------------------------------
 */

int
core_dps_called(struct core *c, const struct enrol_pending *p,
    const struct ipc_hook_answer *answer, const char *why, struct err *e)
{
	struct enrol_result res;
	struct refusal no;
	if (enrol_called(&c->d, p, answer, why, &res, &no, e))
		return -1;
	memcpy(res.pending.proto, p->proto, sizeof(p->proto));
	int rc = res.next != ENROL_ISSUE ? tell(c, NULL, &res, &no, p, e)
		 : spread(c, &res, e)    ? -1
					 : issue(c, NULL, &res, e);
	own_wipe(&res.pending, sizeof(res.pending));
	return rc;
}

/* Where nobody can be asked it has failed, as if the webhook had: what is on record must
 * not wait for an answer that never comes. */
static int
call(struct core *c, const struct ask *a, const struct ipc_dps_register *m,
    const struct enrol_result *res, struct err *e)
{
	struct enrol_result end;
	struct refusal no;
	struct err why = {0};
	if (core_hook_call(c, &res->pending, m->payload, &why) == 0)
		return core_answer(c, a, IPC_DPS_STATE, &res->state, e);
	if (enrol_called(&c->d, &res->pending, NULL, why.text, &end, &no, e))
		return -1;
	return tell(c, a, &end, &no, &res->pending, e);
}

/* ---- messages -------------------------------------------------------------------------
 */

static int
refuse(struct core *c, const struct ask *a, const struct ipc_dps_register *m,
    const struct ipc_dps_state *st, const struct refusal *no, struct err *e)
{
	int number = refusal_row(no->code)->dps;
	if (core_log_refusal(
		c, "dps", m->registration_id, &m->peer, &m->cred, no, number, e))
		return -1;
	if (st->status.len) /* disabled and failed are states of their own */
		return core_answer(c, a, IPC_DPS_STATE, st, e);
	return core_refused(c, a, no, number, e);
}

static int
accept(struct core *c, const struct ask *a, const struct ipc_dps_register *m,
    struct enrol_result *res, struct err *e)
{
	(void)span_to_str(m->peer.proto, res->pending.proto, sizeof(res->pending.proto));
	if (res->next == ENROL_ISSUE)
		return issue(c, a, res, e);
	if (res->next == ENROL_CALL)
		return call(c, a, m, res, e);
	if (res->next == ENROL_DONE && log_registration(c, &res->state, &m->peer, e))
		return -1;
	return core_answer(c, a, IPC_DPS_STATE, &res->state, e);
}

static int
on_dps_register(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_dps_register *m = msg;
	struct enrol_result res;
	struct refusal no;
	if (enrol_register(&c->d, m, &res, &no, e))
		return -1;
	if (no.code == REFUSAL_NONE && span_eq_str(res.state.status, "unassigned"))
		return core_answer(c, a, IPC_DPS_STATE, &res.state, e);
	int rc = spread(c, &res, e);
	if (rc == 0)
		rc = no.code == REFUSAL_NONE ? accept(c, a, m, &res, e)
					     : refuse(c, a, m, &res.state, &no, e);
	own_wipe(&res.pending, sizeof(res.pending));
	return rc;
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

core_handler *
core_dps_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_DPS_REGISTER] = on_dps_register,
	    [IPC_DPS_POLL] = on_dps_poll,
	};
	return handlers[type];
}
