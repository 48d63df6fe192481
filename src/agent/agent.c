/*
 * The device: its state machine, and what happens in each state.
 */
#include "agent/agent.h"

#include <signal.h>
#include <stdio.h>

#include "agent/agent_config.h"
#include "agent/backoff.h"
#include "agent/control.h"
#include "agent/credential.h"
#include "agent/hub_link.h"
#include "agent/provision.h"
#include "agent/telemetry.h"
#include "base/log.h"
#include "base/rand.h"
#include "base/sm.h"
#include "crypto/tls.h"
#include "io/loop.h"

#define STABLE_MS     30000 /* a connection that lived so long was no failure */
#define ACK_MAX_MS    60000 /* without a PUBACK for so long the connection is dead */
#define INFLIGHT_MAX  20
#define HUB_TRIES     10 /* then the provisioning service is asked again (2.4) */
#define TELEMETRY_MAX 1024
#define FALL_BACK_AT  3 /* refusals in a row */

#define RUNNING                                                                          \
	(SM_TO(AGENT_PROVISIONING) | SM_TO(AGENT_CONNECTING) | SM_TO(AGENT_BACKOFF) |    \
	    SM_TO(AGENT_HELD) | SM_TO(AGENT_IDLE))

static const struct sm_state states[AGENT_STATES] = {
    [AGENT_IDLE] = {"idle", RUNNING},
    [AGENT_PROVISIONING] = {"provisioning", RUNNING},
    [AGENT_CONNECTING] = {"connecting", RUNNING | SM_TO(AGENT_CONNECTED)},
    [AGENT_CONNECTED] = {"connected", RUNNING},
    [AGENT_BACKOFF] = {"backoff", RUNNING},
    [AGENT_HELD] = {"held", RUNNING},
};
static const struct sm machine = {"agent", states, AGENT_STATES};

struct unacked {
	int mid;
	int64_t at_ms;
};

struct agent {
	char *dir;
	struct loop *loop;
	struct clock_floor time;
	const struct agent_ops *ops;
	void *arg;
	struct arena *arena; /* the strings of cfg */
	struct agent_config cfg;
	struct keystore *keys;
	struct control *control;
	struct keystore_credential cred;
	struct keystore_assignment assignment; /* hub "": none */
	bool refused_by_hub;                   /* the assignment is in doubt */
	int refusals;                          /* of the credential, in a row */
	bool fell_back;                        /* to be renewed once it is connected */
	bool unloaded;                         /* no credential yet: its token is gone */
	int hub_failures;
	struct provision *provision;
	struct mqtt_link *hub;
	struct loop_timer *next;   /* start, end of a pause, end of a hold */
	struct loop_timer *sample; /* telemetry */
	struct loop_timer *token;  /* of SAS: its renewal */
	struct renewal *renewal;   /* of the certificate */
	int64_t next_at_ms, connected_at_ms;
	struct telemetry sensor;
	struct unacked unacked[INFLIGHT_MAX]; /* the oldest first */
	size_t nunacked;
	int state;
	struct agent_status st;
};

const char *
agent_state_name(enum agent_state s)
{
	return sm_name(&machine, (int)s);
}

int
agent_init(struct err *e)
{
	/* a file size limit (ulimit -f) shall be an error that is reported: EFBIG */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	return tls_init(e) || mqtt_link_init(e) ? -1 : 0;
}

/* --- states --- */

static int64_t
wall_ms(const struct agent *a)
{
	return clock_wall_ms(&a->time.clock);
}

static void
set_state(struct agent *a, enum agent_state s)
{
	sm_move(&machine, &a->state, (int)s);
	a->st.since_ms = wall_ms(a);
	log_event(LOG_DEBUG, "agent.state", LOG_STR("device", a->cfg.device.id),
	    LOG_STR("state", agent_state_name(s)));
	if (a->ops && a->ops->on_state)
		a->ops->on_state(a->arg, a, s);
	if (a->control)
		control_notify(a->control);
}

/* Ends whatever is under way; the one place where links are dropped. */
static void
drop(struct agent *a)
{
	provision_free(TAKE(a->provision));
	mqtt_link_free(TAKE(a->hub));
	loop_timer_cancel(a->next);
	loop_timer_cancel(a->sample);
	loop_timer_cancel(a->token);
	a->st.dropped += a->nunacked;
	a->nunacked = 0;
}

static void
wait_for(struct agent *a, int64_t ms)
{
	a->next_at_ms = loop_now_ms(a->loop) + ms;
	loop_timer_start(a->next, ms);
}

static int load_credential(struct agent *a, struct err *e);

/* Another generation in the place of one that is refused again and again; tried after the
 * pause that the refusal earned. Who holds the lock is at work on the credentials
 * already. */
static void
fall_back(struct agent *a)
{
	struct err e;
	struct keystore_ref r;
	auto_(keystore_close) struct keystore *k = NULL;
	if (keystore_open(a->dir, &k, &e) || keystore_lock(k, &e) ||
	    keystore_fall_back(k, wall_ms(a), &r, &e)) {
		log_event(LOG_DEBUG, "agent.no_fall_back",
		    LOG_STR("device", a->cfg.device.id), LOG_ERR(&e));
		return;
	}
	log_event(LOG_WARN, "agent.fall_back", LOG_STR("device", a->cfg.device.id),
	    LOG_STR("from", a->cred.ref.generation), LOG_STR("to", r.generation));
	struct agent_status kept = a->st;
	if (load_credential(a, &e)) {
		log_event(LOG_ERROR, "agent.fall_back",
		    LOG_STR("device", a->cfg.device.id), LOG_ERR(&e));
		return;
	}
	a->st.attempts = kept.attempts;
	a->st.last = kept.last;
	a->refused_by_hub = true; /* register anew */
	a->refusals = 0;
	a->fell_back = true;
	/* what the hub refuses may still be good for another (its CA was revoked) */
	renewal_look(a->renewal);
}

static void
back_off(struct agent *a, const struct err *why, int64_t retry_after_s)
{
	bool refusal = backoff_is_refusal(why->code);
	a->refusals += refusal;
	if (a->state == AGENT_CONNECTED &&
	    loop_now_ms(a->loop) - a->connected_at_ms >= STABLE_MS)
		a->st.attempts = 0;
	a->st.attempts++;
	a->st.refused += refusal;
	a->st.last = *why;
	struct backoff_scale s = {
	    a->cfg.agent.backoff_min_ms, a->cfg.agent.backoff_max_ms};
	if (refusal)
		s = (struct backoff_scale){
		    a->cfg.agent.refused_min_ms, a->cfg.agent.refused_max_ms};
	int64_t ms = backoff_ms(&s, refusal, a->st.attempts, retry_after_s * 1000);
	drop(a);
	if (refusal && a->refusals >= FALL_BACK_AT && a->cred.ref.x509)
		fall_back(a);
	wait_for(a, ms);
	log_event(LOG_WARN, "agent.backoff", LOG_STR("device", a->cfg.device.id),
	    LOG_INT("ms", ms), LOG_INT("attempt", a->st.attempts), LOG_ERR(why));
	set_state(a, AGENT_BACKOFF);
}

/* --- connected --- */

static void
take_sample(struct agent *a)
{
	if (a->nunacked && loop_now_ms(a->loop) - a->unacked[0].at_ms > ACK_MAX_MS) {
		struct err e;
		err_set(&e, ERR_TIMEOUT, "hub %s: no acknowledgement for %d s",
		    a->assignment.hub, ACK_MAX_MS / 1000);
		a->st.disconnects++;
		return back_off(a, &e, 0);
	}
	if (a->nunacked == INFLIGHT_MAX) {
		a->st.dropped++;
		return;
	}
	struct telemetry_facts f = {.device_id = a->assignment.device_id,
	    .now_ms = wall_ms(a),
	    .x509 = a->cred.ref.x509,
	    .not_after_ms = a->cred.not_after_ms};
	auto_buf body = BUF_INIT(TELEMETRY_MAX);
	struct err e;
	int mid;
	if (telemetry_write(&a->sensor, &f, &body, &e) ||
	    hub_link_send(
		a->hub, a->assignment.device_id, buf_span(&body), NULL, 0, &mid, &e)) {
		a->st.dropped++;
		a->st.last = e;
		return;
	}
	a->st.sent++;
	a->unacked[a->nunacked++] = (struct unacked){mid, loop_now_ms(a->loop)};
}

static void
on_sample(void *arg)
{
	take_sample(arg);
}

static void
on_puback(void *arg, int mid)
{
	struct agent *a = arg;
	for (size_t i = 0; i < a->nunacked; i++) {
		if (a->unacked[i].mid != mid)
			continue;
		a->nunacked--;
		memmove(a->unacked + i, a->unacked + i + 1,
		    (a->nunacked - i) * sizeof(a->unacked[0]));
		a->st.acked++;
		if (a->ops && a->ops->on_acked)
			a->ops->on_acked(a->arg, a);
		return;
	}
}

static void
on_open(void *arg)
{
	struct agent *a = arg;
	a->st.connects++;
	a->st.connack = 0;
	a->hub_failures = a->refusals = 0;
	a->refused_by_hub = false;
	a->connected_at_ms = loop_now_ms(a->loop);
	log_event(LOG_INFO, "agent.connected", LOG_STR("device", a->cfg.device.id),
	    LOG_STR("hub", a->assignment.hub),
	    LOG_STR("auth", a->cred.ref.x509 ? "x509" : "sas"),
	    LOG_STR("thumbprint", a->cred.thumbprint));
	loop_timer_repeat(a->sample, a->cfg.telemetry.interval_ms);
	if (a->fell_back)
		renewal_now(a->renewal);
	a->fell_back = false;
	set_state(a, AGENT_CONNECTED);
	if (a->state == AGENT_CONNECTED)
		take_sample(a);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct agent *a = arg;
	a->st.connack = mqtt_link_connack(a->hub);
	a->st.disconnects += a->state == AGENT_CONNECTED;
	a->hub_failures++;
	if (backoff_is_refusal(why->code))
		a->refused_by_hub = true;
	struct err e = *why;
	err_wrap(&e, "hub");
	back_off(a, &e, 0);
}

static const struct mqtt_link_ops hub_ops = {
    .on_open = on_open,
    .on_puback = on_puback,
    .on_closed = on_closed,
};

/* --- connecting --- */

static int
open_hub(struct agent *a, struct err *e)
{
	auto_(tls_client_free) struct tls_client *tls =
	    credential_tls(a->dir, &a->cfg, &a->cred, a->assignment.hub, &a->time, e);
	if (!tls)
		return -1;
	struct hub_link_opts o = {.host = a->assignment.hub,
	    .port = a->cfg.hub.port,
	    .device_id = a->assignment.device_id,
	    .tls = tls,
	    .sas_key = buf_span(&a->cred.sas_key),
	    .sas_expiry_s = (wall_ms(a) + a->cfg.hub.sas_life_ms) / 1000,
	    .keepalive_ms = a->cfg.hub.keepalive_ms,
	    .connect_ms = a->cfg.hub.connect_timeout_ms};
	return hub_link_open(a->loop, &o, &hub_ops, a, &a->hub, e);
}

static void
connect_hub(struct agent *a)
{
	struct err e;
	if (open_hub(a, &e)) {
		a->hub_failures++;
		return back_off(a, &e, 0);
	}
	if (!a->cred.ref.x509) {
		/* at four fifths of the token's life, a little spread */
		int64_t ms = a->cfg.hub.sas_life_ms * 4 / 5;
		loop_timer_start(
		    a->token, ms - (int64_t)rand_below((uint64_t)ms / 20 + 1));
	}
	set_state(a, AGENT_CONNECTING);
}

/* MQTT has no way to hand over a new token: reconnect (protocol/device.md 3.3). */
static void
on_token(void *arg)
{
	struct agent *a = arg;
	drop(a);
	connect_hub(a);
}

/* --- provisioning --- */

static void
on_provisioned(
    void *arg, const struct dps_answer *r, const struct err *why, int64_t retry_after_s)
{
	struct agent *a = arg;
	struct err e;
	if (!r) {
		a->hub_failures = 0; /* an assignment that we have is tried again first */
		e = *why;
		return back_off(a, &e, retry_after_s);
	}
	snprintf(a->assignment.hub, sizeof(a->assignment.hub), "%s", r->hub);
	snprintf(
	    a->assignment.device_id, sizeof(a->assignment.device_id), "%s", r->device_id);
	a->refused_by_hub = false;
	a->hub_failures = 0;
	if (keystore_assignment_put(a->keys, &a->cred.ref, &a->assignment, &e))
		log_event(LOG_WARN, "agent.state_not_kept",
		    LOG_STR("device", a->cfg.device.id), LOG_ERR(&e));
	provision_free(TAKE(a->provision));
	connect_hub(a);
}

static int
open_provision(struct agent *a, struct err *e)
{
	auto_(tls_client_free) struct tls_client *tls =
	    credential_tls(a->dir, &a->cfg, &a->cred, a->cfg.dps.host, &a->time, e);
	if (!tls)
		return -1;
	struct provision_opts o = {.host = a->cfg.dps.host,
	    .port = a->cfg.dps.port,
	    .id_scope = a->cfg.dps.id_scope,
	    .registration_id = a->cfg.device.id,
	    .tls = tls,
	    .sas_key = buf_span(&a->cred.sas_key),
	    .connect_ms = a->cfg.hub.connect_timeout_ms,
	    .timeout_ms = a->cfg.dps.timeout_ms};
	return provision_start(a->loop, &o, on_provisioned, a, &a->provision, e);
}

static bool
needs_provisioning(const struct agent *a)
{
	if (a->cfg.hub.host[0])
		return false;
	return !a->assignment.hub[0] || a->refused_by_hub || a->hub_failures >= HUB_TRIES;
}

/* The next try, from any state that may make one. */
static void
begin(struct agent *a)
{
	struct err e;
	/* a token or TPM that was not there at the start */
	if (a->unloaded && load_credential(a, &e))
		return back_off(a, &e, 0);
	renewal_start(a->renewal);
	if (!a->cred.ref.x509 && !clock_floor_is_known(&a->time)) {
		/* a token would have expired; nothing is thrown away. A certificate needs
		 * no clock of ours */
		err_set(&e, ERR_UNAVAILABLE, "the device's clock is not set");
		return back_off(a, &e, 0);
	}
	if (!needs_provisioning(a))
		return connect_hub(a);
	if (open_provision(a, &e))
		return back_off(a, &e, 0);
	set_state(a, AGENT_PROVISIONING);
}

static void
on_next(void *arg)
{
	begin(arg);
}

/* --- the owner's side --- */

static int
load_credential(struct agent *a, struct err *e)
{
	struct keystore_ref ref;
	auto_keystore_credential c = {0};
	if (keystore_active(a->keys, &ref, e) || keystore_load(a->keys, &ref, &c, e))
		return -1;
	struct keystore_assignment as = {0};
	struct err ignored;
	if (keystore_assignment_get(a->keys, &ref, &as, &ignored))
		as = (struct keystore_assignment){0}; /* ask the provisioning service */
	if (a->cfg.hub.host[0]) {
		snprintf(as.hub, sizeof(as.hub), "%s", a->cfg.hub.host);
		snprintf(as.device_id, sizeof(as.device_id), "%s", a->cfg.device.id);
	}
	keystore_credential_done(&a->cred);
	a->cred = c;
	c = (struct keystore_credential){0};
	clock_floor_raise(&a->time, a->cred.not_before_ms);
	a->assignment = as;
	a->refused_by_hub = false;
	a->hub_failures = a->refusals = 0;
	a->fell_back = a->unloaded = false;
	a->st.attempts = 0;
	a->st.last = (struct err){0};
	a->st.connack = -1;
	return 0;
}

/* Nothing that a chmod or a token's return would cure. */
static bool
is_lost(enum err_code code)
{
	return code == ERR_NOT_FOUND || code == ERR_CORRUPT || code == ERR_PARSE ||
	       code == ERR_CRYPTO;
}

/* A key whose token or TPM does not answer is waited for, like a service. For one that is
 * lost another generation stands in. */
static int
load_first(struct agent *a, struct err *e)
{
	struct err why;
	if (load_credential(a, &why) == 0)
		return 0;
	a->unloaded = why.code == ERR_UNAVAILABLE;
	a->st.last = why;
	if (keystore_active(a->keys, &a->cred.ref, e))
		return -1;
	if (a->unloaded)
		return 0;
	if (is_lost(why.code))
		fall_back(a);
	return a->cred.key ? 0 : err_copy(e, &why);
}

int
agent_open(const char *dir, struct loop *l, const struct agent_ops *ops, void *arg,
    struct agent **ret, struct err *e)
{
	auto_(agent_free) struct agent *a = own_alloc(sizeof(*a));
	a->dir = own_strdup(dir);
	a->loop = l;
	a->ops = ops;
	a->arg = arg;
	a->arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	a->next = loop_timer_new(l, on_next, a);
	a->sample = loop_timer_new(l, on_sample, a);
	a->token = loop_timer_new(l, on_token, a);
	clock_floor_init(&a->time, loop_clock(l), clock_floor_built_ms());
	clock_floor_load(&a->time, dir);
	a->st.since_ms = wall_ms(a);
	telemetry_init(&a->sensor);
	struct renewal_opts ro = {.dir = a->dir,
	    .cfg = &a->cfg,
	    .time = &a->time,
	    .credential = &a->cred,
	    .program = ops ? ops->program : NULL};
	a->renewal = renewal_new(l, &ro);
	if (agent_config_read(dir, &a->cfg, a->arena, e) ||
	    keystore_open(dir, &a->keys, e) || load_first(a, e))
		return -1;
	*ret = TAKE(a);
	return 0;
}

void
agent_free(struct agent *a)
{
	if (!a)
		return;
	control_free(a->control);
	if (a->state != AGENT_IDLE)
		drop(a);
	loop_timer_free(a->next);
	loop_timer_free(a->sample);
	loop_timer_free(a->token);
	renewal_free(a->renewal);
	keystore_credential_done(&a->cred);
	keystore_close(a->keys);
	arena_free(a->arena);
	free(a->dir);
	free(a);
}

int
agent_start(struct agent *a, int64_t after_ms, struct err *e)
{
	if (a->control)
		return err_set(e, ERR_USAGE, "%s: started already", a->cfg.device.id);
	if (control_open(a->dir, a->loop, a, &a->control, e))
		return -1;
	wait_for(a, after_ms);
	renewal_start(a->renewal);
	return 0;
}

void
agent_stop(struct agent *a)
{
	drop(a);
	renewal_stop(a->renewal);
	if (a->state != AGENT_IDLE)
		set_state(a, AGENT_IDLE);
	control_free(TAKE(a->control));
}

void
agent_hold(struct agent *a, int64_t ms)
{
	drop(a);
	wait_for(a, ms);
	if (a->state != AGENT_HELD)
		set_state(a, AGENT_HELD);
}

void
agent_release(struct agent *a)
{
	if (a->state != AGENT_HELD)
		return;
	loop_timer_cancel(a->next);
	begin(a);
}

int
agent_reload(struct agent *a, struct err *e)
{
	if (load_credential(a, e))
		return err_wrap(e, "reload");
	if (a->control)
		renewal_start(a->renewal);
	if (a->state == AGENT_HELD || !a->control)
		return 0;
	drop(a);
	begin(a);
	return 0;
}

int
agent_learn_time(struct agent *a, int64_t now_ms, struct err *e)
{
	return clock_floor_learn(&a->time, now_ms, now_ms, now_ms, e);
}

void
agent_status(const struct agent *a, struct agent_status *ret)
{
	*ret = a->st;
	renewal_status(a->renewal, &ret->renewal);
	ret->state = (enum agent_state)a->state;
	ret->device_id = a->cfg.device.id;
	ret->active = a->cred.ref;
	memcpy(ret->thumbprint, a->cred.thumbprint, sizeof(ret->thumbprint));
	ret->not_after_ms = a->cred.not_after_ms;
	memcpy(ret->hub, a->assignment.hub, sizeof(ret->hub));
	bool waits = a->state == AGENT_BACKOFF || a->state == AGENT_HELD;
	int64_t left = waits ? a->next_at_ms - loop_now_ms(a->loop) : 0;
	ret->retry_in_ms = left > 0 ? left : 0;
}

const char *
agent_device_id(const struct agent *a)
{
	return a->cfg.device.id;
}
