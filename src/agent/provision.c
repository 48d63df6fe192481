/*
 * A registration: connect, subscribe, PUT, poll. One request is under way at a time, told
 * by its $rid; an answer to another is dropped.
 */
#include "agent/provision.h"

#include <stdio.h>

#include "agent/mqtt_link.h"
#include "base/rand.h"
#include "base/sm.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "crypto/sas_key.h"
#include "io/loop.h"

#define API_VERSION    "2021-06-01"
#define AGENT_NAME     "muster-agent%2F" MUSTER_VERSION
#define POLL_DEFAULT_S 2
#define KEEPALIVE_MS   60000
#define USER_MAX       512
#define TOPIC_SIZE     512
#define SAS_GRACE_S    600 /* a token outlives the operation's deadline by this */

enum { PV_OPENING, PV_SUBSCRIBING, PV_ASKING, PV_WAITING, PV_DONE, PV_N };

static const struct sm_state states[PV_N] = {
    [PV_OPENING] = {"opening", SM_TO(PV_SUBSCRIBING) | SM_TO(PV_DONE)},
    [PV_SUBSCRIBING] = {"subscribing", SM_TO(PV_ASKING) | SM_TO(PV_DONE)},
    [PV_ASKING] = {"asking", SM_TO(PV_WAITING) | SM_TO(PV_DONE)},
    [PV_WAITING] = {"waiting", SM_TO(PV_ASKING) | SM_TO(PV_DONE)},
    [PV_DONE] = {"done", 0},
};
static const struct sm machine = {"provision", states, PV_N};

struct provision {
	struct loop *loop;
	struct mqtt_link *link;
	struct loop_timer *wait, *deadline;
	int state;
	provision_done fn;
	void *arg;
	char registration_id[DPS_ANSWER_ID];
	char rid[37];
	char operation_id[DPS_ANSWER_OPERATION]; /* "": register, else poll */
	int64_t retry_after_s;
	struct dps_answer last; /* the last that said "later" */
	bool has_last;
};

static void
finish(struct provision *p, const struct dps_answer *r, const struct err *why)
{
	if (p->state == PV_DONE)
		return;
	sm_move(&machine, &p->state, PV_DONE);
	loop_timer_cancel(p->wait);
	loop_timer_cancel(p->deadline);
	mqtt_link_free(TAKE(p->link));
	p->fn(p->arg, r, why, p->retry_after_s);
}

/* --- requests --- */

static int
body_write(const struct provision *p, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	if (js_set_str(o, "registrationId", span_str(p->registration_id), e))
		return -1;
	js_dump(o, JS_AS_BUILT, out);
	return buf_check(out, "registration", e);
}

static void
topic_write(const struct provision *p, struct buf *out)
{
	if (!p->operation_id[0]) {
		buf_printf(
		    out, "$dps/registrations/PUT/iotdps-register/?$rid=%s", p->rid);
		return;
	}
	buf_printf(out,
	    "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=%s&operationId=",
	    p->rid);
	uri_encode(out, span_str(p->operation_id));
}

static void
ask(struct provision *p)
{
	struct err e;
	int mid;
	auto_buf topic = BUF_INIT(TOPIC_SIZE);
	auto_buf body = BUF_INIT(TOPIC_SIZE);
	rand_uuid(p->rid);
	topic_write(p, &topic);
	sm_move(&machine, &p->state, PV_ASKING);
	if (buf_check(&topic, "topic", &e) || body_write(p, &body, &e) ||
	    mqtt_link_publish(p->link, buf_text(&topic), buf_span(&body), &mid, &e))
		finish(p, NULL, &e);
}

static void
on_wait(void *arg)
{
	ask(arg);
}

static void
ask_again(struct provision *p)
{
	int64_t s = p->retry_after_s ? p->retry_after_s : POLL_DEFAULT_S;
	sm_move(&machine, &p->state, PV_WAITING);
	/* up to a fifth later, so that a fleet that was told the same does not come at
	 * once */
	loop_timer_start(p->wait, s * 1000 + (int64_t)rand_below((uint64_t)s * 200 + 1));
}

/* --- the link's callbacks --- */

static void
on_open(void *arg)
{
	struct provision *p = arg;
	struct err e;
	sm_move(&machine, &p->state, PV_SUBSCRIBING);
	if (mqtt_link_subscribe(p->link, "$dps/registrations/res/#", &e))
		finish(p, NULL, &e);
}

static void
on_suback(void *arg, int granted)
{
	struct provision *p = arg;
	struct err e;
	if (p->state != PV_SUBSCRIBING)
		return;
	if (granted <= 1)
		return ask(p);
	err_set(&e, ERR_UNAVAILABLE, "the provisioning service refused the subscription");
	finish(p, NULL, &e);
}

static void
on_message(void *arg, struct span topic, struct span payload)
{
	struct provision *p = arg;
	struct dps_answer a;
	struct err e;
	if (p->state != PV_ASKING)
		return;
	if (dps_answer_parse(topic, payload, &a, &e))
		return finish(p, NULL, &e);
	if (!span_eq_str(a.rid, p->rid))
		return; /* of an earlier request */
	a.rid = SPAN_NONE;
	p->retry_after_s = a.retry_after_s;
	switch (a.kind) {
	case DPS_ANSWER_ASSIGNED:
		return finish(p, &a, NULL);
	case DPS_ANSWER_ASSIGNING:
		memcpy(p->operation_id, a.operation_id, sizeof(p->operation_id));
		return ask_again(p);
	case DPS_ANSWER_LATER:
		p->last = a;
		p->has_last = true;
		return ask_again(p);
	case DPS_ANSWER_REFUSED:
		dps_answer_refusal(&a, &e);
		return finish(p, NULL, &e);
	}
}

static void
on_closed(void *arg, const struct err *why)
{
	struct err e = *why;
	err_wrap(&e, "provisioning service");
	finish(arg, NULL, &e);
}

static void
on_deadline(void *arg)
{
	struct provision *p = arg;
	struct err e;
	if (p->has_last)
		dps_answer_refusal(&p->last, &e);
	else
		err_set(
		    &e, ERR_TIMEOUT, "the provisioning service did not decide in time");
	finish(p, NULL, &e);
}

static const struct mqtt_link_ops link_ops = {
    .on_open = on_open,
    .on_suback = on_suback,
    .on_message = on_message,
    .on_closed = on_closed,
};

/* --- starting --- */

/* {scope}/registrations/{reg}/api-version={v}&ClientVersion={agent}, no '?' (1.3) */
static int
user_write(const struct provision_opts *o, struct buf *out, struct err *e)
{
	buf_printf(out,
	    "%s/registrations/%s/api-version=" API_VERSION "&ClientVersion=%s",
	    o->id_scope, o->registration_id, AGENT_NAME);
	return buf_check(out, "user name", e);
}

/* sr = {scope}/registrations/{reg}, skn = registration (1.9) */
static int
password_write(
    struct loop *l, const struct provision_opts *o, struct buf *out, struct err *e)
{
	auto_buf resource = BUF_INIT(USER_MAX);
	buf_printf(&resource, "%s/registrations/%s", o->id_scope, o->registration_id);
	int64_t expiry_s =
	    clock_wall_s(loop_clock(l)) + o->timeout_ms / 1000 + SAS_GRACE_S;
	if (buf_check(&resource, "SAS resource", e))
		return -1;
	return sas_key_sign(
	    buf_span(&resource), o->sas_key, expiry_s, "registration", out, e);
}

int
provision_start(struct loop *l, const struct provision_opts *o, provision_done fn,
    void *arg, struct provision **ret, struct err *e)
{
	auto_buf user = BUF_INIT(USER_MAX);
	auto_buf password = BUF_INIT(SAS_KEY_TOKEN_MAX);
	password.secret = true;
	if (user_write(o, &user, e))
		return -1;
	if (o->sas_key.len && password_write(l, o, &password, e))
		return -1;
	auto_(provision_free) struct provision *p = own_alloc(sizeof(*p));
	p->loop = l;
	p->fn = fn;
	p->arg = arg;
	p->state = PV_OPENING;
	p->wait = loop_timer_new(l, on_wait, p);
	p->deadline = loop_timer_new(l, on_deadline, p);
	if (!span_to_str(span_str(o->registration_id), p->registration_id,
		sizeof(p->registration_id)))
		return err_set(e, ERR_LIMIT, "registration ID: too long");
	/* DPS keeps no sessions whatever the flag says (1.3) */
	struct mqtt_link_opts lo = {.host = o->host,
	    .port = o->port,
	    .client_id = o->registration_id,
	    .user = buf_text(&user),
	    .password = o->sas_key.len ? buf_text(&password) : NULL,
	    .clean = true,
	    .keepalive_ms = KEEPALIVE_MS,
	    .connect_ms = o->connect_ms,
	    .tls = o->tls};
	if (mqtt_link_open(l, &lo, &link_ops, p, &p->link, e))
		return err_wrap(e, "provisioning service");
	loop_timer_start(p->deadline, o->timeout_ms);
	*ret = TAKE(p);
	return 0;
}

void
provision_free(struct provision *p)
{
	if (!p)
		return;
	mqtt_link_free(p->link);
	loop_timer_free(p->wait);
	loop_timer_free(p->deadline);
	free(p);
}

struct waiter {
	struct loop *loop;
	struct dps_answer answer;
	struct err err;
};

static void
on_decided(
    void *arg, const struct dps_answer *r, const struct err *why, int64_t retry_after_s)
{
	struct waiter *w = arg;
	if (r)
		w->answer = *r;
	if (why)
		w->err = *why;
	loop_stop(w->loop);
}

int
provision_run(
    struct loop *l, const struct provision_opts *o, struct dps_answer *ret, struct err *e)
{
	struct waiter w = {.loop = l};
	auto_(provision_free) struct provision *p = NULL;
	if (provision_start(l, o, on_decided, &w, &p, e) || loop_run(l, e))
		return -1;
	if (w.err.code != ERR_OK)
		return err_copy(e, &w.err);
	*ret = w.answer;
	return 0;
}
