/*
 * Direct methods: a call waits for the identity to listen, then for its answer, each with
 * a time limit. Nothing of it is stored, so nothing of it waits for a commit: it is sent
 * at once.
 *
 * A connection that ends meanwhile does not end the call: a device whose answer was under
 * way gives it on its next connection (the SDKs publish again what was not acknowledged),
 * and else the caller's own limit does.
 */
#include "role/core_method.h"

#include <stdio.h>
#include <string.h>

#include "base/rand.h"
#include "codec/topic.h"
#include "domain/hub/module.h"

enum {
	CALLS_MAX = 10000,
	WAITING_MAX = 1000, /* of them, for a device to come */
	WAITING_BYTES = 32 << 20,
	RESPONSE_MIN_S = 5,
	TIME_MAX_S = 300,
};

/* Of a call that waits for its device: what is yet to be sent. */
struct call {
	int64_t id;
	struct core_method *all;
	struct ask ask; /* of nobody where fn is set */
	core_method_ended *fn;
	int64_t job, device;     /* for fn */
	char name[SESSION_NAME]; /* the identity's */
	struct loop_timer *timer;
	uint32_t response_s;
	bool sent;
	struct list waiting; /* linked until it is sent */
	char *method;
	uint8_t *payload;
	size_t payload_len;
	UT_hash_handle hh;
};

struct core_method {
	struct core *core;
	struct call *calls;
	struct list waiting;
	size_t n_waiting, waiting_bytes;
	int64_t last_id;
};

struct core_method *
core_method_new(struct core *c)
{
	struct core_method *k = own_alloc(sizeof(*k));
	k->core = c;
	list_init(&k->waiting);
	/* an answer to a call of before a restart must not fit one of after it */
	k->last_id = (int64_t)rand_below(UINT32_MAX);
	return k;
}

static void
stop_waiting(struct call *call)
{
	struct core_method *k = call->all;
	if (call->sent || !call->method)
		return;
	list_del(&call->waiting);
	k->n_waiting--;
	k->waiting_bytes -= call->payload_len;
	free(TAKE(call->method));
	free(TAKE(call->payload));
}

static void
call_free(struct call *call)
{
	stop_waiting(call);
	HASH_DEL(call->all->calls, call);
	loop_timer_free(call->timer);
	free(call);
}

void
core_method_free(struct core_method *k)
{
	struct call *call, *next;
	if (!k)
		return;
	HASH_ITER (hh, k->calls, call, next)
		call_free(call);
	free(k);
}

void
core_method_forget(struct core *c, unsigned edge)
{
	struct call *call, *next;
	HASH_ITER (hh, c->methods->calls, call, next)
		if (call->ask.edge == edge)
			call_free(call);
}

static void
end_own(struct call *call, bool ok)
{
	const struct call was = *call;
	call_free(call);
	was.fn(was.all->core, was.job, was.device, ok);
}

static void
end_refused(struct call *call, enum refusal_code code)
{
	const struct refusal_row *row = refusal_row(code);
	if (call->fn) {
		end_own(call, false);
		return;
	}
	const struct ipc_done m = {.code = (uint8_t)row->err,
	    .error = (uint32_t)row->hub,
	    .text = span_str(row->words)};
	core_send_late(call->all->core, call->ask.edge, IPC_DONE, call->ask.id, &m);
	call_free(call);
}

static void
on_time_over(void *arg)
{
	struct call *call = arg;
	end_refused(call, call->sent ? REFUSAL_NO_ANSWER : REFUSAL_NOT_ONLINE);
}

static bool
listens(const struct session *s)
{
	return s && !s->superseded && topic_subs_qos(s->subs, TOPIC_SUB_METHODS) >= 0;
}

static void
push(struct call *call, const struct session *s, struct span method, struct span payload)
{
	const struct ipc_method_push m = {.session = s->id,
	    .call = call->id,
	    .qos = (uint8_t)topic_subs_qos(s->subs, TOPIC_SUB_METHODS),
	    .method = method,
	    .payload = payload};
	core_send_late(call->all->core, s->edge, IPC_METHOD_PUSH, 0, &m);
	stop_waiting(call);
	call->sent = true;
	loop_timer_start(call->timer, (int64_t)call->response_s * 1000);
}

void
core_method_ready(struct core *c, const struct session *s)
{
	if (!c->methods->n_waiting || !listens(s))
		return;
	list_each_safe (it, &c->methods->waiting) {
		struct call *call = list_of(it, struct call, waiting);
		if (strcmp(call->name, s->name) == 0)
			push(call, s, span_str(call->method),
			    span_of(call->payload, call->payload_len));
	}
}

/* ---- a call ---- */

static int
check_call(const struct ipc_method_call *m, struct err *e)
{
	if (!m->method.len)
		return err_set(e, ERR_PARSE, "methodName is missing");
	if (m->response_s < RESPONSE_MIN_S || m->response_s > TIME_MAX_S)
		return err_set(e, ERR_PARSE, "responseTimeoutInSeconds: %d to %d",
		    RESPONSE_MIN_S, TIME_MAX_S);
	if (m->connect_s > TIME_MAX_S)
		return err_set(
		    e, ERR_PARSE, "connectTimeoutInSeconds: 0 to %d", TIME_MAX_S);
	return 0;
}

/* The name of the identity that is called; NOT_FOUND, or *no for a module. */
static int
find_identity(struct core *c, const struct ipc_method_call *m, const char **ret_name,
    struct refusal *no, struct err *e)
{
	struct store_device dev;
	if (module_find(&c->d, m->peer.host, m->device_id, m->module_id, &dev, no, e))
		return -1;
	*ret_name = no->code == REFUSAL_NONE ? dev.id : "";
	return 0;
}

static struct call *
call_new(struct core *c, const struct ask *a, const char *name, uint32_t response_s)
{
	struct call *call = own_alloc(sizeof(*call));
	call->all = c->methods;
	call->id = ++c->methods->last_id;
	call->ask = *a;
	call->response_s = response_s;
	snprintf(call->name, sizeof(call->name), "%s", name);
	call->timer = loop_timer_new(c->loop, on_time_over, call);
	HASH_ADD(hh, c->methods->calls, id, sizeof(call->id), call);
	return call;
}

/* On failure the call is as it was. */
static int
wait_for_device(struct call *call, struct span method, struct span payload,
    uint32_t connect_s, struct err *e)
{
	struct core_method *k = call->all;
	if (k->n_waiting >= WAITING_MAX || k->waiting_bytes + payload.len > WAITING_BYTES)
		return err_set(e, ERR_BUSY, "too many calls wait for their devices");
	call->method = own_alloc(method.len + 1);
	memcpy(call->method, method.p, method.len);
	call->payload_len = payload.len;
	call->payload = own_alloc(payload.len + 1);
	if (payload.len)
		memcpy(call->payload, payload.p, payload.len);
	list_push(&k->waiting, &call->waiting);
	k->n_waiting++;
	k->waiting_bytes += call->payload_len;
	loop_timer_start(call->timer, (int64_t)connect_s * 1000);
	return 0;
}

/* Sends it, or has it wait; refuses it where it can do neither. */
static int
begin(struct call *call, struct span method, struct span payload, uint32_t connect_s,
    struct err *e)
{
	const struct session *s = session_of(&call->all->core->sessions, call->name);
	if (listens(s))
		push(call, s, method, payload);
	else if (connect_s)
		return wait_for_device(call, method, payload, connect_s, e);
	else
		end_refused(call, REFUSAL_NOT_ONLINE);
	return 0;
}

void
core_method_start(struct core *c, const struct core_method_own *own)
{
	const struct ask nobody = {.edge = CORE_EDGES_MAX};
	struct err e;
	if (HASH_COUNT(c->methods->calls) >= CALLS_MAX) {
		own->fn(c, own->job, own->device, false);
		return;
	}
	struct call *call = call_new(c, &nobody, own->name, own->response_s);
	call->fn = own->fn;
	call->job = own->job;
	call->device = own->device;
	if (begin(call, own->method, own->payload, own->connect_s, &e))
		end_own(call, false);
}

static int
on_method_call(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_method_call *m = msg;
	const char *name;
	struct refusal no;
	if (check_call(m, e) || find_identity(c, m, &name, &no, e))
		return -1;
	if (no.code != REFUSAL_NONE)
		return core_refused(c, a, &no, refusal_row(no.code)->hub, e);
	if (HASH_COUNT(c->methods->calls) >= CALLS_MAX)
		return err_set(e, ERR_BUSY, "%d calls are under way", CALLS_MAX);
	struct call *call = call_new(c, a, name, m->response_s);
	if (begin(call, m->method, m->payload, m->connect_s, e) == 0)
		return 0;
	call_free(call);
	return -1;
}

/* ---- its answer ---- */

/* The call that a session may answer: its own identity's. One that is unknown was
 * answered before, is over, or was never made (protocol/device.md 3.11: ignored). */
static struct call *
find_call(struct core *c, const struct ask *a, const struct ipc_method_answer *m)
{
	struct call *call;
	const struct session *s = session_find(&c->sessions, m->session);
	HASH_FIND(hh, c->methods->calls, &m->call, sizeof(m->call), call);
	if (!call || !s || s->edge != a->edge || strcmp(s->name, call->name) != 0)
		return NULL;
	return call->sent ? call : NULL;
}

static int
on_method_answer(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_method_answer *m = msg;
	struct call *call = find_call(c, a, m);
	(void)e;
	if (!call)
		return 0;
	if (m->malformed) {
		end_refused(call, REFUSAL_BAD_ANSWER);
		return 0;
	}
	if (call->fn) {
		end_own(call, true);
		return 0;
	}
	const struct ipc_method_result result = {
	    .status = m->status, .payload = m->payload};
	const struct ipc_done done = {.code = ERR_OK};
	core_send_late(c, call->ask.edge, IPC_METHOD_RESULT, call->ask.id, &result);
	core_send_late(c, call->ask.edge, IPC_DONE, call->ask.id, &done);
	call_free(call);
	return 0;
}

core_handler *
core_method_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_METHOD_CALL] = on_method_call,
	    [IPC_METHOD_ANSWER] = on_method_answer,
	};
	return handlers[type];
}
