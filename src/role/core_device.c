/*
 * What edges ask for themselves: their own certificate, and what they refused.
 */
#include "domain/pki/issue.h"
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
	    [IPC_REFUSED] = on_refused,
	};
	return handlers[type];
}
