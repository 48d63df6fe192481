/*
 * Linked hubs.
 */
#include "proto/arm/arm_link.h"

#include "base/arena.h"
#include "base/base64.h"
#include "codec/conn_string.h"
#include "codec/hub_conf.h"
#include "codec/js.h"
#include "proto/json.h"

#define MASKED "****"

enum { LOCATION_MAX = 64, KEY_MAX = 64 };

static const struct allocation {
	const char *name, *shown;
} allocations[] = {
    {"hashed", "Hashed"}, {"geoLatency", "GeoLatency"}, {"static", "Static"}};

#define ALLOCATIONS (sizeof(allocations) / sizeof(allocations[0]))

const char *
arm_link_allocation_shown(struct span name)
{
	for (size_t i = 0; i < ALLOCATIONS; i++)
		if (span_eq_str(name, allocations[i].name))
			return allocations[i].shown;
	return NULL;
}

const char *
arm_link_allocation(struct span shown)
{
	for (size_t i = 0; i < ALLOCATIONS; i++)
		if (span_ieq_str(shown, allocations[i].shown))
			return allocations[i].name;
	return NULL;
}

/* ---- out --------------------------------------------------------------------------- */

static struct js *
link_json(const struct ipc_link *m, struct arena *a)
{
	struct js *o = js_object();
	json_put_text(o, "name", m->hub);
	json_put_text(o, "location", m->location);
	js_set_text(o, "connectionString",
	    arena_printf(a,
		"HostName=%.*s;SharedAccessKeyName=iothubowner;SharedAccessKey=" MASKED,
		SPAN_FMT(m->hub)));
	js_set_bool(o, "applyAllocationPolicy", m->apply);
	js_set_int(o, "allocationWeight", m->weight);
	return o;
}

struct js *
arm_link_json(struct span links, struct arena *a)
{
	struct js *list = js_array();
	struct cursor c = cursor_of(links);
	while (c.left) {
		struct ipc_link m;
		struct err e;
		struct span body = cursor_take(&c, cursor_u32(&c));
		if (c.bad || ipc_msg_unpack(IPC_LINK, body, &m, &e))
			break; /* the core packed it */
		js_append(list, link_json(&m, a));
	}
	return list;
}

/* ---- in ---------------------------------------------------------------------------- */

static bool
is_masked(struct span s)
{
	return s.len >= sizeof(MASKED) - 1 &&
	       span_eq_str(span_skip(s, s.len - (sizeof(MASKED) - 1)), MASKED);
}

/* Which hub: that of the connection string, else its name. */
static int
take_connection(const struct js *o, struct ipc_link *m, struct buf *key, struct err *e)
{
	struct span text = SPAN_NONE, name = SPAN_NONE;
	struct conn_string c;
	if (js_opt_str(o, "connectionString", &text, e) ||
	    js_opt_str(o, "name", &name, e))
		return -1;
	m->hub = name;
	if (!text.len)
		return name.len ? 0
				: err_set(e, ERR_PARSE, "connectionString is missing");
	if (conn_string_parse(text, &c, e))
		return -1;
	m->hub = c.host;
	if (is_masked(c.key))
		return 0;
	m->policy = c.policy;
	if (base64_parse(c.key, key, e) || buf_check(key, "SharedAccessKey", e) ||
	    !key->len)
		return err_set(e, ERR_PARSE, "SharedAccessKey is no key");
	m->key = buf_span(key);
	return 0;
}

/* Since 2026-08-31 a link may have another credential than a key; not here. */
static int
check_authentication(const struct js *o, struct err *e)
{
	struct span kind = SPAN_NONE;
	if (js_opt_str(o, "authenticationType", &kind, e))
		return -1;
	if (!kind.len || span_ieq(kind, SPAN_LIT("KeyBased")))
		return 0;
	return err_set(e, ERR_PARSE, "authenticationType: KeyBased alone");
}

static int
take_allocation(const struct js *o, struct ipc_link *m, struct err *e)
{
	bool apply = true;
	if (js_opt_bool(o, "applyAllocationPolicy", &apply, e) ||
	    js_opt_int(o, "allocationWeight", 1, HUB_CONF_WEIGHT_MAX, &m->weight, e) ||
	    js_opt_str(o, "location", &m->location, e))
		return -1;
	m->apply = apply;
	if (m->location.len > LOCATION_MAX || m->hub.len > CAP_HOST)
		return err_set(e, ERR_PARSE, "location or host name is too long");
	return 0;
}

static int
pack_link(const struct js *o, struct buf *out, struct err *e)
{
	struct ipc_link m = {.location = SPAN_LIT("local"), .weight = 1};
	auto_buf body = BUF_INIT(4096), key = BUF_INIT(KEY_MAX);
	body.secret = key.secret = true;
	if (!js_is(o, JS_OBJECT))
		return err_set(e, ERR_PARSE, "an object is wanted");
	if (take_connection(o, &m, &key, e) || check_authentication(o, e) ||
	    take_allocation(o, &m, e) || ipc_msg_pack(IPC_LINK, &m, &body, e))
		return -1;
	buf_u32(out, (uint32_t)body.len);
	buf_put_span(out, buf_span(&body));
	return 0;
}

int
arm_link_pack(const struct js *hubs, struct buf *out, struct err *e)
{
	for (size_t i = 0; i < js_len(hubs); i++)
		if (pack_link(js_at(hubs, i), out, e))
			return err_wrap(e, "iotHubs[%zu]", i);
	return buf_check(out, "iotHubs", e);
}
