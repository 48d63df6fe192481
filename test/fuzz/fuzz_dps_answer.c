/* What a provisioning service answers: the topic's line, then the body. */
#include "fuzz.h"

#include <string.h>

#include "agent/dps_answer.h"

static void
check_words(const char *s)
{
	for (; *s; s++)
		assert(*s >= ' ' && *s < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span body = span_of(data, len);
	struct span topic = span_split(&body, '\n');
	struct dps_answer a;
	struct err e = {0};
	if (dps_answer_parse(topic, body, &a, &e)) {
		assert(e.code != ERR_OK && e.text[0]);
		return 0;
	}
	fuzz_inside(a.rid, data, len);
	assert(a.status >= 100 && a.status <= 599);
	assert(a.retry_after_s >= 0 && a.retry_after_s <= DPS_ANSWER_RETRY_MAX);
	assert(memchr(a.message, 0, sizeof(a.message)));
	check_words(a.message);
	if (a.kind == DPS_ANSWER_ASSIGNED)
		assert(a.hub[0] && a.device_id[0]);
	if (a.kind == DPS_ANSWER_ASSIGNING)
		assert(a.operation_id[0]);
	dps_answer_refusal(&a, &e);
	assert(e.code != ERR_OK);
	return 0;
}
