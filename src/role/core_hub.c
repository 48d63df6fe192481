/*
 * Connections to the hub, what they are subscribed to, and their telemetry.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "codec/topic.h"
#include "domain/metrics.h"
#include "domain/hub/sighting.h"
#include "role/boot.h"
#include "role/core.h"

/* A connection granted: becomes one when the turn is durable. */
struct granted {
	struct ask ask;
	struct session session;
	int64_t close_ms;
	bool present; /* the session goes on that an earlier connection began */
};

void
core_send_late(
    struct core *c, unsigned edge, enum ipc_type type, uint64_t id, const void *msg)
{
	struct err e;
	struct ipc_link *link = c->edges[edge].link;
	if (link && boot_send(link, type, id, msg, -1, &e))
		log_event(LOG_WARN, "core.send", LOG_INT("edge", edge), LOG_ERR(&e));
}

static void
after_granted(void *arg, const void *item)
{
	struct core *c = arg;
	struct granted g;
	struct session old;
	int64_t id;
	memcpy(&g, item, sizeof(g));
	if (!c->edges[g.ask.edge].link)
		return; /* its sessions were forgotten in this very turn */
	if (session_enter(&c->sessions, &g.session, &old, &id)) {
		struct ipc_session_close close = {.session = old.id,
		    .reason =
			SPAN_LIT("400027: closed by a newer connection of the device")};
		core_send_late(c, old.edge, IPC_SESSION_CLOSE, 0, &close);
	}
	sighting_forget(c->sightings, g.session.name);
	struct ipc_hub_opened opened = {.session = id,
	    .close_ms = g.close_ms,
	    .present = g.present,
	    .subs = g.session.subs & ~TOPIC_SUBS_KEPT};
	core_send_late(c, g.ask.edge, IPC_HUB_OPENED, g.ask.id, &opened);
	core_session_ready(c, id);
}

static int
refuse_open(struct core *c, const struct ask *a, const struct ipc_hub_open *m,
    const struct refusal *no, struct err *e)
{
	const struct refusal_row *row = refusal_row(no->code);
	struct ipc_hub_opened opened = {.connack = (uint8_t)err_row(row->err)->connack};
	if (core_log_not_open(c, m, no, opened.connack, e))
		return -1;
	return core_answer(c, a, IPC_HUB_OPENED, &opened, e);
}

/* All subscriptions of CleanSession 0 stand until they are taken back, over reconnects
 * and our own restarts, those at QoS 0 too: Python subscribes once and never again, Node
 * never again to its twin (protocol/device.md 3.5, section 7 rows 1 and 2). */
static int
begin_subs(struct core *c, bool clean, struct granted *g, struct err *e)
{
	struct session *s = &g->session;
	uint32_t was = s->subs;
	s->subs = clean ? 0 : was | TOPIC_SUBS_KEPT;
	g->present = !clean && was;
	return s->subs == was ? 0 : store_device_subs(c->store, s->name, s->subs, e);
}

static int
on_hub_open(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_open *m = msg;
	struct granted g = {.ask = *a};
	struct refusal no;
	if (session_judge(&c->d, m, &g.session, &g.close_ms, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return refuse_open(c, a, m, &no, e);
	g.session.edge = a->edge;
	if (core_note_cert(c, m, &g.session, e) || begin_subs(c, m->clean, &g, e))
		return -1;
	struct arena *ar = turn_arena(c->turn);
	struct store_conn line = {.what = "connect",
	    .plane = "hub",
	    .device_id = g.session.device_id,
	    .module_id = g.session.module_id,
	    .auth = session_auth(&g.session),
	    .scope = session_scope(&g.session),
	    .thumb = g.session.thumb,
	    .reason = "",
	    .peer = arena_str(ar, m->peer.address),
	    .agent = arena_str(ar, m->peer.agent),
	    .proto = arena_str(ar, m->peer.proto)};
	if (core_log_conn(c, &line, e) ||
	    store_device_seen(c->store, g.session.name, true, domain_now(&c->d), e))
		return -1;
	session_yield(&c->sessions, g.session.name, turn_number(c->turn));
	g.session = session_copy(&g.session, turn_kept(c->turn));
	turn_after(c->turn, after_granted, &g, sizeof(g));
	return 0;
}

const struct session *
core_session(struct core *c, const struct ask *a, int64_t id)
{
	const struct session *s = session_find(&c->sessions, id);
	return s && s->edge == a->edge ? s : NULL;
}

/* An edge says that a connection is over. It is, whether or not that can be written down.
 */
static int
on_hub_closed(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_closed *m = msg;
	const struct session *s = core_session(c, a, m->session);
	if (!s)
		return 0;
	const char *reason = arena_str(turn_arena(c->turn), m->reason);
	int rc = core_record_end(c, s, m->code, reason, e);
	session_leave(&c->sessions, m->session);
	return rc;
}

/* Behind the answer, so that the SUBACK comes first. */
static void
after_subscribed(void *arg, const void *item)
{
	int64_t session;
	memcpy(&session, item, sizeof(session));
	core_session_ready(arg, session);
}

/* What the newer session of a device began with is not changed by an older one. */
static int
on_hub_subscribe(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_subscribe *m = msg;
	const struct session *s = core_session(c, a, m->session);
	if (!s || s->superseded || s->yields == turn_number(c->turn))
		return err_set(e, ERR_UNAVAILABLE, "the session is over");
	uint32_t kept = s->subs & TOPIC_SUBS_KEPT;
	uint32_t subs = (m->subs & ~TOPIC_SUBS_KEPT) | kept;
	if (kept && store_device_subs(c->store, s->name, subs, e))
		return -1;
	session_subscribe(&c->sessions, s->id, subs);
	if (core_done(c, a, "", 0, e))
		return -1;
	turn_after(c->turn, after_subscribed, &m->session, sizeof(m->session));
	return 0;
}

int
core_keep_event(struct core *c, const struct session *s, struct span props,
    struct span body, int64_t *ret_seq, struct err *e)
{
	struct store_event ev = {.enqueued_ms = domain_now(&c->d),
	    .device_id = s->device_id,
	    .module_id = s->module_id,
	    .generation = s->generation,
	    .auth = session_auth(s),
	    .thumb = s->thumb,
	    .props = props,
	    .body = body};
	*ret_seq = 0; /* taken, and for nobody, where its hub's routes say so */
	if (!core_is_silent(c, s->hub) && store_event_add(c->store, &ev, ret_seq, e))
		return -1;
	metrics_telemetry(c->metrics, s->thumb[0] != '\0', body.len);
	return 0;
}

static int
on_hub_event(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_hub_event *m = msg;
	const struct session *s = core_session(c, a, m->session);
	if (!s)
		return err_set(e, ERR_UNAVAILABLE, "the session is over");
	int64_t seq;
	if (core_keep_event(c, s, m->props, m->body, &seq, e))
		return -1;
	return core_done(c, a, "", seq, e);
}

core_handler *
core_hub_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_HUB_OPEN] = on_hub_open,
	    [IPC_HUB_CLOSED] = on_hub_closed,
	    [IPC_HUB_EVENT] = on_hub_event,
	    [IPC_HUB_SUBSCRIBE] = on_hub_subscribe,
	};
	return handlers[type];
}
