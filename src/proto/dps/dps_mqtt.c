/*
 * DPS for one connection: register and poll, answered on the response topic. Its state is
 * the credential and the registration ID of CONNECT; operations live in the core.
 */
#include "proto/dps/dps_mqtt.h"

#include <stdlib.h>

#include "codec/config.h"
#include "codec/topic.h"
#include "codec/username.h"
#include "io/loop.h"
#include "proto/credential.h"
#include "proto/dps/dps_json.h"
#include "proto/env.h"
#include "proto/wire_error.h"

enum {
	REQUESTS_MAX = 8,                     /* of a connection at once; SDKs have one */
	FRAME_MAX = DPS_JSON_BODY_MAX + 2048, /* and its topic */
	INFLIGHT_MAX = 16,
	IDLE_S = 120,            /* where the client asked for no keep-alive (1.3) */
	ANSWER_MAX = 512 * 1024, /* a payload, every character escaped, and a chain */
	CODE_UNAUTHORIZED = 401002,
	CODE_TOPIC = 400004,
};

/* A question under way: what its answer must echo. */
struct request {
	bool used;
	size_t rid_len;
	uint8_t rid[TOPIC_RID_MAX];
};

struct dps {
	struct credential *cred;
	bool subscribed;
	struct span scope, registration_id; /* into text */
	struct request *requests[REQUESTS_MAX];
	char text[];
};

static struct dps *
dps_new(const struct username_dps *u, struct credential *cred)
{
	struct dps *d = own_alloc(sizeof(*d) + u->scope.len + u->registration_id.len);
	memcpy(d->text, u->scope.p, u->scope.len);
	memcpy(d->text + u->scope.len, u->registration_id.p, u->registration_id.len);
	d->scope = span_of(d->text, u->scope.len);
	d->registration_id = span_of(d->text + u->scope.len, u->registration_id.len);
	d->cred = cred;
	return d;
}

static void
on_gone(struct mqtt_session *s, bool graceful, uint32_t code, const char *reason)
{
	struct dps *d = mqtt_session_ctx(s);
	if (!d)
		return;
	for (size_t i = 0; i < REQUESTS_MAX; i++)
		free(d->requests[i]);
	credential_free(d->cred);
	free(d);
}

/* ---- CONNECT ----------------------------------------------------------------------- */

static void
refuse(struct mqtt_session *s, struct span id, const char *why)
{
	mqtt_session_refused(s, id, CODE_UNAUTHORIZED, "%s", why);
	mqtt_session_refuse(s, 5);
}

/* What no enrollment could make good, as a text for the operator; NULL when it may pass.
 */
static const char *
fault_of(const struct credential *c, struct span registration_id)
{
	const struct ipc_cred *p = credential_ipc(c);
	if (p->kind == CRED_NONE)
		return "neither a token nor a certificate";
	if (credential_is_unusable(c))
		return "certificate cannot be used";
	if (p->kind == CRED_X509 && !span_ieq(p->cn, registration_id))
		return "certificate's CN is not the registration ID";
	return NULL;
}

static void
on_connect(struct mqtt_session *s, const struct mqtt_connect *m)
{
	const struct env *env = mqtt_session_env(s);
	struct err e = {0};
	struct username_dps u;
	if (username_parse_dps(m->user, &u, &e)) {
		refuse(s, m->client_id, e.text);
		return;
	}
	mqtt_session_set_agent(s, u.client_agent, u.api_version);
	auto_(credential_free) struct credential *cred =
	    mqtt_session_credential(s, m->password, &e);
	if (!cred) {
		refuse(s, u.registration_id, e.text);
		return;
	}
	const char *fault = fault_of(cred, u.registration_id);
	if (fault) {
		refuse(s, u.registration_id, fault);
		return;
	}
	mqtt_session_set_ctx(s, dps_new(&u, TAKE(cred)));
	int64_t max_s = m->keep_alive_s ? env->config->hub.keepalive_max_s : IDLE_S;
	const struct mqtt_terms terms = {.frame_max = FRAME_MAX,
	    .idle_ms = mqtt_session_idle_ms(m->keep_alive_s, max_s),
	    .inflight_max = INFLIGHT_MAX};
	mqtt_session_accept(s, &terms, false); /* never a session: 1.3 */
}

/* ---- answers ----------------------------------------------------------------------- */

/* To nobody where the client has not subscribed. */
static void
respond(struct mqtt_session *s, int status, struct span rid, int64_t retry_after_s,
    struct span body)
{
	const struct dps *d = mqtt_session_ctx(s);
	auto_buf topic = BUF_INIT(1024);
	topic_write_dps_response(&topic, status, rid, retry_after_s);
	if (d->subscribed && !topic.bad)
		mqtt_session_publish(s, buf_span(&topic), body, 0);
}

static void
respond_error(struct mqtt_session *s, struct span rid, const struct wire_error *w)
{
	const struct env *env = mqtt_session_env(s);
	auto_buf body = BUF_INIT(ANSWER_MAX);
	wire_error_dps_body(w, "", clock_wall_ms(loop_clock(env->loop)), &body);
	int64_t retry = w->status >= 429 ? env->config->dps.retry_after_s : 0;
	respond(s, w->status, rid, retry, buf_span(&body));
}

static void
respond_state(struct mqtt_session *s, struct span rid, const struct ipc_dps_state *m)
{
	int status = dps_json_status(m);
	auto_buf body = BUF_INIT(ANSWER_MAX);
	dps_json_operation(m, &body);
	int64_t retry = m->retry_after_s;
	if (status == 202 && !retry)
		retry = mqtt_session_env(s)->config->dps.retry_after_s;
	respond(s, status, rid, status == 202 ? retry : 0, buf_span(&body));
}

static void
on_answer(void *arg, uint64_t slot, enum ipc_type type, const void *msg)
{
	struct mqtt_session *s = arg;
	struct dps *d = mqtt_session_ctx(s);
	struct request *r = d->requests[slot];
	struct span rid = span_of(r->rid, r->rid_len);
	r->used = false;
	if (type == IPC_DPS_STATE) {
		mqtt_session_prove(s);
		respond_state(s, rid, msg);
		return;
	}
	const struct wire_error w = wire_error_of_done(msg, WIRE_DPS);
	respond_error(s, rid, &w);
}

static void
on_late(struct mqtt_session *s)
{
	static const char why[] = "connected, and registered nothing in time";
	const struct dps *d = mqtt_session_ctx(s);
	mqtt_session_refused(s, d->registration_id, CODE_UNAUTHORIZED, "%s", why);
	mqtt_session_close(s, CODE_UNAUTHORIZED, why);
}

/* A free place for a question, or REQUESTS_MAX. */
static size_t
take_slot(struct dps *d, struct span rid)
{
	size_t i = 0;
	while (i < REQUESTS_MAX && d->requests[i] && d->requests[i]->used)
		i++;
	if (i == REQUESTS_MAX)
		return i;
	if (!d->requests[i])
		d->requests[i] = own_alloc(sizeof(struct request));
	struct request *r = d->requests[i];
	r->used = true;
	r->rid_len = rid.len;
	memcpy(r->rid, rid.p, rid.len);
	return i;
}

static void
ask(struct mqtt_session *s, struct span rid, enum ipc_type type, const void *msg)
{
	struct dps *d = mqtt_session_ctx(s);
	struct err e = {0};
	size_t slot = take_slot(d, rid);
	if (slot == REQUESTS_MAX) {
		const struct wire_error w = wire_error_of(429001);
		respond_error(s, rid, &w);
		return;
	}
	const struct core_asker who = {
	    .owner = mqtt_session_owner(s), .fn = on_answer, .arg = s, .tag = slot};
	if (core_link_ask(mqtt_session_env(s)->core, &who, type, msg, &e)) {
		d->requests[slot]->used = false;
		const struct wire_error w = wire_error_of_code(e.code, WIRE_DPS);
		respond_error(s, rid, &w);
	}
}

/* ---- requests ---------------------------------------------------------------------- */

static void
on_register(struct mqtt_session *s, const struct topic_dps *t, struct span body)
{
	const struct dps *d = mqtt_session_ctx(s);
	struct err e = {0};
	auto_dps_json_body b = {0};
	bool issue = mqtt_session_env(s)->config->dps.issue;
	if (dps_json_parse(body, d->registration_id, issue, &b, &e)) {
		const struct wire_error w = dps_json_error(&b, &e);
		respond_error(s, t->rid, &w);
		return;
	}
	struct ipc_dps_register m = {.peer = *mqtt_session_peer(s),
	    .cred = *credential_ipc(d->cred),
	    .id_scope = d->scope,
	    .registration_id = d->registration_id};
	dps_json_fill(&b, &m);
	ask(s, t->rid, IPC_DPS_REGISTER, &m);
}

static void
on_poll(struct mqtt_session *s, const struct topic_dps *t)
{
	const struct dps *d = mqtt_session_ctx(s);
	const struct ipc_dps_poll m = {.peer = *mqtt_session_peer(s),
	    .cred = *credential_ipc(d->cred),
	    .id_scope = d->scope,
	    .registration_id = d->registration_id,
	    .operation_id = span_str(t->operation_id)};
	ask(s, t->rid, IPC_DPS_POLL, &m);
}

static void
on_publish(struct mqtt_session *s, const struct mqtt_publish *m, uint64_t ticket)
{
	const struct dps *d = mqtt_session_ctx(s);
	struct err e = {0};
	struct topic_dps t;
	if (topic_parse_dps(m->topic, &t, &e)) {
		mqtt_session_refused(s, d->registration_id, CODE_TOPIC,
		    "publish to %.*s: %s", SPAN_FMT(span_head(m->topic, 128)), e.text);
		mqtt_session_close(
		    s, CODE_TOPIC, "publish to a topic that is not its own");
		return;
	}
	/* .NET rejects a response that overtakes its PUBACK (1.7). */
	mqtt_session_acked(s, ticket);
	if (t.kind == TOPIC_DPS_REGISTER)
		on_register(s, &t, m->payload);
	else
		on_poll(s, &t);
}

static uint8_t
subscribe(struct dps *d, const struct mqtt_filter *f)
{
	if (topic_sub_dps(f->filter) != TOPIC_SUB_DPS)
		return MQTT_SUBACK_FAILURE;
	d->subscribed = true;
	return f->qos ? 1 : 0; /* 2 is granted as 1 (1.4) */
}

static void
on_subscribe(struct mqtt_session *s, const struct mqtt_filter *f, size_t n,
    uint8_t *ret_codes, uint64_t ticket)
{
	for (size_t i = 0; i < n; i++)
		ret_codes[i] = subscribe(mqtt_session_ctx(s), &f[i]);
	mqtt_session_acked(s, ticket);
}

static void
on_unsubscribe(
    struct mqtt_session *s, const struct mqtt_filter *f, size_t n, uint64_t ticket)
{
	struct dps *d = mqtt_session_ctx(s);
	for (size_t i = 0; i < n; i++)
		if (topic_sub_dps(f[i].filter) == TOPIC_SUB_DPS)
			d->subscribed = false;
	mqtt_session_acked(s, ticket);
}

const struct mqtt_endpoint dps_mqtt_endpoint = {
    .plane = "dps",
    .on_connect = on_connect,
    .on_publish = on_publish,
    .on_subscribe = on_subscribe,
    .on_unsubscribe = on_unsubscribe,
    .on_late = on_late,
    .on_gone = on_gone,
};
