/*
 * Properties of messages to JSON. Nothing a device writes in a bag drops its connection
 * but size.
 */
#include "proto/hub/props.h"

#include "codec/js.h"
#include "codec/topic.h"
#include "codec/uri.h"
#include "codec/utf8.h"

enum { PAIR_MAX = 64 * 1024, PROPS_DEPTH = 3 };

/* Bag key to the name in AMQP and HTTP. */
static const struct {
	const char *key, *name;
} system_names[] = {
    {"$.mid", "message-id"},
    {"$.cid", "correlation-id"},
    {"$.uid", "user-id"},
    {"$.to", "to"},
    {"$.ct", "content-type"},
    {"$.ce", "content-encoding"},
    {"$.exp", "absolute-expiry-time"},
    {"$.ctime", "iothub-creation-time-utc"},
    {"$.on", "iothub-outputname"},
    {"$.ifid", "iothub-interface-id"},
    {"$.sub", "dt-subject"},
    {"$.schema", "iothub-message-schema"},
    {"$.diagid", "Diagnostic-Id"},
    {"$.diagctx", "correlation-context"},
};

/* The hub's own stamps (3.9): dropped when a device sets them. */
static const char *const stamps[] = {
    "$.cdid",
    "$.cmid",
    "iothub-connection-device-id",
    "iothub-connection-module-id",
    "iothub-connection-auth-generation-id",
    "iothub-connection-auth-method",
    "iothub-enqueuedtime",
    "iothub-message-source",
    "iothub-messagetype",
};

bool
props_is_stamp(struct span key)
{
	for (size_t i = 0; i < sizeof(stamps) / sizeof(stamps[0]); i++) {
		if (span_ieq_str(key, stamps[i]))
			return true;
	}
	return false;
}

/* ---- bags of topics ---------------------------------------------------------------- */

static const char *
system_name(const char *key)
{
	for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++) {
		if (!strcmp(system_names[i].key, key))
			return system_names[i].name;
	}
	return key; /* unknown ones are kept as they are (3.8) */
}

/* Percent-decoded where that gives text, else as sent, which MQTT has checked to be
 * UTF-8. */
static void
text_of(struct span as_sent, struct buf *out)
{
	buf_reset(out);
	uri_decode_lenient(as_sent, out);
	if (utf8_ok_no_nul(buf_span(out)))
		return;
	buf_reset(out);
	buf_put_span(out, as_sent);
}

struct bag {
	struct js *sys_props, *app_props;
	struct buf key, value; /* of the pair in hand */
};

static void
put_pair(struct bag *b, const struct uri_pair *pair)
{
	struct err e;
	text_of(pair->key, &b->key);
	text_of(pair->value, &b->value);
	struct span key = buf_span(&b->key);
	if (!key.len || props_is_stamp(key))
		return;
	/* a pair with no '=' is null (3.8) */
	struct js *v = pair->has_value ? js_str(buf_span(&b->value), &e) : NULL;
	if (span_starts(key, SPAN_LIT("$.")))
		js_set(b->sys_props, system_name(buf_text(&b->key)), v);
	else
		js_set(b->app_props, buf_text(&b->key), v);
}

static void
put_marks(struct js *application, const struct props_marks *m)
{
	if (m->retain)
		js_set_text(application, "mqtt-retain", "true");
	if (m->dup)
		js_set_text(application, "mqtt-dup", "true");
	if (m->will)
		js_set_text(application, "iothub-MessageType", "Will");
}

int
props_from_bag(
    struct span bag, const struct props_marks *marks, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	struct bag b = {.sys_props = js_object(),
	    .app_props = js_object(),
	    .key = BUF_INIT(PAIR_MAX),
	    .value = BUF_INIT(PAIR_MAX)};
	struct uri_pair pair;
	while (uri_pair_next(&bag, &pair))
		put_pair(&b, &pair);
	buf_done(&b.key);
	buf_done(&b.value);
	put_marks(b.app_props, marks);
	js_set(o, "application", b.app_props);
	js_set(o, "system", b.sys_props);
	js_dump(o, JS_SORTED, out);
	return buf_check(out, "properties", e);
}

/* ---- to a device ------------------------------------------------------------------- */

static const char *
system_key(const char *name)
{
	for (size_t i = 0; i < sizeof(system_names) / sizeof(system_names[0]); i++) {
		if (!strcmp(system_names[i].name, name))
			return system_names[i].key;
	}
	return name;
}

int
props_to_bag(struct span json, struct buf *topic, struct err *e)
{
	auto_(js_free) struct js *o = js_parse(json, PAIR_MAX, PROPS_DEPTH, e);
	if (!o)
		return err_wrap(e, "properties");
	struct js_iter it = js_members(js_get(o, "system"));
	while (js_next(&it))
		if (js_as_str(it.value).len)
			topic_bag_put(
			    topic, span_str(system_key(it.key)), js_as_str(it.value));
	it = js_members(js_get(o, "application"));
	while (js_next(&it))
		if (js_as_str(it.value).len)
			topic_bag_put(topic, span_str(it.key), js_as_str(it.value));
	return buf_check(topic, "topic", e);
}
