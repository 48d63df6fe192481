/*
 * What a hub session is subscribed to: one number (codec/topic.h) that the core keeps
 * with the identity, so that it outlives connections and servers
 * (protocol/device.md 3.5, 3.7).
 */
#include "codec/config.h"
#include "proto/env.h"
#include "proto/hub/hub_impl.h"

/* Nothing is granted that would not be delivered. To serve another kind: its line here.
 * Inputs are granted though nothing routes a message to one: it is an IoT Edge device
 * that does (protocol/device.md section 7 row 34), and SDKs subscribe to them on every
 * start. */
static const bool served[TOPIC_SUB_N] = {
    [TOPIC_SUB_C2D] = true,
    [TOPIC_SUB_INPUTS] = true,
    [TOPIC_SUB_TWIN_RES] = true,
    [TOPIC_SUB_TWIN_DESIRED] = true,
    [TOPIC_SUB_METHODS] = true,
    [TOPIC_SUB_CREDENTIALS] = true,
};

static void
on_kept(void *arg, uint64_t ticket, enum ipc_type type, const void *msg)
{
	struct hub *h = arg;
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK)
		hub_mqtt_close_failed(h, "subscriptions not stored", d);
	else
		mqtt_session_acked(h->mqtt, ticket);
}

/* Where nothing changed there is nothing to wait for: Node subscribes anew with every
 * connection. What is still being stored is waited for all the same, since packets are
 * acknowledged in their order. */
static void
keep(struct hub *h, uint32_t was, uint64_t ticket)
{
	const struct ipc_hub_subscribe m = {.session = h->session, .subs = h->subs};
	if (h->subs == was)
		mqtt_session_acked(h->mqtt, ticket);
	else
		hub_mqtt_ask(h, IPC_HUB_SUBSCRIBE, &m, on_kept, ticket);
}

/* The gentle refusal (3.7): bridges that ask for "#" keep their connection (section 7 row
 * 52), and the log names it once a session. */
static void
log_unknown(struct hub *h, struct span filter)
{
	if (!h->told_filter)
		mqtt_session_refused(h->mqtt, h->name, HUB_CODE_UNSUPPORTED,
		    "subscribe to %.*s: not served", SPAN_FMT(span_head(filter, 128)));
	h->told_filter = true;
}

/* Exactly what was asked for, 2 as 1 (3.6): a device that was granted more than it asked
 * for would never acknowledge (section 7 row 10). */
static uint8_t
grant(struct hub *h, const struct mqtt_filter *f)
{
	enum topic_sub sub = topic_sub_hub(f->filter, h->device_id, h->module_id);
	bool off = sub == TOPIC_SUB_CREDENTIALS && !h->all->env->config->hub.issue;
	if (!served[sub] || off) {
		log_unknown(h, f->filter);
		return MQTT_SUBACK_FAILURE;
	}
	uint8_t qos = f->qos ? 1 : 0;
	h->subs = topic_subs_with(h->subs, sub, qos);
	return qos;
}

void
hub_subs_on_subscribe(struct mqtt_session *s, const struct mqtt_filter *f, size_t n,
    uint8_t *ret_codes, uint64_t ticket)
{
	struct hub *h = mqtt_session_ctx(s);
	uint32_t was = h->subs;
	for (size_t i = 0; i < n; i++)
		ret_codes[i] = grant(h, &f[i]);
	keep(h, was, ticket);
}

void
hub_subs_on_unsubscribe(
    struct mqtt_session *s, const struct mqtt_filter *f, size_t n, uint64_t ticket)
{
	struct hub *h = mqtt_session_ctx(s);
	uint32_t was = h->subs;
	for (size_t i = 0; i < n; i++) {
		enum topic_sub sub =
		    topic_sub_hub(f[i].filter, h->device_id, h->module_id);
		if (served[sub])
			h->subs = topic_subs_with(h->subs, sub, -1);
	}
	keep(h, was, ticket);
}
