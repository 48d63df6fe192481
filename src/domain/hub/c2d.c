/*
 * The life of cloud-to-device messages.
 */
#include "domain/hub/c2d.h"

#include <stdio.h>

#include "base/rand.h"
#include "domain/hub/device.h"
#include "domain/hub/hubs.h"

#define TTL_MAX_MS     (INT64_C(2) * 86400 * 1000)
#define FEEDBACK_BATCH 64

/* ---- ends ---- */

static int
tell(struct domain *d, const struct store_c2d *m, enum ipc_outcome outcome, struct err *e)
{
	unsigned wanted =
	    outcome == IPC_OUTCOME_SUCCESS ? IPC_ACK_POSITIVE : IPC_ACK_NEGATIVE;
	int64_t now = domain_now(d);
	if (!((unsigned)m->ack & wanted))
		return 0;
	const struct store_feedback f = {.message_id = m->message_id,
	    .device_id = m->device_id,
	    .generation = m->generation,
	    .at_ms = now,
	    .outcome = outcome,
	    .expires_ms = now + d->cfg->hub.feedback_ttl_ms,
	    .lock = ""};
	return store_feedback_add(d->store, &f, e);
}

static int
end(struct domain *d, const struct store_c2d *m, enum ipc_outcome outcome, struct err *e)
{
	if (tell(d, m, outcome, e))
		return -1;
	return store_c2d_del(d->store, m->seq, e);
}

static bool
is_exhausted(const struct domain *d, const struct store_c2d *m)
{
	return m->deliveries >= d->cfg->hub.c2d_deliveries;
}

/* It was handed out in vain. */
static int
put_back(struct domain *d, const struct store_c2d *m, struct err *e)
{
	if (is_exhausted(d, m))
		return end(d, m, IPC_OUTCOME_EXHAUSTED, e);
	return store_c2d_free(d->store, m->seq, e);
}

/* ---- in ---- */

/* Modules have no queue: their identities are known by "dev/mod". */
static int
find_device(struct domain *d, struct span id, struct store_device *ret, struct err *e)
{
	if (span_has(id, '/'))
		return err_set(e, ERR_NOT_FOUND, "no device %.*s", SPAN_FMT(id));
	return device_get(d, id, ret, e);
}

/* Beyond two days a time to live is cut (service.md 6.2): the sender's clock may be off,
 * and what nobody will read must not lie here for ever. */
static int64_t
expiry(const struct domain *d, int64_t asked_ms)
{
	int64_t now = domain_now(d);
	if (!asked_ms)
		return now + d->cfg->hub.c2d_ttl_ms;
	return asked_ms < now + TTL_MAX_MS ? asked_ms : now + TTL_MAX_MS;
}

static int
check_send(const struct ipc_c2d_send *m, struct err *e)
{
	if (m->ack > IPC_ACK_FULL)
		return err_set(e, ERR_PARSE, "ack: none, positive, negative or full");
	if (m->props.len > C2D_PROPS_MAX)
		return err_set(e, ERR_LIMIT, "properties: over %d bytes", C2D_PROPS_MAX);
	if (m->props.len + m->body.len > C2D_SIZE_MAX)
		return err_set(e, ERR_LIMIT, "message: over %d bytes", C2D_SIZE_MAX);
	return 0;
}

struct room {
	struct domain *d;
	int64_t now_ms, left;
};

/* As the housekeeping would, in a moment. */
static int
visit_room(void *ctx, const struct store_c2d *m, struct err *e)
{
	struct room *r = ctx;
	bool is_out = m->holder || m->locked_until_ms > r->now_ms;
	if (!is_out && m->expires_ms <= r->now_ms)
		return end(r->d, m, IPC_OUTCOME_EXPIRED, e);
	r->left++;
	return 0;
}

/* What has expired takes no place; nor does it lie beside what has one, or messages sent
 * for yesterday would pile up. */
static int
check_room(struct domain *d, const char *device_id, struct refusal *no, struct err *e)
{
	struct store_c2d_load load;
	struct room r = {.d = d, .now_ms = domain_now(d)};
	if (store_c2d_load(d->store, device_id, 0, r.now_ms, &load, e))
		return -1;
	if (load.all < d->cfg->hub.c2d_queue)
		return 0;
	if (store_c2d_each(d->store, device_id, visit_room, &r, e))
		return -1;
	if (r.left < d->cfg->hub.c2d_queue)
		return 0;
	return refusal_set(
	    no, REFUSAL_QUEUE_DEPTH, "%s: %lld messages", device_id, (long long)r.left);
}

int
c2d_send(struct domain *d, const struct ipc_c2d_send *m, int64_t *ret_seq,
    struct refusal *no, struct err *e)
{
	struct store_device dev;
	int64_t now = domain_now(d);
	*no = (struct refusal){0};
	if (check_send(m, e) || hubs_check(d, m->peer.host, m->device_id, e) ||
	    find_device(d, m->device_id, &dev, e) || check_room(d, dev.id, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	const struct store_c2d row = {.device_id = dev.id,
	    .generation = dev.generation,
	    .message_id = arena_str(d->arena, m->message_id),
	    .correlation_id = arena_str(d->arena, m->correlation_id),
	    .user_id = arena_str(d->arena, m->user_id),
	    .ack = m->ack,
	    .enqueued_ms = now,
	    .expires_ms = expiry(d, m->expires_ms),
	    .lock = "",
	    .props = m->props,
	    .body = m->body};
	return store_c2d_add(d->store, &row, ret_seq, e);
}

/* ---- out ---- */

/* The next that may be handed out; those before it that may not any more are ended.
 * Messages that waited while the hub was down have aged like others. */
static int
next(struct domain *d, const char *device_id, struct store_c2d *ret, bool *ret_got,
    struct err *e)
{
	int64_t now = domain_now(d);
	struct err why;
	struct store_c2d m;
	*ret_got = false;
	while (store_c2d_next(d->store, device_id, now, d->arena, &m, &why) == 0) {
		bool expired = m.expires_ms <= now;
		if (!expired && !is_exhausted(d, &m)) {
			*ret = m;
			*ret_got = true;
			return 0;
		}
		if (end(d, &m, expired ? IPC_OUTCOME_EXPIRED : IPC_OUTCOME_EXHAUSTED, e))
			return -1;
	}
	return why.code == ERR_NOT_FOUND ? 0 : err_copy(e, &why);
}

int
c2d_push(struct domain *d, const char *device_id, int64_t session, struct store_c2d *ret,
    bool *ret_got, struct err *e)
{
	struct store_c2d_load load;
	struct store_c2d m;
	bool got;
	*ret_got = false;
	if (store_c2d_load(d->store, device_id, session, domain_now(d), &load, e))
		return -1;
	if (load.held >= C2D_WINDOW || load.held_bytes >= C2D_WINDOW_BYTES)
		return 0;
	if (next(d, device_id, &m, &got, e))
		return -1;
	int64_t size = got ? (int64_t)(m.props.len + m.body.len) : 0;
	if (!got || (load.held && load.held_bytes + size > C2D_WINDOW_BYTES))
		return 0;
	if (store_c2d_take(d->store, m.seq, session, "", 0, e))
		return -1;
	*ret = m;
	*ret_got = true;
	return 0;
}

int
c2d_receive(struct domain *d, const char *device_id, struct store_c2d *ret, bool *ret_got,
    struct err *e)
{
	struct store_c2d m;
	if (next(d, device_id, &m, ret_got, e))
		return -1;
	if (!*ret_got)
		return 0;
	char *lock = arena_alloc(d->arena, C2D_LOCK);
	rand_uuid(lock);
	m.lock = lock;
	m.locked_until_ms = domain_now(d) + d->cfg->hub.c2d_lock_ms;
	if (store_c2d_take(d->store, m.seq, 0, lock, m.locked_until_ms, e))
		return -1;
	*ret = m;
	return 0;
}

/* ---- what became of it ---- */

static int
lock_is_over(struct refusal *no, struct err *e)
{
	if (e->code != ERR_NOT_FOUND)
		return -1;
	return refusal_set(no, REFUSAL_LOCK_LOST, "%s", "it was settled, or is too late");
}

int
c2d_settle(struct domain *d, const char *device_id, struct span lock, enum ipc_settle how,
    struct refusal *no, struct err *e)
{
	struct store_c2d m;
	*no = (struct refusal){0};
	if (store_c2d_locked(d->store, device_id, arena_str(d->arena, lock),
		domain_now(d), d->arena, &m, e))
		return lock_is_over(no, e);
	switch (how) {
	case IPC_SETTLE_COMPLETE:
		return end(d, &m, IPC_OUTCOME_SUCCESS, e);
	case IPC_SETTLE_REJECT:
		return end(d, &m, IPC_OUTCOME_REJECTED, e);
	case IPC_SETTLE_ABANDON:
		return put_back(d, &m, e);
	}
	return err_set(e, ERR_PARSE, "settle: no such outcome");
}

int
c2d_done(
    struct domain *d, const char *device_id, int64_t session, int64_t seq, struct err *e)
{
	struct store_c2d m;
	if (store_c2d_held(d->store, device_id, session, seq, d->arena, &m, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	return end(d, &m, IPC_OUTCOME_SUCCESS, e);
}

struct visit {
	struct domain *d;
	c2d_freed_fn *freed;
	void *ctx;
	int64_t n;
};

static int
visit_vain(void *ctx, const struct store_c2d *m, struct err *e)
{
	struct visit *v = ctx;
	v->n++;
	if (put_back(v->d, m, e))
		return -1;
	v->freed(v->ctx, m->device_id);
	return 0;
}

int
c2d_release(
    struct domain *d, int64_t session, c2d_freed_fn *freed, void *ctx, struct err *e)
{
	struct visit v = {.d = d, .freed = freed, .ctx = ctx};
	return store_c2d_each_held(d->store, session, visit_vain, &v, e);
}

static int
visit_purged(void *ctx, const struct store_c2d *m, struct err *e)
{
	struct visit *v = ctx;
	v->n++;
	return end(v->d, m, IPC_OUTCOME_PURGED, e);
}

int
c2d_drop(struct domain *d, const char *device_id, int64_t *ret_count, struct err *e)
{
	struct visit v = {.d = d};
	if (store_c2d_each(d->store, device_id, visit_purged, &v, e))
		return -1;
	*ret_count = v.n;
	return 0;
}

int
c2d_purge(struct domain *d, struct span device_id, int64_t *ret_count, struct err *e)
{
	struct store_device dev;
	if (find_device(d, device_id, &dev, e))
		return -1;
	return c2d_drop(d, dev.id, ret_count, e);
}

/* ---- housekeeping ---- */

static int
visit_expired(void *ctx, const struct store_c2d *m, struct err *e)
{
	struct visit *v = ctx;
	v->n++;
	return end(v->d, m, IPC_OUTCOME_EXPIRED, e);
}

int
c2d_tidy(struct domain *d, int64_t batch, c2d_freed_fn *freed, void *ctx, bool *ret_more,
    struct err *e)
{
	int64_t now = domain_now(d);
	struct visit expired = {.d = d};
	struct visit unlocked = {.d = d, .freed = freed, .ctx = ctx};
	if (store_c2d_each_unlocked(d->store, now, batch, visit_vain, &unlocked, e) ||
	    store_c2d_each_expired(d->store, now, batch, visit_expired, &expired, e) ||
	    store_feedback_trim(d->store, now, d->cfg->hub.feedback_deliveries, batch, e))
		return -1;
	*ret_more = expired.n == batch || unlocked.n == batch;
	return 0;
}

/* ---- feedback ---- */

struct reading {
	int (*visit)(void *ctx, const struct store_feedback *f, struct err *e);
	void *ctx;
	int64_t n;
};

static int
visit_feedback(void *ctx, const struct store_feedback *f, struct err *e)
{
	struct reading *r = ctx;
	r->n++;
	return r->visit(r->ctx, f, e);
}

int
c2d_feedback(struct domain *d, char lock[C2D_LOCK],
    int (*visit)(void *ctx, const struct store_feedback *f, struct err *e), void *ctx,
    struct err *e)
{
	int64_t now = domain_now(d);
	char token[C2D_LOCK];
	struct reading r = {.visit = visit, .ctx = ctx};
	rand_uuid(token);
	/* what was handed out too often goes first, or it would come again */
	if (store_feedback_trim(
		d->store, now, d->cfg->hub.feedback_deliveries, FEEDBACK_BATCH, e) ||
	    store_feedback_lock(d->store, token, now + d->cfg->hub.feedback_lock_ms, now,
		FEEDBACK_BATCH, e) ||
	    store_feedback_each(d->store, token, visit_feedback, &r, e))
		return -1;
	snprintf(lock, C2D_LOCK, "%s", r.n ? token : "");
	return 0;
}

int
c2d_feedback_settle(struct domain *d, struct span lock, enum ipc_settle how,
    struct refusal *no, struct err *e)
{
	const char *token = arena_str(d->arena, lock);
	*no = (struct refusal){0};
	int rc = how == IPC_SETTLE_COMPLETE
		     ? store_feedback_del(d->store, token, domain_now(d), e)
		     : store_feedback_free(d->store, token, domain_now(d), e);
	return rc ? lock_is_over(no, e) : 0;
}
