/*
 * Sessions that come, and those that must go: their identity no longer admits them, or
 * their edge is gone.
 */
#include <string.h>

#include "base/log.h"
#include "domain/hub/hubs.h"
#include "role/core_c2d.h"
#include "role/core_method.h"
#include "store/module.h"

#define RECHECK_WORK_MS 5 /* of a slice */

static void
close_session(struct core *c, const struct session *s, const char *reason)
{
	struct ipc_session_close m = {.session = s->id, .reason = span_str(reason)};
	auto_buf body = BUF_INIT(1024);
	struct err e;
	if (ipc_msg_pack(IPC_SESSION_CLOSE, &m, &body, &e) == 0)
		core_send(c, s->edge, IPC_SESSION_CLOSE, 0, buf_span(&body));
}

/* authorizationPolicies = [] ends what the policies opened (service.md 3.2). */
static bool
has_lost_policy(struct core *c, const struct session *s, struct arena *a)
{
	struct store_policy p;
	struct err e;
	return s->by_policy && store_policy_get(c->store, "hub", s->policy, a, &p, &e) &&
	       e.code == ERR_NOT_FOUND;
}

/* A module needs its device, enabled, beside its own identity. */
static int
is_admitted(
    struct core *c, const struct session *s, struct arena *a, bool *ret, struct err *e)
{
	struct store_device own, device = {.enabled = true, .hub = ""};
	struct store_hub hub;
	*ret = false;
	if (store_hub_get(c->store, &hub, e))
		return -1;
	if (store_device_get(c->store, s->name, a, &own, e) ||
	    (s->module_id[0] && store_device_get(c->store, s->device_id, a, &device, e)))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	*ret = device.enabled && hubs_serves(&c->cfg, s->hub, &device) &&
	       !has_lost_policy(c, s, a) &&
	       session_still_admitted(&c->cfg, s, &own, &hub);
	return 0;
}

int
core_session_ends(
    struct core *c, const struct session *s, const char **ret_why, struct err *e)
{
	struct domain d = c->d;
	struct refusal no = {0};
	bool admitted;
	auto_(arena_free) struct arena *a = arena_new(8 << 20);
	d.arena = a;
	if (is_admitted(c, s, a, &admitted, e))
		return -1;
	if (admitted && session_check_cert(&d, s, &no, e))
		return -1;
	*ret_why = no.code != REFUSAL_NONE ? refusal_row(no.code)->words : NULL;
	if (!admitted)
		*ret_why = "identity no longer admits this credential";
	return 0;
}

static void
recheck(struct core *c, const struct session *s)
{
	const char *why;
	struct err e;
	if (core_session_ends(c, s, &why, &e))
		log_event(LOG_ERROR, "core.recheck", LOG_ERR(&e));
	else if (why)
		close_session(c, s, why);
}

static void
after_recheck(void *arg, const void *item)
{
	struct core *c = arg;
	const struct session *s = session_of(&c->sessions, item);
	if (s)
		recheck(c, s);
}

/* All of a fleet's sessions would be many seconds in which nobody else is served. */
void
core_recheck_slice(void *arg)
{
	struct core *c = arg;
	int64_t end = clock_mono_ms(c->d.clock) + RECHECK_WORK_MS;
	if (!c->sessions.walk) {
		session_walk_begin(&c->sessions);
		c->recheck_again = false;
	}
	while (c->sessions.walk && clock_mono_ms(c->d.clock) < end)
		recheck(c, session_walk(&c->sessions));
	if (c->sessions.walk || c->recheck_again)
		loop_timer_start(c->rechecks, 1);
}

/* What was looked at before the change is looked at again, when the walk has ended. */
static void
after_recheck_all(void *arg, const void *item)
{
	struct core *c = arg;
	(void)item;
	c->recheck_again = true;
	if (!c->sessions.walk)
		core_recheck_slice(c);
}

static int
recheck_module(void *ctx, const struct store_device *mod, struct err *e)
{
	struct core *c = ctx;
	(void)e;
	turn_after(c->turn, after_recheck, mod->id, strlen(mod->id) + 1);
	return 0;
}

void
core_recheck_device(struct core *c, const char *name)
{
	struct err e;
	turn_after(c->turn, after_recheck, name, strlen(name) + 1);
	if (store_module_each(c->store, name, recheck_module, c, &e))
		turn_spoil(c->turn, &e);
}

void
core_recheck_all(struct core *c)
{
	turn_after(c->turn, after_recheck_all, "", 1);
}

int
core_record_end(struct core *c, const struct session *s, uint32_t code,
    const char *reason, struct err *e)
{
	struct store_conn line = {.what = "disconnect",
	    .plane = "hub",
	    .device_id = s->device_id,
	    .module_id = s->module_id,
	    .auth = session_auth(s),
	    .scope = session_scope(s),
	    .thumb = s->thumb,
	    .code = (int)code,
	    .reason = reason,
	    .peer = "",
	    .agent = ""};
	if (core_log_conn(c, &line, e) || core_c2d_ended(c, s, e))
		return -1;
	if (s->superseded || s->yields == turn_number(c->turn))
		return 0;
	bool failed = store_device_seen(c->store, s->name, false, domain_now(&c->d), e);
	return failed && e->code != ERR_NOT_FOUND ? -1 : 0; /* deleted meanwhile */
}

void
core_session_ready(struct core *c, int64_t session)
{
	const struct session *s = session_find(&c->sessions, session);
	if (!s)
		return;
	core_c2d_due(c, s);
	core_method_ready(c, s);
}

void
core_forget_sessions(struct core *c, unsigned edge)
{
	struct session *s, *next;
	struct err e;
	if (!c->sessions.by_id)
		return;
	if (turn_enter(c->turn, NULL, &e)) {
		log_event(LOG_ERROR, "core.turn", LOG_ERR(&e));
		return;
	}
	HASH_ITER (hh, c->sessions.by_id, s, next) {
		if (s->edge != edge)
			continue;
		if (core_record_end(c, s, 0, "edge process ended", &e))
			turn_spoil(c->turn, &e);
		session_leave(&c->sessions, s->id);
	}
}
