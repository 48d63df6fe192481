/*
 * The hub's service API: up to a hundred identities in one request (protocol/service.md
 * 2.4). All that can be asked for goes to the core in one message, so that it is one
 * transaction; each item has a result of its own.
 *
 * The right is RegistryWrite whatever the items ask for, twins too, which alone would want
 * ServiceConnect: so Azure's documentation has it (its roles: devices/write and
 * devices/delete for Bulk Registry Update, no twins/write; service.md 2.1 has the
 * actions), and service SDKs send updateTwins by a registry policy.
 */
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "proto/hub/identity.h"
#include "proto/json.h"
#include "proto/hub/twin_json.h"

enum {
	ITEMS_MAX = 100,
	BODY_MAX = 256 * 1024,
	FAILED = 400013,
	TWICE = 400011,
	TOO_MANY = 413002,
};

/* As clients spell them, in any case; the order of enum ipc_import. */
static const char *const modes[] = {"create", "update", "updateIfMatchETag", "delete",
    "deleteIfMatchETag", "updateTwin", "updateTwinIfMatchETag"};
#define N_MODES (sizeof(modes) / sizeof(modes[0]))

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

/* ---- one item ---------------------------------------------------------------------- */

static int
parse_mode(const struct js *o, uint8_t *ret, struct err *e)
{
	struct span text;
	if (js_need_str(o, "importMode", &text, e))
		return -1;
	for (size_t i = 0; i < N_MODES; i++)
		if (span_ieq_str(text, modes[i])) {
			*ret = (uint8_t)i;
			return 0;
		}
	return err_set(e, ERR_PARSE,
	    "importMode: create, update, updateIfMatchETag, delete, deleteIfMatchETag, "
	    "updateTwin or updateTwinIfMatchETag");
}

/* The etag that a mode compares; what compares nothing takes whatever there is. */
static int
parse_etag(const struct http_call *c, const struct js *o, struct ipc_registry_item *m,
    struct err *e)
{
	bool twin = m->mode == IPC_IMPORT_UPDATE_TWIN_IF_MATCH;
	char etag[JSON_ETAG_MAX];
	struct span text = SPAN_NONE;
	m->if_match = SPAN_LIT("*");
	if (!twin && m->mode != IPC_IMPORT_UPDATE_IF_MATCH &&
	    m->mode != IPC_IMPORT_DELETE_IF_MATCH)
		return 0;
	/* Node hands on what it read, where the member is spelled otherwise */
	const char *name = twin ? "twinETag" : "eTag";
	if (!twin && !js_get(o, name))
		name = "etag";
	if (js_need_str(o, name, &text, e))
		return -1;
	if (!json_etag_parse(arena_str(c->arena, text), etag) || !etag[0])
		return err_set(e, ERR_CONFLICT, "etag does not match");
	m->if_match = span_str(arena_str(c->arena, span_str(etag)));
	return 0;
}

static int
parse_identity(const struct http_call *c, const struct js *o, struct buf room[2],
    struct ipc_registry_item *m, struct err *e)
{
	struct ipc_device_put put = {.id = m->id};
	if (identity_parse_device(c, o, room, &put, e) ||
	    js_opt_str(o, "managedBy", &m->managed_by, e))
		return -1;
	if (m->managed_by.len > CAP_ID)
		return err_set(e, ERR_PARSE, "managedBy: over %d characters", CAP_ID);
	m->enabled = put.enabled;
	m->status_reason = put.status_reason;
	m->auth = put.auth;
	m->primary_key = put.primary_key;
	m->secondary_key = put.secondary_key;
	m->primary_thumb = put.primary_thumb;
	m->secondary_thumb = put.secondary_thumb;
	m->iot_edge = put.iot_edge;
	return 0;
}

static bool
has_identity(uint8_t mode)
{
	return mode <= IPC_IMPORT_UPDATE_IF_MATCH;
}

static bool
has_twin(uint8_t mode)
{
	return has_identity(mode) || mode >= IPC_IMPORT_UPDATE_TWIN;
}

static int
parse_item(const struct http_call *c, const struct js *o, struct buf room[2],
    struct buf twin[2], struct ipc_registry_item *m, struct err *e)
{
	if (!id_is_device(m->id) || (m->module_id.len && !id_is_device(m->module_id)))
		return err_set(e, ERR_PARSE, "id: a character that IDs may not have");
	if (parse_mode(o, &m->mode, e) || parse_etag(c, o, m, e))
		return -1;
	if (has_identity(m->mode) && parse_identity(c, o, room, m, e))
		return -1;
	if (has_twin(m->mode) && twin_json_parse(o, &twin[0], &twin[1], e))
		return -1;
	m->tags = buf_span(&twin[0]);
	m->desired = buf_span(&twin[1]);
	return 0;
}

static void
pack(struct bulk *b, const struct ipc_registry_item *m, struct err *e)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	body.secret = true;
	if (ipc_msg_pack(IPC_REGISTRY_ITEM, m, &body, e) == 0) {
		buf_u32(&b->packed, (uint32_t)body.len);
		buf_put_span(&b->packed, buf_span(&body));
	}
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
	struct buf room[2] = {BUF_INIT(SAS_KEY_MAX), BUF_INIT(SAS_KEY_MAX)};
	struct buf twin[2] = {BUF_INIT(CAP_TWIN), BUF_INIT(CAP_TWIN)};
	struct ipc_registry_item m = {.id = js_as_str(js_get(o, "id")),
	    .module_id = js_as_str(js_get(o, "moduleId"))};
	room[0].secret = room[1].secret = true;
	bool twice = is_twice(b, at, &m);
	if (!twice && parse_item(c, o, room, twin, &m, &e) == 0)
		pack(b, &m, &e);
	const struct wire_error w =
	    twice ? wire_error_of(TWICE) : wire_error_of_code(e.code, WIRE_HUB);
	if (twice || e.code != ERR_OK)
		add_error(c, span_head(m.id, CAP_ID), span_head(m.module_id, CAP_ID), &w,
		    span_str(e.text));
	for (int i = 0; i < 2; i++) {
		buf_done(&room[i]);
		buf_done(&twin[i]);
	}
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
