/*
 * Direct methods to devices and modules over MQTT (protocol/device.md 3.11).
 */
#include <inttypes.h>

#include "codec/js.h"
#include "proto/env.h"
#include "proto/hub/hub_impl.h"

enum {
	TOPIC_ROOM = 256,
	ANSWER_DEPTH = 64,
	RID_DIGITS = 16,
	QUEUED_MAX = 96 * 1024,
	CODE_NOT_ONLINE = 404103,
};

/* A device that does not read gets no more: its caller runs out of time, and nothing
 * piles up here. */
void
hub_method_on_push(struct hub_mqtt *all, const struct ipc_method_push *m)
{
	struct hub *h = hub_mqtt_find(all, m->session);
	char rid[RID_DIGITS + 1];
	auto_buf topic = BUF_INIT(TOPIC_ROOM);
	if (!h || mqtt_session_is_closing(h->mqtt))
		return;
	if (mqtt_session_queued(h->mqtt) > QUEUED_MAX) {
		mqtt_session_refused(h->mqtt, h->name, CODE_NOT_ONLINE,
		    "method %.*s: the device does not read", SPAN_FMT(m->method));
		return;
	}
	snprintf(rid, sizeof(rid), "%" PRIx64, (uint64_t)m->call);
	topic_write_method(&topic, m->method, span_str(rid));
	mqtt_session_publish(h->mqtt, buf_span(&topic), m->payload, m->qos);
}

/* A number as we wrote it; what is none was never ours. */
static bool
parse_rid(struct span rid, int64_t *ret)
{
	uint64_t v = 0;
	if (!rid.len || rid.len > RID_DIGITS)
		return false;
	for (size_t i = 0; i < rid.len; i++) {
		uint8_t c = rid.p[i];
		bool digit = c >= '0' && c <= '9';
		if (!digit && (c < 'a' || c > 'f'))
			return false;
		v = v << 4 | (uint64_t)(digit ? c - '0' : c - 'a' + 10);
	}
	*ret = (int64_t)v;
	return v <= INT64_MAX;
}

/* Nothing, or JSON written anew. */
static int
parse_payload(struct span as_sent, struct buf *out, struct err *e)
{
	if (!span_trim(as_sent).len)
		return 0;
	auto_(js_free) struct js *v = js_parse(as_sent, CAP_METHOD, ANSWER_DEPTH, e);
	if (!v)
		return -1;
	js_dump(v, JS_AS_BUILT, out);
	return buf_check(out, "answer to a method", e);
}

/* Acknowledged at once, also where nobody waits for it any more: a device must not send
 * it again. */
void
hub_method_on_response(struct hub *h, const struct mqtt_publish *m,
    const struct topic_hub *t, uint64_t ticket)
{
	struct err e = {0};
	auto_buf payload = BUF_INIT(CAP_METHOD);
	struct ipc_method_answer a = {.session = h->session, .status = t->status};
	if (parse_rid(t->rid, &a.call)) {
		a.malformed = parse_payload(m->payload, &payload, &e) != 0;
		a.payload = a.malformed ? SPAN_NONE : buf_span(&payload);
		core_link_tell(h->all->env->core, IPC_METHOD_ANSWER, &a);
	}
	mqtt_session_acked(h->mqtt, ticket);
}
