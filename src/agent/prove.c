/*
 * A second connection, beside the running agent.
 */
#include "agent/prove.h"

#include <stdio.h>

#include "agent/control.h"
#include "agent/credential.h"
#include "agent/hub_link.h"
#include "agent/provision.h"
#include "agent/telemetry.h"
#include "codec/js.h"
#include "io/loop.h"

#define CONTROL_MS    10000
#define ACK_MS        30000 /* for the hub's acknowledgement */
#define HOLD_EXTRA_MS 5000
#define BODY_MAX      1024

struct prove {
	const struct prove_opts *o;
	struct loop *loop;
	struct prove_result result;
	struct mqtt_link *hub;
	int mid;
	bool sent, done;
	struct err err; /* ERR_OK: done well */
};

static void
finish(struct prove *p, const struct err *why)
{
	if (p->done)
		return;
	p->done = true;
	if (why)
		p->err = *why;
	loop_stop(p->loop);
}

/* --- at the provisioning service --- */

static int
provision(struct prove *p, struct err *e)
{
	const struct agent_config *cfg = p->o->cfg;
	if (cfg->hub.host[0]) {
		snprintf(
		    p->result.assignment.hub, KEYSTORE_HOST_SIZE, "%s", cfg->hub.host);
		snprintf(p->result.assignment.device_id, KEYSTORE_ID_SIZE, "%s",
		    cfg->device.id);
		return 0;
	}
	auto_(tls_client_free) struct tls_client *tls = credential_tls(
	    p->o->dir, cfg, p->o->credential, cfg->dps.host, p->o->time, e);
	if (!tls)
		return -1;
	struct provision_opts o = {.host = cfg->dps.host,
	    .port = cfg->dps.port,
	    .id_scope = cfg->dps.id_scope,
	    .registration_id = cfg->device.id,
	    .tls = tls,
	    .connect_ms = cfg->hub.connect_timeout_ms,
	    .timeout_ms = cfg->dps.timeout_ms};
	struct dps_answer r;
	if (provision_run(p->loop, &o, &r, e))
		return -1;
	memcpy(p->result.assignment.hub, r.hub, sizeof(r.hub));
	memcpy(p->result.assignment.device_id, r.device_id, sizeof(r.device_id));
	memcpy(p->result.substatus, r.substatus, sizeof(r.substatus));
	return 0;
}

/* --- at the hub --- */

static void
send_proof(struct prove *p)
{
	struct telemetry sensor;
	struct err e;
	auto_buf body = BUF_INIT(BODY_MAX);
	struct telemetry_facts f = {.device_id = p->result.assignment.device_id,
	    .now_ms = clock_wall_ms(&p->o->time->clock),
	    .x509 = p->o->credential->ref.x509,
	    .not_after_ms = p->o->credential->not_after_ms};
	struct hub_link_prop prop = {"musterProof", p->o->nonce};
	telemetry_init(&sensor);
	if (telemetry_write(&sensor, &f, &body, &e) ||
	    hub_link_send(p->hub, f.device_id, buf_span(&body), &prop, 1, &p->mid, &e))
		return finish(p, &e);
	p->sent = true;
}

static void
on_open(void *arg)
{
	send_proof(arg);
}

static void
on_puback(void *arg, int mid)
{
	struct prove *p = arg;
	if (p->sent && mid == p->mid)
		finish(p, NULL);
}

static void
on_closed(void *arg, const struct err *why)
{
	struct err e = *why;
	err_wrap(&e, "hub");
	finish(arg, &e);
}

static void
on_late(void *arg)
{
	struct err e;
	err_set(&e, ERR_TIMEOUT, "hub: the message was not acknowledged in time");
	finish(arg, &e);
}

static const struct mqtt_link_ops hub_ops = {
    .on_open = on_open,
    .on_puback = on_puback,
    .on_closed = on_closed,
};

static int
connect_hub(struct prove *p, struct err *e)
{
	const struct agent_config *cfg = p->o->cfg;
	const struct keystore_assignment *a = &p->result.assignment;
	auto_(tls_client_free) struct tls_client *tls =
	    credential_tls(p->o->dir, cfg, p->o->credential, a->hub, p->o->time, e);
	if (!tls)
		return -1;
	struct hub_link_opts o = {.host = a->hub,
	    .port = cfg->hub.port,
	    .device_id = a->device_id,
	    .tls = tls,
	    .keepalive_ms = cfg->hub.keepalive_ms,
	    .connect_ms = cfg->hub.connect_timeout_ms};
	auto_(loop_timer_free) struct loop_timer *late =
	    loop_timer_new(p->loop, on_late, p);
	auto_(mqtt_link_free) struct mqtt_link *hub = NULL;
	if (hub_link_open(p->loop, &o, &hub_ops, p, &hub, e))
		return -1;
	p->hub = hub;
	loop_timer_start(late, cfg->hub.connect_timeout_ms + ACK_MS);
	if (loop_run(p->loop, e))
		return -1;
	return p->err.code == ERR_OK ? 0 : err_copy(e, &p->err);
}

/* --- the running agent --- */

static int
tell_agent(const struct prove_opts *o, const char *op, int64_t hold_ms, struct err *e)
{
	auto_(js_free) struct js *req = js_object();
	auto_(js_free) struct js *ans = NULL;
	js_set_text(req, "op", op);
	js_set_int(req, "ms", hold_ms);
	return control_call(o->dir, req, CONTROL_MS, &ans, e);
}

int
prove_run(const struct prove_opts *o, struct prove_result *ret, struct err *e)
{
	auto_(loop_free) struct loop *loop = loop_new(o->time->base, e);
	if (!loop)
		return -1;
	struct prove p = {.o = o, .loop = loop};
	/* the registration does not disturb the agent's connection: hold it off for the
	 * hub alone, and for longer than our own limits, so that it comes back by itself
	 * should we die */
	if (provision(&p, e))
		return -1;
	int64_t hold_ms = o->cfg->hub.connect_timeout_ms + ACK_MS + HOLD_EXTRA_MS;
	struct err hold;
	bool held = tell_agent(o, "hold", hold_ms, &hold) == 0;
	if (!held && (!o->alone || hold.code != ERR_UNAVAILABLE))
		return err_copy(e, &hold);
	int failed = connect_hub(&p, e);
	struct err release;
	if (held && tell_agent(o, "release", 1, &release) && !failed)
		failed = err_copy(e, &release);
	if (failed)
		return -1;
	*ret = p.result;
	return 0;
}
