/* User names, topics and property bags: an ID first, then the text that is parsed. */
#include "fuzz.h"

#include "codec/id.h"
#include "codec/mqtt.h"
#include "codec/topic.h"
#include "codec/username.h"

static void
walk_bag(struct span bag)
{
	auto_buf key = BUF_INIT(65536);
	auto_buf value = BUF_INIT(65536);
	auto_buf copy = BUF_INIT(4 * 65536);
	bool has_value;
	buf_str(&copy, "/");
	while (topic_bag_next(&bag, &key, &value, &has_value)) {
		assert(!key.bad && !value.bad);
		topic_bag_put(&copy, buf_span(&key), buf_span(&value));
	}
	assert(mqtt_is_topic(buf_span(&copy)) && !span_has(buf_span(&copy), '$'));
}

static void
parse_topic(struct span topic, struct span device, struct span module)
{
	struct topic_hub hub;
	struct topic_dps dps;
	if (topic_parse_hub(topic, device, module, &hub, NULL) == 0) {
		fuzz_inside(hub.bag, topic.p, topic.len);
		fuzz_inside(hub.rid, topic.p, topic.len);
		walk_bag(hub.bag);
	}
	if (topic_parse_dps(topic, &dps, NULL) == 0) {
		fuzz_inside(dps.rid, topic.p, topic.len);
		assert(dps.rid.len && dps.rid.len <= TOPIC_RID_MAX);
	}
	if (topic_sub_hub(topic, device, module) != TOPIC_SUB_UNKNOWN)
		assert(mqtt_is_filter(topic) || span_has(device, '#') ||
		       span_has(device, '+') || span_has(module, '#') ||
		       span_has(module, '+') || span_has(device, '/') ||
		       span_has(module, '/'));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct username_dps dps;
	struct username_hub hub;
	struct span all = span_of(data, len), in = all;
	struct span device = fuzz_part(&in, ID_MAX);
	struct span module = fuzz_part(&in, ID_MAX);
	for (int i = 0; i < 2; i++, all = in) {
		if (username_parse_dps(all, &dps, NULL) == 0)
			assert(id_is_registration(dps.registration_id) &&
			       id_is_scope(dps.scope));
		if (username_parse_hub(all, &hub, NULL) != 0)
			continue;
		assert(hub.device_id.len && !span_has(hub.device_id, '/'));
		fuzz_inside(hub.client_agent, data, len);
	}
	parse_topic(in, device, module);
	parse_topic(span_of(data, len), SPAN_LIT("d"), SPAN_NONE);
	return 0;
}
