/*
 * Hub sessions over MQTT: opened by the core, closed by either; their telemetry and
 * wills. Other topics are other files': takers[] says whose.
 */
#include "proto/hub/hub_mqtt.h"

#include <stdlib.h>

#include "base/rand.h"
#include "codec/config.h"
#include "codec/username.h"
#include "io/loop.h"
#include "proto/credential.h"
#include "proto/env.h"
#include "proto/hub/hub_impl.h"
#include "proto/hub/props.h"

enum {
	INFLIGHT_MAX = 64,
	TOPIC_MAX = 65535,
	JITTER_MS = 60000,
};

struct hub_mqtt *
hub_mqtt_new(const struct env *env)
{
	struct hub_mqtt *h = own_alloc(sizeof(*h));
	h->env = env;
	core_link_owner_init(&h->owner);
	return h;
}

void
hub_mqtt_free(struct hub_mqtt *h)
{
	if (!h)
		return;
	core_link_drop(h->env->core, &h->owner);
	free(h);
}

size_t
hub_mqtt_sessions(const struct hub_mqtt *h)
{
	return HASH_COUNT(h->by_session);
}

/* ---- CONNECT ----------------------------------------------------------------------- */

static void
refuse(struct mqtt_session *s, struct span id, uint32_t code, const char *why)
{
	mqtt_session_refused(s, id, code, "%s", why);
	mqtt_session_refuse(s, 5);
}

/* {dev} or {dev}/{mod}, with case (protocol/device.md 3.1). */
static bool
is_client_id(struct span client_id, const struct username_hub *u)
{
	struct span rest = client_id;
	struct span device = span_split(&rest, '/');
	if (!span_eq(device, u->device_id))
		return false;
	return u->module_id.len ? span_eq(rest, u->module_id) : !rest.p;
}

/* A will is telemetry of the device itself or nothing (3.6). Keeps a copy. */
static int
keep_will(struct hub *h, const struct mqtt_connect *m, struct err *e)
{
	struct topic_hub t;
	if (!m->has_will)
		return 0;
	if (topic_parse_hub(m->will_topic, h->device_id, h->module_id, &t, e))
		return err_wrap(e, "will");
	if (t.kind != TOPIC_TELEMETRY)
		return err_set(e, ERR_FORBIDDEN, "will: not a telemetry topic");
	h->will = own_alloc(t.bag.len + m->will_payload.len + 1);
	if (t.bag.len)
		memcpy(h->will, t.bag.p, t.bag.len);
	if (m->will_payload.len)
		memcpy(h->will + t.bag.len, m->will_payload.p, m->will_payload.len);
	h->will_bag = span_of(h->will, t.bag.len);
	h->will_payload = span_of(h->will + t.bag.len, m->will_payload.len);
	h->will_retain = m->will_retain;
	h->has_will = true;
	return 0;
}

/* {dev} or {dev}/{mod} as it stands in the user name. */
static struct span
name_of(const struct username_hub *u)
{
	size_t tail = u->module_id.len ? u->module_id.len + 1 : 0;
	return span_of(u->device_id.p, u->device_id.len + tail);
}

static struct hub *
hub_new(struct mqtt_session *s, const struct username_hub *u)
{
	struct span name = name_of(u);
	struct hub *h = own_alloc(sizeof(*h) + name.len);
	h->all = mqtt_session_arg(s);
	h->mqtt = s;
	list_init(&h->twin_calls);
	memcpy(h->text, name.p, name.len);
	h->name = span_of(h->text, name.len);
	h->module_id = h->name;
	h->device_id = span_split(&h->module_id, '/');
	return h;
}

static void
on_expired(void *arg)
{
	struct hub *h = arg;
	mqtt_session_close(h->mqtt, HUB_CODE_EXPIRED,
	    h->by_cert ? "certificate expired" : "SAS token expired");
}

/* A token's end has up to a minute of jitter, so that a fleet that was switched on at
 * once does not come back at once (3.3). A certificate's has none: its bearer cannot come
 * back with it, and nobody is served past notAfter. */
static void
arm_expiry(struct hub *h, int64_t close_ms)
{
	struct loop *loop = h->all->env->loop;
	if (!close_ms)
		return;
	int64_t left = close_ms - clock_wall_ms(loop_clock(loop));
	int64_t jitter = h->by_cert ? 0 : (int64_t)rand_below(JITTER_MS);
	h->expiry = loop_timer_new(loop, on_expired, h);
	loop_timer_start(h->expiry, (left > 0 ? left : 0) + jitter);
}

static size_t
body_max(const struct config *c)
{
	return c->hub.message_max < CAP_BODY ? c->hub.message_max : CAP_BODY;
}

static void
on_opened(struct hub *h, const struct ipc_hub_opened *m)
{
	const struct config *c = h->all->env->config;
	if (m->connack) {
		/* 2 and 4 stop the C SDK for ever (protocol/device.md 3.2) */
		mqtt_session_refuse(
		    h->mqtt, m->connack == 5 || m->connack == 1 ? m->connack : 3);
		return;
	}
	h->session = m->session;
	h->subs = m->subs;
	HASH_ADD(hh, h->all->by_session, session, sizeof(h->session), h);
	arm_expiry(h, m->close_ms);
	const struct mqtt_terms terms = {.frame_max = body_max(c) + TOPIC_MAX + 16,
	    .idle_ms = mqtt_session_idle_ms(h->keep_alive_s, c->hub.keepalive_max_s),
	    .inflight_max = INFLIGHT_MAX};
	mqtt_session_prove(h->mqtt);
	mqtt_session_accept(h->mqtt, &terms, m->present != 0);
}

static void
on_open_answer(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	if (type == IPC_HUB_OPENED) {
		on_opened(h, msg);
		return;
	}
	const struct ipc_done *d = msg;
	mqtt_session_refuse(h->mqtt, err_row(d->code)->connack == 5 ? 5 : 3);
}

static void
open_session(struct hub *h, const struct username_hub *u, const struct credential *cred,
    bool clean)
{
	struct err e = {0};
	const struct ipc_hub_open m = {.peer = *mqtt_session_peer(h->mqtt),
	    .cred = *credential_ipc(cred),
	    .host = u->host,
	    .device_id = h->device_id,
	    .module_id = h->module_id,
	    .clean = clean};
	const struct core_asker who = {
	    .owner = mqtt_session_owner(h->mqtt), .fn = on_open_answer, .arg = h};
	h->by_cert = m.cred.kind == CRED_X509;
	if (core_link_ask(h->all->env->core, &who, IPC_HUB_OPEN, &m, &e))
		mqtt_session_refuse(
		    h->mqtt, 3); /* our side: the device shall come back */
}

static void
on_connect(struct mqtt_session *s, const struct mqtt_connect *m)
{
	struct err e = {0};
	struct username_hub u;
	if (username_parse_hub(m->user, &u, &e)) {
		refuse(s, m->client_id, HUB_CODE_UNAUTHORIZED, e.text);
		return;
	}
	mqtt_session_set_agent(s, u.client_agent, u.api_version);
	if (u.device_id.len > CAP_ID || u.module_id.len > CAP_ID ||
	    u.host.len > CAP_HOST) {
		refuse(s, name_of(&u), HUB_CODE_ARGUMENT, "user name: an ID is too long");
		return;
	}
	if (!is_client_id(m->client_id, &u)) {
		refuse(s, name_of(&u), HUB_CODE_UNAUTHORIZED,
		    "client ID is not the device's");
		return;
	}
	struct hub *h = hub_new(s, &u);
	h->keep_alive_s = m->keep_alive_s;
	mqtt_session_set_ctx(s, h);
	hub_credential_look(h, mqtt_session_ssl(s));
	auto_(credential_free) struct credential *cred =
	    mqtt_session_credential(s, m->password, &e);
	if (!cred) {
		refuse(s, name_of(&u), HUB_CODE_UNAUTHORIZED, e.text);
		return;
	}
	if (keep_will(h, m, &e)) {
		refuse(s, h->name, HUB_CODE_ARGUMENT, e.text);
		return;
	}
	open_session(h, &u, cred, m->clean);
	hub_credential_keep(h, TAKE(cred));
}

/* ---- questions for the core -------------------------------------------------------- */

void
hub_mqtt_ask(struct hub *h, enum ipc_type type, const void *msg, core_link_answer *fn,
    uint64_t tag)
{
	struct err e = {0};
	const struct core_asker who = {
	    .owner = mqtt_session_owner(h->mqtt), .fn = fn, .arg = h, .tag = tag};
	if (core_link_ask(h->all->env->core, &who, type, msg, &e))
		mqtt_session_close(h->mqtt, 503001, "core does not take messages");
}

void
hub_mqtt_close_failed(struct hub *h, const char *what, const struct ipc_done *d)
{
	char reason[200];
	snprintf(reason, sizeof(reason), "%s: %s", what, err_row(d->code)->words);
	mqtt_session_close(h->mqtt, d->error ? d->error : 500001, reason);
}

/* ---- telemetry --------------------------------------------------------------------- */

static void
on_stored(void *arg, uint64_t ticket, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	const struct ipc_done *d = msg;
	/* Without a PUBACK the device sends it again when it is back. */
	if (d->code != ERR_OK)
		hub_mqtt_close_failed(h, "message not stored", d);
	else
		mqtt_session_acked(h->mqtt, ticket);
}

void
hub_mqtt_close_unfit(struct hub *h, struct span topic, uint32_t code, const char *why)
{
	mqtt_session_refused(h->mqtt, h->name, code, "publish to %.*s: %s",
	    SPAN_FMT(span_head(topic, 128)), why);
	mqtt_session_close(h->mqtt, code, why);
}

static void
on_telemetry(struct hub *h, const struct mqtt_publish *m, const struct topic_hub *t,
    uint64_t ticket)
{
	const struct span bag = t->bag;
	const struct env *env = h->all->env;
	struct err e = {0};
	auto_buf props = BUF_INIT(CAP_JSON);
	const struct props_marks marks = {.retain = m->retain, .dup = m->dup};
	if (m->payload.len + bag.len > body_max(env->config)) {
		hub_mqtt_close_unfit(
		    h, m->topic, HUB_CODE_TOO_LARGE, "message too large");
		return;
	}
	if (props_from_bag(bag, &marks, &props, &e)) {
		hub_mqtt_close_unfit(h, m->topic, HUB_CODE_TOO_LARGE, e.text);
		return;
	}
	const struct ipc_hub_event ev = {
	    .session = h->session, .props = buf_span(&props), .body = m->payload};
	hub_mqtt_ask(h, IPC_HUB_EVENT, &ev, on_stored, ticket);
}

static hub_publish_fn *const takers[] = {
    [TOPIC_TELEMETRY] = on_telemetry,
    [TOPIC_TWIN_GET] = hub_twin_on_get,
    [TOPIC_TWIN_REPORT] = hub_twin_on_report,
    [TOPIC_METHOD_RESPONSE] = hub_method_on_response,
    [TOPIC_CREDENTIAL_ISSUE] = hub_credential_on_issue,
};

static void
on_publish(struct mqtt_session *s, const struct mqtt_publish *m, uint64_t ticket)
{
	struct hub *h = mqtt_session_ctx(s);
	struct err e = {0};
	struct topic_hub t;
	if (topic_parse_hub(m->topic, h->device_id, h->module_id, &t, &e)) {
		hub_mqtt_close_unfit(h, m->topic, HUB_CODE_ARGUMENT, e.text);
		return;
	}
	takers[t.kind](h, m, &t, ticket);
}

/* ---- the end ----------------------------------------------------------------------- */

static void
on_will_stored(void *arg, uint64_t tag, enum ipc_type type, const void *msg)
{
}

static void
publish_will(struct hub *h)
{
	struct err e = {0};
	auto_buf props = BUF_INIT(CAP_JSON);
	const struct props_marks marks = {.retain = h->will_retain, .will = true};
	if (props_from_bag(h->will_bag, &marks, &props, &e))
		return; /* over the cap: a message that would have been refused too */
	const struct ipc_hub_event ev = {
	    .session = h->session, .props = buf_span(&props), .body = h->will_payload};
	const struct core_asker who = {.owner = &h->all->owner, .fn = on_will_stored};
	if (core_link_ask(h->all->env->core, &who, IPC_HUB_EVENT, &ev, &e))
		return; /* no core, no session, no will */
}

static void
tell_closed(struct hub_mqtt *h, int64_t session, uint32_t code, const char *reason)
{
	const struct ipc_hub_closed m = {
	    .session = session, .code = code, .reason = span_head(span_str(reason), 200)};
	core_link_tell(h->env->core, IPC_HUB_CLOSED, &m);
}

static void
on_gone(struct mqtt_session *s, bool graceful, uint32_t code, const char *reason)
{
	struct hub *h = mqtt_session_ctx(s);
	if (!h)
		return;
	if (h->session) {
		HASH_DEL(h->all->by_session, h);
		if (h->has_will && !graceful)
			publish_will(h);
		tell_closed(h->all, h->session, code, reason);
	}
	loop_timer_free(h->expiry);
	hub_twin_drop(h);
	hub_c2d_drop(h);
	hub_credential_drop(h);
	free(h->will);
	free(h);
}

struct hub *
hub_mqtt_find(const struct hub_mqtt *all, int64_t session)
{
	struct hub *h = NULL;
	HASH_FIND(hh, all->by_session, &session, sizeof(session), h);
	return h;
}

void
hub_mqtt_on_session_close(struct hub_mqtt *all, const struct ipc_session_close *m)
{
	struct hub *h = hub_mqtt_find(all, m->session);
	char reason[201];
	if (!h)
		return;
	if (!span_to_str(m->reason, reason, sizeof(reason)))
		snprintf(reason, sizeof(reason), "closed by the hub");
	mqtt_session_close(h->mqtt, 0, reason);
}

void
hub_mqtt_on_orphan(struct hub_mqtt *all, const struct ipc_hub_opened *m)
{
	if (!m->connack)
		tell_closed(all, m->session, 0, "peer left before CONNACK");
}

void
hub_mqtt_on_core_lost(struct hub_mqtt *all)
{
	struct hub *h, *next;
	HASH_ITER (hh, all->by_session, h, next) {
		/* A new core counts its sessions anew: this number must not reach it. */
		HASH_DEL(all->by_session, h);
		h->session = 0;
		mqtt_session_close(h->mqtt, 0, "core restarted");
	}
}

const struct mqtt_endpoint hub_mqtt_endpoint = {
    .plane = "hub",
    .on_connect = on_connect,
    .on_publish = on_publish,
    .on_subscribe = hub_subs_on_subscribe,
    .on_unsubscribe = hub_subs_on_unsubscribe,
    .on_delivered = hub_c2d_on_delivered,
    .on_drained = hub_c2d_on_drained,
    .on_gone = on_gone,
};
