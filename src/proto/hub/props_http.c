/*
 * Properties of messages as HTTP spells them.
 */
#include "proto/hub/props_http.h"

#include "codec/js.h"
#include "codec/utf8.h"
#include "proto/hub/props.h"

#define APP_PREFIX  SPAN_LIT("iothub-app-")
#define OWN_PREFIX  SPAN_LIT("iothub-")
#define EVENTS_PATH SPAN_LIT("/messages/events")

/* Header to the name in AMQP. The feedback request is an application property, as it is
 * over MQTT. */
static const struct {
	const char *header, *name;
	bool application;
} http_names[] = {
    {"iothub-messageid", "message-id", false},
    {"iothub-correlationid", "correlation-id", false},
    {"iothub-userid", "user-id", false},
    {"iothub-to", "to", false},
    {"iothub-expiry", "absolute-expiry-time", false},
    {"iothub-contenttype", "content-type", false},
    {"iothub-contentencoding", "content-encoding", false},
    {"iothub-creation-time-utc", "iothub-creation-time-utc", false},
    {"iothub-outputname", "iothub-outputname", false},
    {"iothub-interface-id", "iothub-interface-id", false},
    {"dt-subject", "dt-subject", false},
    {"iothub-message-schema", "iothub-message-schema", false},
    {"Diagnostic-Id", "Diagnostic-Id", false},
    {"correlation-context", "correlation-context", false},
    {"iothub-ack", "iothub-ack", true},
};

void
props_http_init(struct props_http *p)
{
	*p = (struct props_http){.sys_props = js_object(), .app_props = js_object()};
}

void
props_http_done(struct props_http *p)
{
	js_free(p->sys_props);
	js_free(p->app_props);
}

/* Node says in iothub-to where it posts to, whatever the message's own "to" is (4.1). */
static bool
is_own_path(const char *name, const struct span *value)
{
	return strcmp(name, "to") == 0 && value && span_ends(*value, EVENTS_PATH);
}

static int
put_http(struct js *o, const char *name, const struct span *value, struct err *e)
{
	struct js *v = value ? js_str(*value, e) : js_null();
	if (!v)
		return err_wrap(e, "property %.64s", name);
	js_set(o, name, v);
	return 0;
}

static int
put_application(
    struct props_http *p, const char *name, const struct span *value, struct err *e)
{
	struct span key = span_str(name);
	if (!key.len || props_is_stamp(key))
		return 0;
	if (!utf8_ok_no_nul(key))
		return err_set(e, ERR_PARSE, "property's name is not UTF-8");
	return put_http(p->app_props, name, value, e);
}

int
props_http_add(struct props_http *p, const char *name, const struct span *value,
    bool loose, struct err *e)
{
	struct span key = span_str(name);
	if (span_istarts(key, APP_PREFIX))
		return put_application(p, name + APP_PREFIX.len, value, e);
	for (size_t i = 0; i < sizeof(http_names) / sizeof(http_names[0]); i++) {
		if (!span_ieq_str(key, http_names[i].header))
			continue;
		if (is_own_path(http_names[i].name, value))
			return 0;
		return put_http(http_names[i].application ? p->app_props : p->sys_props,
		    http_names[i].name, value, e);
	}
	if (!loose || span_istarts(key, OWN_PREFIX))
		return 0; /* of the transport, or of the hub */
	return put_application(p, name, value, e);
}

int
props_http_write(struct props_http *p, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	js_set(o, "application", TAKE(p->app_props));
	js_set(o, "system", TAKE(p->sys_props));
	js_dump(o, JS_SORTED, out);
	return buf_check(out, "properties", e);
}
