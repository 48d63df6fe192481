/*
 * Telemetry over HTTPS: the first byte says whether the rest is a batch, headers, or a
 * list as the core gets it. What comes out of a batch is a list the core reads to its
 * end; what comes out of headers is an object, and no device gives itself a stamp.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "codec/event_list.h"
#include "codec/ipc_msg.h"
#include "codec/js.h"
#include "proto/hub/event_batch.h"
#include "proto/hub/props.h"
#include "proto/hub/props_http.h"

static void
check_props(struct span text)
{
	struct err e;
	auto_(js_free) struct js *o = js_parse(text, CAP_JSON, 4, &e);
	assert(js_is(o, JS_OBJECT) && js_len(o) == 2);
	for (struct js_iter it = js_members(js_get(o, "application")); js_next(&it);)
		assert(!props_is_stamp(span_str(it.key)));
	assert(js_is(js_get(o, "system"), JS_OBJECT));
}

static size_t
walk(struct span list, bool ours)
{
	struct span props, body;
	struct err e;
	size_t n = 0;
	int r;
	while ((r = event_list_next(&list, &props, &body, &e)) > 0) {
		n++;
		if (ours)
			check_props(props);
	}
	assert(!ours || r == 0);
	return n;
}

static void
batch(struct span in)
{
	struct err e;
	auto_buf out = BUF_INIT(CAP_EVENTS);
	if (event_batch_parse(in, 65536, &out, &e) == 0)
		assert(walk(buf_span(&out), true) <= EVENT_BATCH_MAX);
}

static void
headers(struct span in)
{
	struct err e;
	auto_props_http p;
	auto_buf out = BUF_INIT(CAP_JSON);
	char name[256];
	props_http_init(&p);
	while (in.p) {
		struct span value = span_split(&in, '\n');
		struct span key = span_split(&value, ':');
		if (span_to_str(key, name, sizeof(name)) &&
		    props_http_add(&p, name, value.p ? &value : NULL, in.len & 1, &e))
			return;
	}
	if (props_http_write(&p, &out, &e) == 0)
		check_props(buf_span(&out));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!len)
		return 0;
	struct span in = span_of(data + 1, len - 1);
	if (data[0] == 'B')
		batch(in);
	else if (data[0] == 'H')
		headers(in);
	else
		walk(in, false);
	return 0;
}
