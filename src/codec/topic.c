/*
 * Topics.
 */
#include "codec/topic.h"

#include <inttypes.h>

#include "base/num.h"
#include "codec/uri.h"

/* Moves *s behind prefix where it begins with it. */
static bool
skip_prefix(struct span *s, struct span prefix)
{
	if (!span_starts(*s, prefix))
		return false;
	*s = span_skip(*s, prefix.len);
	return true;
}

static bool
skip_text(struct span *s, const char *prefix)
{
	return skip_prefix(s, span_str(prefix));
}

/* True where s can be echoed in a topic name; control characters are refused for the
 * log's sake, wildcards because a topic name may hold none. */
static bool
is_rid(struct span s)
{
	if (s.len == 0 || s.len > TOPIC_RID_MAX)
		return false;
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] < ' ' || s.p[i] == 0x7f || s.p[i] == '#' || s.p[i] == '+')
			return false;
	return true;
}

/* The raw value of key in "a=b&c=d"; SPAN_NONE where absent or without '='. */
static struct span
param(struct span pairs, const char *key)
{
	struct uri_pair pair;
	while (uri_pair_next(&pairs, &pair))
		if (span_eq_str(pair.key, key))
			return pair.value;
	return SPAN_NONE;
}

static int
parse_rid(struct span pairs, struct span *ret, struct err *e)
{
	struct span rid = param(pairs, "$rid");
	if (!is_rid(rid))
		return err_set(e, ERR_PARSE, "topic holds no usable $rid");
	*ret = rid;
	return 0;
}

static int
parse_operation(struct span pairs, struct topic_dps *t, struct err *e)
{
	auto_buf id = BUF_INIT(TOPIC_OPERATION_MAX);
	if (uri_decode(param(pairs, "operationId"), &id, e) != 0)
		return err_wrap(e, "operationId");
	if (id.len == 0 ||
	    !span_to_str(buf_span(&id), t->operation_id, sizeof(t->operation_id)))
		return err_set(e, ERR_PARSE, "topic holds no operationId");
	return 0;
}

int
topic_parse_dps(struct span topic, struct topic_dps *ret, struct err *e)
{
	struct topic_dps t = {0};
	struct span rest = topic;
	if (skip_text(&rest, "$dps/registrations/PUT/iotdps-register/?"))
		t.kind = TOPIC_DPS_REGISTER;
	else if (skip_text(&rest, "$dps/registrations/GET/iotdps-get-operationstatus/?"))
		t.kind = TOPIC_DPS_POLL;
	else
		return err_set(e, ERR_FORBIDDEN, "not a topic of DPS: %.*s",
		    SPAN_FMT(span_head(topic, 100)));
	if (parse_rid(rest, &t.rid, e) != 0)
		return -1;
	if (t.kind == TOPIC_DPS_POLL && parse_operation(rest, &t, e) != 0)
		return -1;
	*ret = t;
	return 0;
}

/* Moves *topic behind devices/{dev}/ or devices/{dev}/modules/{mod}/. */
static bool
skip_own(struct span *topic, struct span device_id, struct span module_id)
{
	struct span s = *topic;
	if (device_id.len == 0 || !skip_text(&s, "devices/") ||
	    !skip_prefix(&s, device_id) || !skip_text(&s, "/"))
		return false;
	if (module_id.len && (!skip_text(&s, "modules/") || !skip_prefix(&s, module_id) ||
				 !skip_text(&s, "/")))
		return false;
	*topic = s;
	return true;
}

static bool
parse_telemetry(
    struct span topic, struct span device_id, struct span module_id, struct topic_hub *t)
{
	if (!skip_own(&topic, device_id, module_id) ||
	    !skip_text(&topic, "messages/events"))
		return false;
	if (topic.len && !skip_text(&topic, "/"))
		return false;
	/* .NET puts a slash behind every bag, Java and Node behind a module's (device.md
	 * section 7 row 30): it is no part of the last value. */
	if (span_ends(topic, SPAN_LIT("/")))
		topic.len--;
	t->kind = TOPIC_TELEMETRY;
	t->bag = topic;
	return true;
}

static int
parse_twin_report(struct span pairs, struct topic_hub *t, struct err *e)
{
	t->kind = TOPIC_TWIN_REPORT;
	struct span version = param(pairs, "$version");
	if (version.p && num_parse(version, 0, INT64_MAX, &t->version, e) != 0)
		return err_wrap(e, "$version");
	return parse_rid(pairs, &t->rid, e);
}

static int
parse_method_response(struct span rest, struct topic_hub *t, struct err *e)
{
	t->kind = TOPIC_METHOD_RESPONSE;
	int64_t status;
	if (num_parse(span_split(&rest, '/'), INT32_MIN, INT32_MAX, &status, e) != 0)
		return err_wrap(e, "status of a method response");
	t->status = (int)status;
	if (!skip_text(&rest, "?"))
		return err_set(e, ERR_PARSE, "method response without a $rid");
	return parse_rid(rest, &t->rid, e);
}

static int
parse_iothub(struct span topic, struct topic_hub *t, struct err *e)
{
	struct span rest = topic;
	if (skip_text(&rest, "$iothub/twin/GET/?")) {
		t->kind = TOPIC_TWIN_GET;
		return parse_rid(rest, &t->rid, e);
	}
	if (skip_text(&rest, "$iothub/twin/PATCH/properties/reported/?"))
		return parse_twin_report(rest, t, e);
	if (skip_text(&rest, "$iothub/credentials/POST/issueCertificate/?")) {
		t->kind = TOPIC_CREDENTIAL_ISSUE;
		return parse_rid(rest, &t->rid, e);
	}
	if (skip_text(&rest, "$iothub/methods/res/"))
		return parse_method_response(rest, t, e);
	return err_set(e, ERR_FORBIDDEN, "not a topic of this device: %.*s",
	    SPAN_FMT(span_head(topic, 100)));
}

int
topic_parse_hub(struct span topic, struct span device_id, struct span module_id,
    struct topic_hub *ret, struct err *e)
{
	struct topic_hub t = {.version = -1};
	if (!parse_telemetry(topic, device_id, module_id, &t) &&
	    parse_iothub(topic, &t, e) != 0)
		return -1;
	*ret = t;
	return 0;
}

enum topic_sub
topic_sub_dps(struct span filter)
{
	return span_eq_str(filter, "$dps/registrations/res/#") ? TOPIC_SUB_DPS
							       : TOPIC_SUB_UNKNOWN;
}

/* Behind the own prefix (3.7). */
static enum topic_sub
sub_own(struct span rest, bool is_module)
{
	bool messages = span_eq_str(rest, "messages/devicebound/#");
	if (!is_module)
		return messages ? TOPIC_SUB_C2D : TOPIC_SUB_UNKNOWN;
	/* C and Java subscribe modules to devicebound as well */
	if (messages || span_eq_str(rest, "inputs/#") || span_eq_str(rest, "#"))
		return TOPIC_SUB_INPUTS;
	return TOPIC_SUB_UNKNOWN;
}

enum topic_sub
topic_sub_hub(struct span filter, struct span device_id, struct span module_id)
{
	static const struct {
		const char *filter;
		enum topic_sub sub;
	} fixed[] = {
	    {"$iothub/twin/res/#", TOPIC_SUB_TWIN_RES},
	    {"$iothub/twin/PATCH/properties/desired/#", TOPIC_SUB_TWIN_DESIRED},
	    {"$iothub/methods/POST/#", TOPIC_SUB_METHODS},
	    {"$iothub/credentials/res/#", TOPIC_SUB_CREDENTIALS},
	};
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (span_eq_str(filter, fixed[i].filter))
			return fixed[i].sub;
	if (skip_own(&filter, device_id, module_id))
		return sub_own(filter, module_id.len > 0);
	/* embedded C subscribes with '+' for its own device (section 7 row 33) */
	if (skip_own(&filter, SPAN_LIT("+"), module_id))
		return sub_own(filter, module_id.len > 0);
	return TOPIC_SUB_UNKNOWN;
}

static unsigned
subs_shift(enum topic_sub sub)
{
	return 2 * ((unsigned)sub - TOPIC_SUB_C2D);
}

int
topic_subs_qos(uint32_t subs, enum topic_sub sub)
{
	return (int)(subs >> subs_shift(sub) & 3) - 1;
}

uint32_t
topic_subs_with(uint32_t subs, enum topic_sub sub, int qos)
{
	uint32_t rest = subs & ~(UINT32_C(3) << subs_shift(sub));
	return rest | (uint32_t)(qos + 1) << subs_shift(sub);
}

bool
topic_bag_next(struct span *rest, struct buf *key, struct buf *value, bool *ret_has_value)
{
	struct uri_pair pair;
	if (!uri_pair_next(rest, &pair))
		return false;
	buf_reset(key);
	buf_reset(value);
	uri_decode_lenient(pair.key, key);
	uri_decode_lenient(pair.value, value);
	*ret_has_value = pair.has_value;
	return true;
}

void
topic_bag_put(struct buf *b, struct span key, struct span value)
{
	if (b->len && b->p[b->len - 1] != '/')
		buf_str(b, "&");
	uri_encode(b, key);
	buf_str(b, "=");
	uri_encode(b, value);
}

void
topic_write_dps_response(
    struct buf *b, int status, struct span rid, int64_t retry_after_s)
{
	buf_printf(b, "$dps/registrations/res/%d/?$rid=", status);
	buf_put_span(b, rid);
	if (retry_after_s <= 0)
		return;
	buf_printf(b, "&retry-after=%" PRId64, retry_after_s < 300 ? retry_after_s : 300);
}

void
topic_write_twin_response(struct buf *b, int status, struct span rid, int64_t version)
{
	buf_printf(b, "$iothub/twin/res/%d/?$rid=", status);
	buf_put_span(b, rid);
	if (version >= 0)
		buf_printf(b, "&$version=%" PRId64, version);
}

void
topic_write_credential_response(struct buf *b, int status, struct span rid)
{
	buf_printf(b, "$iothub/credentials/res/%d/?$rid=", status);
	buf_put_span(b, rid);
}

void
topic_write_twin_desired(struct buf *b, int64_t version)
{
	buf_printf(
	    b, "$iothub/twin/PATCH/properties/desired/?$version=%" PRId64, version);
}

void
topic_write_method(struct buf *b, struct span name, struct span rid)
{
	buf_str(b, "$iothub/methods/POST/");
	buf_put_span(b, name);
	buf_str(b, "/?$rid=");
	buf_put_span(b, rid);
}

void
topic_write_c2d(struct buf *b, struct span device_id)
{
	buf_str(b, "devices/");
	buf_put_span(b, device_id);
	buf_str(b, "/messages/devicebound/");
}

void
topic_write_telemetry(struct buf *b, struct span device_id, struct span module_id)
{
	buf_str(b, "devices/");
	buf_put_span(b, device_id);
	if (module_id.len) {
		buf_str(b, "/modules/");
		buf_put_span(b, module_id);
	}
	buf_str(b, "/messages/events/");
}
