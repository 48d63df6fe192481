/*
 * Exchanges. A call waits in its family's queue until there is a token for its plane and
 * room in its bucket; then it is rest.h's.
 */
#include "fleet/exchange.h"

#include <assert.h>
#include <string.h>

#include "base/list.h"
#include "io/loop.h"

#define REFUSED_MAX 40 /* of one call, by 429 */

struct exchange_call {
	struct list node;
	struct exchange *x;
	enum pace_family family;
	struct rest_request q;
	char *texts[5]; /* of q, ours */
	rest_fn fn;
	void *arg;
	struct rest_call *call;
	int64_t token; /* it was sent with */
	int refused;
	bool repeated; /* after a 401 */
};

struct queue {
	struct exchange *x;
	struct pace pace;
	struct list waiting;
	struct loop_timer *timer;
	int64_t refused;
};

struct exchange {
	struct loop *loop;
	struct service *service;
	struct queue queue[PACE_FAMILIES];
	struct list live;
	int64_t token[SIGN_IN_PLANES]; /* a number for each that was fetched */
	int64_t ahead_ms, wait_max_s;
};

static enum sign_in_plane
plane_of(enum pace_family f)
{
	static const enum sign_in_plane planes[PACE_FAMILIES] = {
	    [PACE_REGISTRY] = SIGN_IN_HUB,
	    [PACE_QUERY] = SIGN_IN_HUB,
	    [PACE_TWIN_READ] = SIGN_IN_HUB,
	    [PACE_TWIN_WRITE] = SIGN_IN_HUB,
	    [PACE_DPS] = SIGN_IN_DPS,
	    [PACE_REGISTER] = SIGN_IN_DPS,
	    [PACE_ARM] = SIGN_IN_ARM,
	};
	return planes[f];
}

/* ---- a call ---- */

static void
call_free(struct exchange_call *c)
{
	list_del(&c->node);
	rest_cancel(c->call);
	for (size_t i = 0; i < sizeof(c->texts) / sizeof(c->texts[0]); i++)
		free(c->texts[i]);
	free(c);
}

static void
finish(struct exchange_call *c, const struct rest_response *r, const struct err *why)
{
	rest_fn fn = c->fn;
	void *arg = c->arg;
	call_free(c);
	fn(arg, r, why);
}

/* In front of the others: it has waited longest. */
static void
wait_again(struct exchange_call *c)
{
	struct list *all = &c->x->queue[c->family].waiting;
	list_del(&c->node);
	list_push(all->next, &c->node);
}

static void pump(struct queue *qu);
static void pump_or_wake(struct queue *qu);

static bool
is_throttled(struct exchange_call *c, const struct rest_response *r)
{
	struct exchange *x = c->x;
	struct queue *qu = &x->queue[c->family];
	if (!r || r->status != 429)
		return false;
	qu->refused++;
	if (r->retry_after_s > x->wait_max_s || ++c->refused > REFUSED_MAX)
		return false;
	pace_refused(&qu->pace, loop_now_ms(x->loop), r->retry_after_s * 1000);
	return true;
}

static bool
is_stale(struct exchange_call *c, const struct rest_response *r)
{
	enum sign_in_plane p = plane_of(c->family);
	if (!r || r->status != 401 || c->repeated || !c->q.authorization)
		return false;
	c->repeated = true;
	if (c->token == c->x->token[p])
		service_forget(c->x->service, p);
	return true;
}

static void
on_answer(void *arg, const struct rest_response *r, const struct err *why)
{
	struct exchange_call *c = arg;
	struct exchange *x = c->x;
	struct queue *qu = &x->queue[c->family];
	c->call = NULL;
	if (r && r->server_ms && plane_of(c->family) == SIGN_IN_HUB)
		x->ahead_ms = r->server_ms - clock_wall_ms(loop_clock(x->loop));
	if (is_throttled(c, r) || is_stale(c, r)) {
		wait_again(c);
		pump_or_wake(qu);
		return;
	}
	if (r && r->status != 429)
		pace_taken(&qu->pace);
	finish(c, r, why);
}

/* ---- queues ---- */

static struct exchange_call *
first(struct list *l)
{
	return list_empty(l) ? NULL : list_of(l->next, struct exchange_call, node);
}

static void
send_first(struct queue *qu, const char *authorization)
{
	struct err e;
	struct rest *rest = NULL;
	struct exchange_call *c = first(&qu->waiting);
	enum sign_in_plane p = plane_of(c->family);
	list_del(&c->node);
	list_push(&qu->x->live, &c->node);
	int missing = service_plane(qu->x->service, p, &rest, &e);
	assert(!missing); /* exchange_new looked */
	c->q.authorization = authorization;
	c->token = qu->x->token[p];
	c->call = rest_start(rest, &c->q, on_answer, c);
}

/* What may go, goes. What has no token waits for exchange_turn. */
static void
pump(struct queue *qu)
{
	struct exchange *x = qu->x;
	const char *authorization;
	while (!list_empty(&qu->waiting)) {
		enum pace_family f = first(&qu->waiting)->family;
		if (!service_authorization(x->service, plane_of(f), &authorization))
			return;
		int64_t wait_ms = pace_take(&qu->pace, loop_now_ms(x->loop));
		if (wait_ms > 0) {
			loop_timer_start(qu->timer, wait_ms);
			return;
		}
		send_first(qu, authorization);
	}
}

/* The turn under way may be about to wait for ever: it has to end, for the token to be
 * fetched. */
static void
pump_or_wake(struct queue *qu)
{
	const char *known;
	pump(qu);
	struct exchange_call *c = first(&qu->waiting);
	if (c && !service_authorization(qu->x->service, plane_of(c->family), &known))
		loop_timer_start(qu->timer, 0);
}

static void
on_timer(void *arg)
{
	pump(arg);
}

/* No token: all that wait for it hear why. */
static void
fail_waiting(struct exchange *x, enum sign_in_plane p, const struct err *why)
{
	for (int f = 0; f < PACE_FAMILIES; f++) {
		struct exchange_call *c;
		while (plane_of((enum pace_family)f) == p &&
		       (c = first(&x->queue[f].waiting)))
			finish(c, NULL, why);
	}
}

static bool
is_wanted(const struct exchange *x, enum sign_in_plane p)
{
	for (int f = 0; f < PACE_FAMILIES; f++)
		if (plane_of((enum pace_family)f) == p &&
		    !list_empty(&x->queue[f].waiting))
			return true;
	return false;
}

/* True where the loop was turned, or a call told of its end: what the caller waits for
 * may have come. */
static bool
fetch_tokens(struct exchange *x)
{
	bool any = false;
	for (int i = 0; i < SIGN_IN_PLANES; i++) {
		enum sign_in_plane p = (enum sign_in_plane)i;
		const char *known;
		struct err why;
		if (!is_wanted(x, p) || service_authorization(x->service, p, &known))
			continue;
		any = true;
		x->token[p]++;
		if (service_sign_in(x->service, p, &why)) {
			fail_waiting(x, p, &why);
			continue;
		}
		for (int f = 0; f < PACE_FAMILIES; f++)
			if (plane_of((enum pace_family)f) == p)
				pump(&x->queue[f]);
	}
	return any;
}

/* ---- life ---- */

struct exchange *
exchange_new(struct loop *l, struct service *s, int64_t wait_max_s, struct err *e)
{
	struct rest *rest;
	for (int p = 0; p < SIGN_IN_PLANES; p++)
		if (service_plane(s, (enum sign_in_plane)p, &rest, e))
			return NULL;
	struct exchange *x = own_alloc(sizeof(*x));
	*x = (struct exchange){.loop = l, .service = s, .wait_max_s = wait_max_s};
	list_init(&x->live);
	for (int f = 0; f < PACE_FAMILIES; f++) {
		struct queue *qu = &x->queue[f];
		qu->x = x;
		list_init(&qu->waiting);
		pace_init(&qu->pace, 0, loop_now_ms(l));
		qu->timer = loop_timer_new(l, on_timer, qu);
	}
	return x;
}

void
exchange_limit(struct exchange *x, const struct pace_limits *l)
{
	for (int f = 0; f < PACE_FAMILIES; f++)
		pace_init(&x->queue[f].pace, l->per_min[f], loop_now_ms(x->loop));
}

void
exchange_free(struct exchange *x)
{
	if (!x)
		return;
	for (int f = 0; f < PACE_FAMILIES; f++) {
		list_each_safe (it, &x->queue[f].waiting)
			call_free(list_of(it, struct exchange_call, node));
		loop_timer_free(x->queue[f].timer);
	}
	list_each_safe (it, &x->live)
		call_free(list_of(it, struct exchange_call, node));
	free(x);
}

static const char *
keep(struct exchange_call *c, size_t i, const char *text)
{
	if (text)
		c->texts[i] = own_strdup(text);
	return c->texts[i];
}

struct exchange_call *
exchange_start(struct exchange *x, enum pace_family f, const struct rest_request *q,
    rest_fn fn, void *arg)
{
	struct exchange_call *c = own_alloc(sizeof(*c));
	*c = (struct exchange_call){.x = x, .family = f, .q = *q, .fn = fn, .arg = arg};
	c->q.method = keep(c, 0, q->method);
	c->q.target = keep(c, 1, q->target);
	c->q.if_match = keep(c, 2, q->if_match);
	c->q.continuation = keep(c, 3, q->continuation);
	c->q.content_type = keep(c, 4, q->content_type);
	c->q.paced = true;
	/* a second try would find its own first one, and call it somebody else's */
	c->q.once = q->if_match && q->if_match[0] != '*' && strcmp(q->if_match, "\"*\"");
	list_push(&x->queue[f].waiting, &c->node);
	pump_or_wake(&x->queue[f]);
	return c;
}

void
exchange_cancel(struct exchange_call *c)
{
	if (c)
		call_free(c);
}

int64_t
exchange_registers(struct exchange *x)
{
	struct pace *service = &x->queue[PACE_REGISTER].pace;
	struct pace *hub = &x->queue[PACE_REGISTRY].pace;
	int64_t now_ms = loop_now_ms(x->loop);
	int64_t wait_ms = pace_wait(service, now_ms);
	if (!wait_ms)
		wait_ms = pace_take(hub, now_ms);
	return wait_ms ? wait_ms : pace_take(service, now_ms);
}

int
exchange_turn(struct exchange *x, int64_t max_ms, struct err *e)
{
	return loop_turn(x->loop, fetch_tokens(x) ? 0 : max_ms, e);
}

int64_t
exchange_ahead_ms(const struct exchange *x)
{
	return x->ahead_ms;
}

int64_t
exchange_refused(const struct exchange *x, enum pace_family f)
{
	return x->queue[f].refused;
}

/* ---- one at a time ---- */

int
exchange_wait(struct exchange *x, enum pace_family f, const struct rest_request *q,
    struct buf *body, struct rest_response *ret, struct err *e)
{
	struct rest_waiter w = {.body = body};
	struct exchange_call *c = exchange_start(x, f, q, rest_waited, &w);
	while (!w.done)
		if (exchange_turn(x, -1, e)) {
			exchange_cancel(c);
			return -1;
		}
	return rest_wait_end(&w, "the target's answer", ret, e);
}
