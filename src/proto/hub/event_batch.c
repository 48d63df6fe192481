/*
 * The batch format of Azure's HTTPS telemetry.
 */
#include "proto/hub/event_batch.h"

#include "base/base64.h"
#include "codec/event_list.h"
#include "codec/ipc_msg.h"
#include "codec/js.h"
#include "proto/hub/props_http.h"

enum {
	TEXT_MAX = 1 << 20,
	DEPTH = 8,
};

/* Property values are texts; what a hand-written client sends as a number is one too. */
static int
add_property(
    struct props_http *p, const char *name, const struct js *value, struct err *e)
{
	auto_buf written = BUF_INIT(64);
	struct span text = js_as_str(value);
	switch (js_type(value)) {
	case JS_NULL:
		return props_http_add(p, name, NULL, true, e);
	case JS_STRING:
		break;
	case JS_BOOL:
	case JS_INT:
	case JS_REAL:
		js_dump(value, JS_AS_BUILT, &written);
		text = buf_span(&written);
		break;
	default:
		return err_set(e, ERR_PARSE, "property %.64s: not a text", name);
	}
	return props_http_add(p, name, &text, true, e);
}

static int
read_properties(const struct js *message, struct buf *out, struct err *e)
{
	const struct js *properties = NULL;
	auto_props_http p;
	props_http_init(&p);
	if (js_opt(message, "properties", JS_OBJECT, &properties, e))
		return -1;
	for (struct js_iter it = js_members(properties); js_next(&it);)
		if (add_property(&p, it.key, it.value, e))
			return -1;
	return props_http_write(&p, out, e);
}

/* The C SDK sends text messages plain and says so (4.1). */
static int
read_body(const struct js *message, struct buf *out, struct err *e)
{
	struct span text = SPAN_NONE;
	bool encoded = true;
	if (js_opt_str(message, "body", &text, e) ||
	    js_opt_bool(message, "base64Encoded", &encoded, e))
		return -1;
	if (encoded)
		return base64_parse(text, out, e) ? err_wrap(e, "body") : 0;
	buf_put_span(out, text);
	return 0;
}

static int
read_message(const struct js *message, size_t message_max, struct buf *out, struct err *e)
{
	auto_buf props = BUF_INIT(CAP_JSON), body = BUF_INIT(TEXT_MAX);
	if (!js_is(message, JS_OBJECT))
		return err_set(e, ERR_PARSE, "message is no object");
	if (read_properties(message, &props, e) || read_body(message, &body, e) ||
	    buf_check(&body, "body", e))
		return -1;
	if (props.len + body.len > message_max)
		return err_set(e, ERR_LIMIT, "message over %zu bytes", message_max);
	event_list_put(out, buf_span(&props), buf_span(&body));
	return 0;
}

int
event_batch_parse(struct span text, size_t message_max, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *v = js_parse(text, TEXT_MAX, DEPTH, e);
	if (!v)
		return -1;
	if (!js_is(v, JS_ARRAY))
		return err_set(e, ERR_PARSE, "batch is no array");
	size_t n = js_len(v);
	if (n > EVENT_BATCH_MAX)
		return err_set(
		    e, ERR_LIMIT, "batch of over %d messages", EVENT_BATCH_MAX);
	for (size_t i = 0; i < n; i++)
		if (read_message(js_at(v, i), message_max, out, e))
			return err_wrap(e, "message %zu", i);
	return buf_check(out, "batch", e);
}
