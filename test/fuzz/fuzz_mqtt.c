/* MQTT frames and packets as a client could send them; what parses as PUBLISH writes
 * back. */
#include "fuzz.h"

#include "codec/mqtt.h"

static void
check_publish(const struct mqtt_publish *p, struct span packet)
{
	if (p->qos == 2 || p->retain)
		return;
	auto_buf out = BUF_INIT(packet.len);
	mqtt_write_publish(&out, p->topic, p->payload, p->qos, p->dup, p->id);
	assert(span_eq(buf_span(&out), packet));
}

static void
check_filters(struct mqtt_subscribe s, const uint8_t *data, size_t len)
{
	struct mqtt_filter f;
	size_t n = 0, want = s.n;
	for (; mqtt_filter_next(&s, &f); n++) {
		fuzz_inside(f.filter, data, len);
		assert(mqtt_is_filter(f.filter) && f.qos <= 2);
	}
	assert(n == want && s.filters.len == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	size_t n;
	while (mqtt_frame(in, 4096, &n, NULL) == 0 && n) {
		struct span packet = span_head(in, n);
		in = span_skip(in, n);
		struct mqtt_packet p;
		if (mqtt_parse(packet, &p, NULL) != 0)
			continue;
		if (p.type == MQTT_PUBLISH)
			check_publish(&p.publish, packet);
		if (p.type == MQTT_SUBSCRIBE || p.type == MQTT_UNSUBSCRIBE)
			check_filters(p.subscribe, data, len);
		if (p.type == MQTT_CONNECT)
			fuzz_inside(p.connect.password, data, len);
	}
	return 0;
}
