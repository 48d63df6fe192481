/*
 * Messages of the service API: identities, twins, events, the connection log. By the time
 * a handler runs the credential has been found good for the right in the message's row.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "domain/hub/device.h"
#include "domain/hub/hubs.h"
#include "domain/hub/module.h"
#include "domain/access/policy.h"
#include "role/core_list.h"
#include "store/c2d.h"

#define DEVICES_PAGE 1000
/* Rows that a turn looks at where a filter may let none through; the edge comes again. */
#define DEVICES_WALK 1000
#define EVENTS_WALK  2000
#define LINES_WALK   10000

/* ---- identities and twins -------------------------------------------------------------
 */

int
core_device_row(struct core *c, const struct store_device *d, bool keys, bool counts,
    struct ipc_device *ret, struct err *e)
{
	struct span module_id = span_str(d->id);
	struct span id = span_split(&module_id, '/');
	struct store_c2d_load queue = {0};
	if (counts && store_c2d_load(c->store, d->id, 0, domain_now(&c->d), &queue, e))
		return -1;
	*ret = (struct ipc_device){.id = id,
	    .module_id = module_id,
	    .generation = span_str(d->generation),
	    .etag = d->etag,
	    .enabled = d->enabled,
	    .status_reason = span_str(d->status_reason),
	    .auth = (uint8_t)d->auth,
	    .sas_window = d->sas_window,
	    .primary_key = keys ? d->primary_key : SPAN_NONE,
	    .secondary_key = keys ? d->secondary_key : SPAN_NONE,
	    .primary_thumb = span_str(d->primary_thumb),
	    .secondary_thumb = span_str(d->secondary_thumb),
	    .iot_edge = d->iot_edge,
	    .connected = d->connected,
	    .status_updated_ms = d->status_updated_ms,
	    .conn_updated_ms = d->conn_updated_ms,
	    .last_activity_ms = d->last_activity_ms,
	    .group_id = span_str(d->group_id),
	    .managed_by = span_str(d->managed_by),
	    .tags = d->tags,
	    .desired = d->desired,
	    .reported = d->reported,
	    .desired_version = d->desired_version,
	    .reported_version = d->reported_version,
	    .twin_etag = d->twin_etag,
	    .c2d_count = queue.pending,
	    .desired_meta = d->desired_meta,
	    .reported_meta = d->reported_meta};
	return 0;
}

int
core_answer_device(struct core *c, const struct ask *a, const struct store_device *d,
    bool keys, struct err *e)
{
	struct ipc_device m;
	if (core_device_row(c, d, keys, true, &m, e))
		return -1;
	return core_answer(c, a, IPC_DEVICE, &m, e);
}

static int
answer_device_done(struct core *c, const struct ask *a, const struct store_device *d,
    bool keys, struct err *e)
{
	if (core_answer_device(c, a, d, keys, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_device_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_device_get *m = msg;
	struct store_device d;
	bool keys;
	if (policy_shows_keys(&c->d, &m->cred, &keys, e) ||
	    device_find(&c->d, m->peer.host, m->id, &d, e))
		return -1;
	return answer_device_done(c, a, &d, keys, e);
}

static int
on_device_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_device d;
	if (device_put(&c->d, msg, &d, e))
		return -1;
	core_recheck_device(c, d.id);
	return answer_device_done(c, a, &d, true, e);
}

static int
on_device_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_device_delete *m = msg;
	/* first: later nobody knows which modules it had */
	core_recheck_device(c, arena_str(turn_arena(c->turn), m->id));
	if (device_delete(&c->d, m, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

struct device_walk {
	struct core_list list;
	const char *hub;
	int64_t walked;
	bool keys;
};

static int
visit_device(void *ctx, const struct store_device *d, struct err *e)
{
	struct device_walk *w = ctx;
	struct core_list *l = &w->list;
	size_t twin = d->tags.len + d->desired.len + d->desired_meta.len +
		      d->reported.len + d->reported_meta.len;
	w->walked++;
	if (!hubs_lists(&l->c->cfg, w->hub, d)) {
		snprintf(l->last, sizeof(l->last), "%s", d->id);
		return 0;
	}
	if (!core_list_take(l, d->id, twin + 512))
		return 1;
	return core_answer_device(l->c, l->a, d, w->keys, e);
}

static int
on_device_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_device_query *m = msg;
	struct device_walk w = {.hub = hubs_asked(&c->cfg, m->peer.host),
	    .list = {.c = c, .a = a, .left = core_list_page(m->limit, DEVICES_PAGE)}};
	bool all = c->cfg.hub.name.n == 1;
	int64_t most = all ? w.list.left + 1 : DEVICES_WALK;
	/* a client that sends a listed identity back must not lose its keys */
	if (policy_shows_keys(&c->d, &m->cred, &w.keys, e))
		return -1;
	int rc = store_device_each(c->store, arena_str(turn_arena(c->turn), m->after),
	    most, visit_device, &w, e);
	w.list.more |= !all && w.walked == most;
	return core_list_end(&w.list, rc, e);
}

static int
on_twin_get(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_twin_get *m = msg;
	struct store_device d;
	struct refusal no;
	if (module_find(&c->d, m->peer.host, m->id, m->module_id, &d, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return core_refused(c, a, &no, refusal_row(no.code)->hub, e);
	return answer_device_done(c, a, &d, false, e);
}

static int
on_twin_patch(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct store_device d;
	struct span change;
	struct refusal no;
	if (device_twin_patch(&c->d, msg, &d, &change, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return core_refused(c, a, &no, refusal_row(no.code)->hub, e);
	if (core_twin_changed(c, d.id, change, d.desired_version, e))
		return -1;
	return answer_device_done(c, a, &d, false, e);
}

/* ---- events and the connection log ----------------------------------------------------
 */

static int
visit_event(void *ctx, const struct store_event *ev, struct err *e)
{
	struct core_list *l = ctx;
	char seq[24];
	snprintf(seq, sizeof(seq), "%" PRId64, ev->seq);
	if (!core_list_take(l, seq, ev->body.len + ev->props.len + 256))
		return 1;
	struct ipc_event m = {.seq = ev->seq,
	    .enqueued_ms = ev->enqueued_ms,
	    .device_id = span_str(ev->device_id),
	    .module_id = span_str(ev->module_id),
	    .generation = span_str(ev->generation),
	    .auth = span_str(ev->auth),
	    .thumb = span_str(ev->thumb),
	    .props = ev->props,
	    .body = ev->body};
	return core_answer(l->c, l->a, IPC_EVENT, &m, e);
}

/* Streams say always where the next page begins: behind the last row; walked, where it is
 * set, is how far was looked in vain behind that. */
static int
finish_stream(struct core_list *l, int rc, int64_t after, int64_t walked, int64_t number,
    struct err *e)
{
	char next[24];
	if (rc < 0)
		return -1;
	bool full = l->more || !l->left;
	snprintf(next, sizeof(next), "%" PRId64, walked && !full ? walked : after);
	bool row = l->last[0] && (full || !walked);
	return core_done(l->c, l->a, row ? l->last : next, number, e);
}

static int
on_events_read(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_events_read *m = msg;
	struct arena *ar = turn_arena(c->turn);
	struct core_list l = {
	    .c = c, .a = a, .left = core_list_page(m->limit, c->cfg.hub.events_page)};
	struct store_event_filter f = {.after_seq = m->after_seq,
	    .device_id = arena_str(ar, m->device_id),
	    .thumb = arena_str(ar, m->thumb),
	    .since_ms = m->since_ms,
	    .limit = l.left};
	bool more;
	if (store_event_bound(c->store, &f, EVENTS_WALK, &more, e))
		return -1;
	int rc = store_event_each(c->store, &f, visit_event, &l, e);
	return finish_stream(&l, rc, m->after_seq, more ? f.to_seq : 0, 0, e);
}

static int
visit_conn(void *ctx, const struct store_conn *r, struct err *e)
{
	struct core_list *l = ctx;
	char seq[24];
	snprintf(seq, sizeof(seq), "%" PRId64, r->seq);
	if (!core_list_take(l, seq, 512))
		return 1;
	struct ipc_connlog m = {.seq = r->seq,
	    .at_ms = r->at_ms,
	    .what = span_str(r->what),
	    .plane = span_str(r->plane),
	    .device_id = span_str(r->device_id),
	    .module_id = span_str(r->module_id),
	    .auth = span_str(r->auth),
	    .scope = span_str(r->scope),
	    .thumb = span_str(r->thumb),
	    .code = (uint32_t)r->code,
	    .reason = span_head(span_str(r->reason), 300),
	    .peer = span_str(r->peer),
	    .agent = span_head(span_str(r->agent), 512),
	    .proto = span_head(span_str(r->proto), 16)};
	return core_answer(l->c, l->a, IPC_CONNLOG, &m, e);
}

static int
on_connlog_read(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_connlog_read *m = msg;
	struct arena *ar = turn_arena(c->turn);
	struct core_list l = {
	    .c = c, .a = a, .left = core_list_page(m->limit, c->cfg.hub.events_page)};
	struct store_conn_filter f = {.after_seq = m->after_seq,
	    .since_ms = m->since_ms,
	    .limit = l.left,
	    .device_id = arena_str(ar, m->device_id),
	    .what = arena_str(ar, m->what),
	    .auth = arena_str(ar, m->auth),
	    .plane = arena_str(ar, m->plane)};
	int64_t complete_since;
	bool more;
	if (store_conn_complete_since(c->store, &complete_since, e) ||
	    store_conn_bound(c->store, &f, LINES_WALK, &more, e))
		return -1;
	int rc = store_conn_each(c->store, &f, visit_conn, &l, e);
	return finish_stream(
	    &l, rc, m->after_seq, more ? f.to_seq : 0, complete_since, e);
}

core_handler *
core_service_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_DEVICE_GET] = on_device_get,
	    [IPC_DEVICE_PUT] = on_device_put,
	    [IPC_DEVICE_DELETE] = on_device_delete,
	    [IPC_DEVICE_QUERY] = on_device_query,
	    [IPC_TWIN_GET] = on_twin_get,
	    [IPC_TWIN_PATCH] = on_twin_patch,
	    [IPC_EVENTS_READ] = on_events_read,
	    [IPC_CONNLOG_READ] = on_connlog_read,
	};
	return handlers[type];
}
