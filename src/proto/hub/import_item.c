/*
 * Identities as files and bulk requests have them.
 */
#include "proto/hub/import_item.h"

#include "codec/id.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "proto/hub/identity.h"
#include "proto/hub/twin_json.h"
#include "proto/json.h"
#include "proto/wire_error.h"

enum {
	LINE_MAX_BYTES = 512 * 1024,
	LINE_DEPTH = TWIN_JSON_DEPTH + 1,
	LINE_ARENA = 64 * 1024,
	ITEMS_BYTES = CAP_BULK / 2, /* one more fits */
	ERRORS_BYTES = CAP_BODY / 2,
};

/* As clients spell them, in any case; the order of enum ipc_import. */
static const char *const modes[] = {"create", "update", "updateIfMatchETag", "delete",
    "deleteIfMatchETag", "updateTwin", "updateTwinIfMatchETag", "createOrUpdate",
    "createOrUpdateIfMatchETag"};

struct import_item_room
import_item_room_new(void)
{
	struct import_item_room r = {
	    .key = {BUF_INIT(SAS_KEY_MAX), BUF_INIT(SAS_KEY_MAX)},
	    .twin = {BUF_INIT(CAP_TWIN), BUF_INIT(CAP_TWIN)}};
	r.key[0].secret = r.key[1].secret = true;
	return r;
}

void
import_item_room_done(struct import_item_room *r)
{
	for (int i = 0; i < 2; i++) {
		buf_done(&r->key[i]);
		buf_done(&r->twin[i]);
	}
}

/* ---- one item ---------------------------------------------------------------------- */

static int
parse_mode(const struct js *o, uint8_t usual, uint8_t *ret, struct err *e)
{
	struct span text = SPAN_NONE;
	*ret = usual;
	if (js_opt_str(o, "importMode", &text, e))
		return -1;
	if (!text.len && usual != IPC_IMPORT_N)
		return 0;
	for (uint8_t i = 0; i < IPC_IMPORT_N; i++)
		if (span_ieq_str(text, modes[i])) {
			*ret = i;
			return 0;
		}
	return err_set(e, ERR_PARSE,
	    "importMode: create, update, updateIfMatchETag, createOrUpdate, "
	    "createOrUpdateIfMatchETag, delete, deleteIfMatchETag, updateTwin or "
	    "updateTwinIfMatchETag");
}

static bool
has_identity(uint8_t mode)
{
	return mode <= IPC_IMPORT_UPDATE_IF_MATCH || mode >= IPC_IMPORT_PUT;
}

static bool
has_twin(uint8_t mode)
{
	return has_identity(mode) || mode >= IPC_IMPORT_UPDATE_TWIN;
}

/* The etag that a mode compares; what compares nothing takes whatever there is. */
static int
parse_etag(
    struct arena *a, const struct js *o, struct ipc_registry_item *m, struct err *e)
{
	bool twin = m->mode == IPC_IMPORT_UPDATE_TWIN_IF_MATCH;
	char etag[JSON_ETAG_MAX];
	struct span text = SPAN_NONE;
	m->if_match = SPAN_LIT("*");
	if (!twin && m->mode != IPC_IMPORT_UPDATE_IF_MATCH &&
	    m->mode != IPC_IMPORT_DELETE_IF_MATCH && m->mode != IPC_IMPORT_PUT_IF_MATCH)
		return 0;
	/* Node hands on what it read, where the member is spelled otherwise */
	const char *name = twin ? "twinETag" : "eTag";
	if (!twin && !js_get(o, name))
		name = "etag";
	if (js_need_str(o, name, &text, e))
		return -1;
	if (!json_etag_parse(arena_str(a, text), etag) || !etag[0])
		return err_set(e, ERR_CONFLICT, "etag does not match");
	m->if_match = span_str(arena_str(a, span_str(etag)));
	return 0;
}

static int
parse_identity(struct arena *a, const struct js *o, struct buf room[2],
    struct ipc_registry_item *m, struct err *e)
{
	struct ipc_device_put put = {.id = m->id};
	if (identity_parse_device(a, o, room, &put, e) ||
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

int
import_item_parse(struct arena *a, const struct js *o, uint8_t mode,
    struct import_item_room *room, struct ipc_registry_item *m, struct err *e)
{
	*m = (struct ipc_registry_item){.id = js_as_str(js_get(o, "id")),
	    .module_id = js_as_str(js_get(o, "moduleId"))};
	if (!id_is_device(m->id) || (m->module_id.len && !id_is_device(m->module_id)))
		return err_set(e, ERR_PARSE, "id: a character that IDs may not have");
	if (parse_mode(o, mode, &m->mode, e) || parse_etag(a, o, m, e))
		return -1;
	if (has_identity(m->mode) && parse_identity(a, o, room->key, m, e))
		return -1;
	if (has_twin(m->mode) && twin_json_parse(o, &room->twin[0], &room->twin[1], e))
		return -1;
	m->tags = buf_span(&room->twin[0]);
	m->desired = buf_span(&room->twin[1]);
	return 0;
}

int
import_item_pack(const struct ipc_registry_item *m, struct buf *out, struct err *e)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	body.secret = true;
	if (ipc_msg_pack(IPC_REGISTRY_ITEM, m, &body, e))
		return -1;
	buf_u32(out, (uint32_t)body.len);
	buf_put_span(out, buf_span(&body));
	return 0;
}

/* ---- lines ------------------------------------------------------------------------- */

static void
add_error(struct buf *errors, const struct ipc_registry_item *m, const struct err *why)
{
	const struct wire_error w = wire_error_of_code(why->code, WIRE_HUB);
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "deviceId", span_head(m->id, CAP_ID));
	json_put_span(o, "moduleId", span_head(m->module_id, CAP_ID));
	js_set_text(o, "errorCode", w.name);
	json_put_text(o, "errorStatus", span_str(why->text));
	js_dump(o, JS_AS_BUILT, errors);
	buf_str(errors, "\n");
}

/* Whether it was one. */
static bool
take_line(struct span line, struct buf *items, struct buf *errors)
{
	struct err why;
	struct ipc_registry_item m = {.id = SPAN_NONE};
	auto_(arena_free) struct arena *a = arena_new(LINE_ARENA);
	struct import_item_room room = import_item_room_new();
	auto_(js_free) struct js *o = js_parse(line, LINE_MAX_BYTES, LINE_DEPTH, &why);
	bool good = o && import_item_parse(a, o, IPC_IMPORT_PUT, &room, &m, &why) == 0 &&
		    import_item_pack(&m, items, &why) == 0;
	if (!good)
		add_error(errors, &m, &why);
	import_item_room_done(&room);
	return good;
}

int
import_item_lines(struct span text, bool last, struct buf *items, struct buf *errors,
    size_t *ret_used, size_t *ret_errors, struct err *e)
{
	size_t used = 0, bad = 0;
	while (
	    used < text.len && items->len < ITEMS_BYTES && errors->len < ERRORS_BYTES) {
		struct span rest = span_skip(text, used);
		size_t end = span_find(rest, '\n');
		if (end == rest.len && !last)
			break;
		struct span line = span_trim(span_head(rest, end));
		bad += line.len && !take_line(line, items, errors);
		used += end + (end < rest.len);
	}
	*ret_used = used;
	*ret_errors = bad;
	return buf_check(items, "identities", e) || buf_check(errors, "errors", e) ? -1
										   : 0;
}

void
import_item_line(const struct ipc_device *m, bool keys, struct buf *out)
{
	struct ipc_device shown = *m;
	auto_(js_free) struct js *o = js_object();
	struct js *capabilities = js_object(), *properties = js_object();
	if (!keys)
		shown.primary_key = shown.secondary_key = SPAN_NONE;
	json_put_text(o, "id", m->id);
	if (m->module_id.len)
		json_put_text(o, "moduleId", m->module_id);
	json_put_etag(o, "eTag", m->etag);
	js_set_text(o, "status", m->enabled ? "enabled" : "disabled");
	json_put_span(o, "statusReason", m->status_reason);
	js_set(o, "authentication", identity_auth(&shown));
	js_set_bool(capabilities, "iotEdge", m->iot_edge);
	js_set(o, "capabilities", capabilities);
	if (m->managed_by.len)
		json_put_text(o, "managedBy", m->managed_by);
	json_put_etag(o, "twinETag", m->twin_etag);
	json_put_doc(o, "tags", m->tags);
	json_put_doc(properties, "desired", m->desired);
	json_put_doc(properties, "reported", m->reported);
	js_set(o, "properties", properties);
	js_dump(o, JS_AS_BUILT, out);
	buf_str(out, "\n");
}
