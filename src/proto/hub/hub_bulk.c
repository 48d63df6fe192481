/*
 * The hub's service API: up to a hundred identities in one request (protocol/service.md
 * 2.4). All that can be asked for goes to the core in one message, so that it is one
 * transaction; each item has a result of its own.
 *
 * The right is RegistryWrite whatever the items ask for, twins too, which alone would
 * want ServiceConnect: so Azure's documentation has it (its roles: devices/write and
 * devices/delete for Bulk Registry Update, no twins/write; service.md 2.1 has the
 * actions), and service SDKs send updateTwins by a registry policy.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/hub/import_item.h"
#include "proto/hub/twin_json.h"
#include "proto/json.h"

enum {
	ITEMS_MAX = 100,
	BODY_MAX = 256 * 1024,
	FAILED = 400013,
	TWICE = 400011,
	TOO_MANY = 413002,
};

/* What goes to the core. */
struct bulk {
	const struct js *items;
	struct buf packed;
};

/* ---- results -------------------------------------------------------------------------
 *
 * They wait in c->out, a line each, as the peer may go at any time: 'E' or 'W' and the
 * object.
 */

static void
add_line(struct http_call *c, char kind, struct js *o)
{
	buf_u8(&c->out, (uint8_t)kind);
	js_dump(o, JS_AS_BUILT, &c->out);
	buf_str(&c->out, "\n");
	js_free(o);
}

static struct js *
about(struct span id, struct span module_id)
{
	struct js *o = js_object();
	json_put_text(o, "deviceId", id);
	json_put_span(o, "moduleId", module_id);
	return o;
}

static void
add_error(struct http_call *c, struct span id, struct span module_id,
    const struct wire_error *w, struct span text)
{
	struct js *o = about(id, module_id);
	js_set_text(o, "errorCode", w->name);
	json_put_text(o, "errorStatus", text.len ? text : span_str(w->words));
	add_line(c, 'E', o);
}

static void
add_warning(struct http_call *c, const struct ipc_registry_result *m)
{
	struct js *o = about(m->id, m->module_id);
	js_set_text(o, "warningCode", "DeviceRegisteredWithoutTwin");
	json_put_text(o, "warningStatus", m->text);
	add_line(c, 'W', o);
}

/* The lines of one kind as the inside of an array. */
static void
put_lines(struct span lines, char kind, struct buf *out)
{
	const char *comma = "";
	while (lines.len) {
		struct span line = span_split(&lines, '\n');
		if (!line.len || line.p[0] != (uint8_t)kind)
			continue;
		buf_str(out, comma);
		buf_put_span(out, span_skip(line, 1));
		comma = ",";
	}
}

static void
finish(struct http_call *c)
{
	auto_buf lines = BUF_INIT(HTTP_CALL_OUT_MAX);
	auto_buf errors = BUF_INIT(HTTP_CALL_OUT_MAX);
	const struct wire_error failed = wire_error_of(FAILED);
	buf_put_span(&lines, buf_span(&c->out));
	buf_reset(&c->out);
	put_lines(buf_span(&lines), 'E', &errors);
	buf_printf(
	    &c->out, "{\"isSuccessful\":%s,\"errors\":[", errors.len ? "false" : "true");
	buf_put_span(&c->out, buf_span(&errors));
	buf_str(&c->out, "],\"warnings\":[");
	put_lines(buf_span(&lines), 'W', &c->out);
	buf_str(&c->out, "]}");
	if (errors.len)
		http_call_set(c, "iothub-errorcode", failed.name);
	http_call_json_out(c, errors.len ? failed.status : 200);
}

static void
on_result(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_registry_result *m = msg;
	const struct ipc_done *d = msg;
	if (type == IPC_REGISTRY_RESULT) {
		const struct ipc_done as = {.code = m->code, .error = m->error};
		const struct wire_error w = wire_error_of_done(&as, WIRE_HUB);
		if (m->warning)
			add_warning(c, m);
		else
			add_error(c, m->id, m->module_id, &w, m->text);
		return;
	}
	if (d->code == ERR_OK)
		finish(c);
	else
		http_call_fail_done(c, d);
}

/* ---- the request ------------------------------------------------------------------- */

/* Whether an earlier item is of the same identity. */
static bool
is_twice(const struct bulk *b, size_t at, const struct ipc_registry_item *m)
{
	for (size_t i = 0; i < at; i++) {
		const struct js *o = js_at(b->items, i);
		if (span_eq(js_as_str(js_get(o, "id")), m->id) &&
		    span_eq(js_as_str(js_get(o, "moduleId")), m->module_id))
			return true;
	}
	return false;
}

static void
take_item(struct http_call *c, struct bulk *b, size_t at)
{
	struct err e = {.code = ERR_OK};
	const struct js *o = js_at(b->items, at);
	struct import_item_room room = import_item_room_new();
	struct ipc_registry_item m = {.id = js_as_str(js_get(o, "id")),
	    .module_id = js_as_str(js_get(o, "moduleId"))};
	bool twice = is_twice(b, at, &m);
	bool bad = twice || import_item_parse(c->arena, o, IPC_IMPORT_N, &room, &m, &e) ||
		   import_item_pack(&m, &b->packed, &e);
	const struct wire_error w =
	    twice ? wire_error_of(TWICE) : wire_error_of_code(e.code, WIRE_HUB);
	if (bad)
		add_error(c, span_head(m.id, CAP_ID), span_head(m.module_id, CAP_ID), &w,
		    span_str(e.text));
	import_item_room_done(&room);
}

static struct js *
parse_all(const struct http_call *c, struct err *e)
{
	auto_(js_free) struct js *v = js_parse(c->body, BODY_MAX, TWIN_JSON_DEPTH + 2, e);
	if (!v)
		return NULL;
	if (js_is(v, JS_ARRAY) && js_len(v) >= 1)
		return TAKE(v);
	err_set(e, ERR_PARSE, "an array of 1 to %d identities", ITEMS_MAX);
	return NULL;
}

void
hub_bulk_post(struct http_call *c)
{
	struct err e = {0};
	auto_(js_free) struct js *items = parse_all(c, &e);
	if (!items) {
		http_call_fail_err(c, &e);
		return;
	}
	if (js_len(items) > ITEMS_MAX) {
		const struct wire_error w = wire_error_of(TOO_MANY);
		http_call_fail(c, &w, "");
		return;
	}
	struct bulk b = {.items = items, .packed = BUF_INIT(CAP_BULK)};
	b.packed.secret = true; /* keys */
	for (size_t i = 0; i < js_len(items); i++)
		take_item(c, &b, i);
	const struct ipc_registry_bulk m = {
	    .peer = c->peer, .cred = c->cred, .items = buf_span(&b.packed)};
	if (buf_check(&b.packed, "identities", &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_REGISTRY_BULK, &m, on_result);
	buf_done(&b.packed);
}
