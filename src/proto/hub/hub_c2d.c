/*
 * Cloud-to-device messages over MQTT (protocol/device.md 3.10). The core hands out as
 * much as may be under way; a message is done when the device acknowledges it or, at QoS
 * 0, when it has left for it.
 */
#include <stdlib.h>

#include "proto/env.h"
#include "proto/hub/hub_impl.h"
#include "proto/hub/props.h"

enum { TOPIC_MAX = 65535, CODE_TOO_LARGE = 413001 };

/* Messages that were written at QoS 0 and may still lie here. */
struct hub_c2d {
	size_t n;
	int64_t seq[MQTT_DELIVER_MAX];
};

static void
done(struct hub *h, int64_t seq)
{
	const struct ipc_c2d_done m = {.session = h->session, .seq = seq};
	core_link_tell(h->all->env->core, IPC_C2D_DONE, &m);
}

void
hub_c2d_on_delivered(struct mqtt_session *s, int64_t seq)
{
	done(mqtt_session_ctx(s), seq);
}

void
hub_c2d_on_drained(struct mqtt_session *s)
{
	struct hub *h = mqtt_session_ctx(s);
	struct hub_c2d *c = h->c2d;
	for (size_t i = 0; c && i < c->n; i++)
		done(h, c->seq[i]);
	if (c)
		c->n = 0;
}

void
hub_c2d_drop(struct hub *h)
{
	free(TAKE(h->c2d));
}

static void
put(struct buf *topic, const char *key, struct span value)
{
	if (value.len)
		topic_bag_put(topic, span_str(key), value);
}

/* topic_bag_put writes "$" as %24, which C and embedded C look for (section 7 row 35). */
static int
write_topic(
    const struct hub *h, const struct ipc_c2d *m, struct buf *topic, struct err *e)
{
	static const char *const acks[] = {"", "positive", "negative", "full"};
	auto_buf to = BUF_INIT(256);
	buf_printf(&to, "/devices/%.*s/messages/devicebound", SPAN_FMT(h->device_id));
	topic_write_c2d(topic, h->device_id);
	put(topic, "$.mid", m->message_id);
	put(topic, "$.to", buf_span(&to));
	put(topic, "$.cid", m->correlation_id);
	put(topic, "$.uid", m->user_id);
	put(topic, "iothub-ack", span_str(acks[m->ack & IPC_ACK_FULL]));
	if (m->props.len && props_to_bag(m->props, topic, e))
		return -1;
	return buf_check(topic, "topic", e);
}

static void
send_unacked(struct hub *h, struct span topic, const struct ipc_c2d *m)
{
	mqtt_session_publish(h->mqtt, topic, m->body, 0);
	if (!h->c2d)
		h->c2d = own_alloc(sizeof(*h->c2d));
	if (h->c2d->n < MQTT_DELIVER_MAX)
		h->c2d->seq[h->c2d->n++] = m->seq;
}

/* What cannot be delivered stays with this session, and is given up by the core after
 * some more of them. */
void
hub_c2d_on_push(struct hub_mqtt *all, const struct ipc_c2d_push *push)
{
	const struct ipc_c2d *m = &push->message;
	struct hub *h = hub_mqtt_find(all, push->session);
	struct err e = {0};
	auto_buf topic = BUF_INIT(TOPIC_MAX);
	if (!h || mqtt_session_is_closing(h->mqtt))
		return; /* its end is being told */
	if (write_topic(h, m, &topic, &e)) {
		mqtt_session_refused(h->mqtt, h->name, CODE_TOO_LARGE, "message %lld: %s",
		    (long long)m->seq, e.text);
		return;
	}
	bool sent = true;
	if (push->qos)
		sent = mqtt_session_deliver(
		    h->mqtt, buf_span(&topic), m->body, m->deliveries > 0, m->seq);
	else
		send_unacked(h, buf_span(&topic), m);
	if (!sent)
		mqtt_session_refused(h->mqtt, h->name, CODE_TOO_LARGE,
		    "message %lld: too many under way", (long long)m->seq);
}
