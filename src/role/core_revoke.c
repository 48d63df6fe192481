/*
 * Revocation in the core: the verb's message, what a connection by certificate leaves
 * behind, signs of copied keys.
 */
#include <inttypes.h>

#include "base/log.h"
#include "domain/hub/clone.h"
#include "domain/pki/device_cert.h"
#include "domain/pki/leaf.h"
#include "domain/pki/revoke.h"
#include "domain/pki/revoke_allow.h"
#include "role/core_pki.h"
#include "store/module.h"

/* ---- what connections tell ------------------------------------------------------------
 */

static int
report_clone(struct core *c, const struct ipc_peer *peer, const struct session *s,
    const char *text, struct err *e)
{
	struct arena *a = turn_arena(c->turn);
	struct store_conn line = {.what = "clone",
	    .plane = "hub",
	    .device_id = s->device_id,
	    .module_id = s->module_id,
	    .auth = "x509",
	    .scope = "device",
	    .thumb = s->thumb,
	    .reason = text,
	    .peer = arena_str(a, peer->address),
	    .agent = arena_str(a, peer->agent),
	    .proto = arena_str(a, peer->proto)};
	log_event(LOG_WARN, "core.clone", LOG_STR("device", s->device_id),
	    LOG_STR("text", text));
	clone_note(c->clones, s->device_id, domain_now(&c->d), text);
	return core_log_conn(c, &line, e);
}

int
core_note_cert(
    struct core *c, const struct ipc_hub_open *m, struct session *s, struct err *e)
{
	struct device_cert_seen seen;
	struct arena *a = turn_arena(c->turn);
	const struct session *was = session_of(&c->sessions, s->name);
	bool alternates = clone_follow(s, was, m->peer.address, a);
	if (!s->serial[0])
		return 0;
	if (alternates &&
	    report_clone(c, &m->peer, s,
		arena_printf(a, "this certificate comes from %s and %s in turn",
		    s->address, s->address_before),
		e))
		return -1;
	if (s->module_id[0]) /* none is issued or renewed here: nothing to follow */
		return 0;
	if (device_cert_note(
		&c->d, &m->cred, s->device_id, m->peer.address, m->peer.agent, &seen, e))
		return -1;
	if (!seen.key_twin[0])
		return 0;
	return report_clone(c, &m->peer, s,
	    arena_printf(a, "the key is in the certificate of %s as well", seen.key_twin),
	    e);
}

/* ---- the verb -------------------------------------------------------------------------
 */

/* What the commit of this turn does to the sessions of a device and its modules. */
struct ending {
	struct core *c;
	int open, ends;
};

static int
add_session(struct ending *x, const char *name, struct err *e)
{
	const char *why;
	const struct session *s = session_of(&x->c->sessions, name);
	if (!s)
		return 0;
	if (core_session_ends(x->c, s, &why, e))
		return -1;
	x->open++;
	x->ends += why != NULL;
	return 0;
}

static int
add_module(void *ctx, const struct store_device *mod, struct err *e)
{
	return add_session(ctx, mod->id, e);
}

static int
session_effect(
    struct core *c, const char *device_id, struct revoke_effect *ret, struct err *e)
{
	struct ending x = {.c = c};
	if (add_session(&x, device_id, e) ||
	    store_module_each(c->store, device_id, add_module, &x, e))
		return -1;
	if (x.ends == 1)
		*ret = (struct revoke_effect){"done", "the open session is closed"};
	else if (x.ends)
		*ret = (struct revoke_effect){
		    "done", "the open sessions of the device and its modules are closed"};
	else if (x.open)
		*ret = (struct revoke_effect){
		    "unchanged", "the open session uses another credential"};
	else
		*ret = (struct revoke_effect){"unchanged", "the device is not connected"};
	return 0;
}

static int
answer_effects(
    struct core *c, const struct ask *a, const struct revoke_result *r, struct err *e)
{
	for (int i = 0; i < REVOKE_EFFECTS; i++) {
		const char *name = revoke_effect_name((enum revoke_effect_id)i);
		const struct ipc_effect m = {.name = span_str(name),
		    .state = span_str(r->effect[i].state),
		    .text = span_str(r->effect[i].text)};
		if (core_answer(c, a, IPC_EFFECT, &m, e))
			return -1;
	}
	return core_done(c, a, "", r->changed, e);
}

static const char *
order_text(struct arena *a, const struct ipc_revoke *m, const struct revoke_result *r)
{
	struct span reason = m->reason.len ? m->reason : SPAN_LIT("unspecified");
	const char *sep = m->comment.len ? "; " : "";
	if (m->allow)
		return arena_printf(
		    a, "may enrol again%s%.*s", sep, SPAN_FMT(m->comment));
	return arena_printf(a, "%.*s, %" PRId64 " certificates%s%.*s",
	    SPAN_FMT(m->undo ? SPAN_LIT("hold ends") : reason), r->changed, sep,
	    SPAN_FMT(m->comment));
}

static int
log_order(struct core *c, const struct ipc_revoke *m, const struct revoke_result *r,
    const char *thumb, struct err *e)
{
	struct arena *a = turn_arena(c->turn);
	struct store_conn line = {.what = m->allow ? "allow" : "revoke",
	    .plane = "service",
	    .device_id = r->device_id,
	    .auth = core_auth_name(&m->cred),
	    .scope = "operator",
	    .thumb = thumb,
	    .reason = order_text(a, m, r),
	    .peer = arena_str(a, m->peer.address),
	    .agent = arena_str(a, m->peer.agent),
	    .proto = arena_str(a, m->peer.proto)};
	return core_log_conn(c, &line, e);
}

/* Nothing is opened or closed by it: the next enrolment asks. */
static int
allow(struct core *c, const struct ask *a, const struct ipc_revoke *m, const char *thumb,
    struct err *e)
{
	struct revoke_result r;
	if (revoke_allow(&c->d, m, &r, e) || log_order(c, m, &r, thumb, e))
		return -1;
	return answer_effects(c, a, &r, e);
}

static int
on_revoke(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_revoke *m = msg;
	struct revoke_result r;
	char thumb[LEAF_THUMB];
	leaf_thumb(&m->cred, thumb);
	if (m->allow)
		return allow(c, a, m, thumb, e);
	const char *by = arena_printf(turn_arena(c->turn), "operator:%s", thumb);
	if (!thumb[0])
		by = core_operator_of(c, &m->cred);
	if (revoke_apply(&c->d, m, by, &r, e))
		return -1;
	if (session_effect(c, r.device_id, &r.effect[REVOKE_SESSION], e) ||
	    log_order(c, m, &r, thumb, e))
		return -1;
	core_recheck_device(c, r.device_id);
	core_pki_soon(c);
	return answer_effects(c, a, &r, e);
}

core_handler *
core_revoke_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_REVOKE] = on_revoke,
	};
	return handlers[type];
}
