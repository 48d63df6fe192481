/*
 * The audit record: a line for each message of tbl/audit.def, written where messages are
 * dispatched, so that no handler can forget it.
 */
#include <stdio.h>

#include "base/log.h"
#include "role/core.h"
#include "role/core_list.h"
#include "store/audit.h"

#define PAGE 1000

/* What every message of the service side begins with. */
struct head {
	struct ipc_peer peer;
	struct ipc_cred cred;
};

static bool
describe(
    enum ipc_type type, const void *msg, const char **ret_what, struct span *ret_target)
{
	switch (type) {
#define AUDIT(NAME, name, what, target)                                                  \
	case IPC_##NAME: {                                                               \
		const struct ipc_##name *m = msg;                                        \
		(void)m;                                                                 \
		*ret_what = what;                                                        \
		*ret_target = target;                                                    \
		return true;                                                             \
	}
#include "tbl/audit.def"
#undef AUDIT
	default:
		return false;
	}
}

static const char *
who(struct core *c, const struct ipc_cred *cred)
{
	if (cred->kind == CRED_SAS)
		return arena_printf(
		    turn_arena(c->turn), "policy:%.*s", SPAN_FMT(cred->sas_policy));
	return core_operator_of(c, cred);
}

/* A handler that has not answered yet waits for somebody: a device, the signer, a count.
 */
static const char *
result_of(const struct core *c, const struct ask *a, const struct err *why)
{
	if (why)
		return err_row(why->code)->name;
	if (c->last_done.id != a->id || c->last_done.edge != a->edge)
		return "STARTED";
	return err_row(c->last_done.code)->name;
}

/* line: what, result and detail are there. */
static int
write_line(struct core *c, struct store_audit *line, const struct ipc_peer *peer,
    const struct ipc_cred *cred, struct span target, struct err *e)
{
	struct arena *ar = turn_arena(c->turn);
	line->at_ms = domain_now(&c->d);
	line->who = who(c, cred);
	line->auth = core_auth_name(cred);
	line->target = arena_str(ar, span_head(target, CAP_HOST));
	line->peer = arena_str(ar, peer->address);
	line->agent = arena_str(ar, span_head(peer->agent, 200));
	log_event(LOG_INFO, "core.audit", LOG_STR("who", line->who),
	    LOG_STR("what", line->what), LOG_STR("target", line->target),
	    LOG_STR("result", line->result), LOG_STR("peer", line->peer));
	return store_audit_add(c->store, line, e);
}

int
core_audit(struct core *c, const struct ask *a, const void *msg, const struct err *why,
    struct err *e)
{
	struct store_audit line = {.detail = why ? why->text : ""};
	const struct head *h = msg;
	struct span target;
	if (!describe(a->type, msg, &line.what, &target))
		return 0;
	line.result = result_of(c, a, why);
	return write_line(c, &line, &h->peer, &h->cred, target, e);
}

int
core_audit_item(struct core *c, const struct ipc_peer *peer, const struct ipc_cred *cred,
    const char *what, struct span target, const struct err *why, struct err *e)
{
	struct store_audit line = {.what = what,
	    .detail = why->code == ERR_OK ? "" : why->text,
	    .result = err_row(why->code)->name};
	return write_line(c, &line, peer, cred, target, e);
}

/* ---- reading --------------------------------------------------------------------------
 */

static int
visit(void *ctx, const struct store_audit *r, struct err *e)
{
	struct core_list *l = ctx;
	char seq[24];
	snprintf(seq, sizeof(seq), "%lld", (long long)r->seq);
	if (!core_list_take(l, seq, 1024))
		return 1;
	const struct ipc_audit m = {.seq = r->seq,
	    .at_ms = r->at_ms,
	    .who = span_head(span_str(r->who), 100),
	    .auth = span_str(r->auth),
	    .what = span_str(r->what),
	    .target = span_str(r->target),
	    .result = span_str(r->result),
	    .detail = span_head(span_str(r->detail), 300),
	    .address = span_str(r->peer),
	    .agent = span_str(r->agent)};
	return core_answer(l->c, l->a, IPC_AUDIT, &m, e);
}

static int
on_read(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_audit_read *m = msg;
	struct core_list l = {.c = c, .a = a, .left = core_list_page(m->limit, PAGE)};
	int64_t next = 0;
	int rc = store_audit_each(
	    c->store, m->after_seq, m->since_ms, l.left + 1, visit, &l, &next, e);
	if (rc == 0 && next) { /* the page has room, but has looked at enough */
		l.more = true;
		snprintf(l.last, sizeof(l.last), "%lld", (long long)next);
	}
	return core_list_end(&l, rc, e);
}

core_handler *
core_audit_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_AUDIT_READ] = on_read,
	};
	return handlers[type];
}
