/*
 * Identities in Azure's JSON: what devices and modules have in common.
 */
#include "proto/hub/identity.h"

#include <stdio.h>

#include "base/hex.h"
#include "codec/js.h"
#include "proto/json.h"

enum { THUMB_MAX = 64, STATUS_REASON_MAX = 128 };

/* Indexed by enum ipc_auth. */
static const char *const auth_names[] = {
    "none", "sas", "selfSigned", "certificateAuthority"};

const char *
identity_auth_name(uint8_t auth)
{
	return auth <= IPC_AUTH_CA ? auth_names[auth] : auth_names[IPC_AUTH_NONE];
}

/* Both objects with both members always: az indexes into them (T14). */
struct js *
identity_auth(const struct ipc_device *m)
{
	struct js *o = js_object();
	struct js *keys = js_object();
	struct js *thumbs = js_object();
	json_put_key(keys, "primaryKey", m->primary_key);
	json_put_key(keys, "secondaryKey", m->secondary_key);
	json_put_span(thumbs, "primaryThumbprint", m->primary_thumb);
	json_put_span(thumbs, "secondaryThumbprint", m->secondary_thumb);
	js_set(o, "symmetricKey", keys);
	js_set(o, "x509Thumbprint", thumbs);
	js_set_text(o, "type", identity_auth_name(m->auth));
	return o;
}

void
identity_put_common(struct js *o, const struct ipc_device *m)
{
	json_put_text(o, "deviceId", m->id);
	if (m->module_id.len)
		json_put_text(o, "moduleId", m->module_id);
	js_set_text(o, "status", m->enabled ? "enabled" : "disabled");
	json_put_span(o, "statusReason", m->status_reason);
	js_set_text(o, "connectionState", m->connected ? "Connected" : "Disconnected");
	json_put_time_or_never(o, "lastActivityTime", m->last_activity_ms);
	js_set_int(o, "cloudToDeviceMessageCount", m->c2d_count);
	struct js *capabilities = js_object();
	js_set_bool(capabilities, "iotEdge", m->iot_edge);
	js_set(o, "capabilities", capabilities);
}

/* ---- requests ---------------------------------------------------------------------- */

/* 40 hex digits of SHA-1 or 64 of SHA-256; the core keeps them in lower case. */
static int
parse_thumb(struct arena *a, const struct js *thumbs, const char *name, struct span *ret,
    struct err *e)
{
	uint8_t bytes[THUMB_MAX / 2];
	struct span text = SPAN_NONE;
	if (js_opt_str(thumbs, name, &text, e))
		return -1;
	if (!text.len)
		return 0;
	if (text.len != 40 && text.len != 64)
		return err_set(e, ERR_PARSE, "%s: 40 or 64 hexadecimal digits", name);
	if (hex_parse(text, bytes, text.len / 2, e))
		return err_wrap(e, "%s", name);
	char *lower = arena_alloc(a, text.len + 1);
	hex_write(span_of(bytes, text.len / 2), lower);
	*ret = span_str(lower);
	return 0;
}

/* Without a type it follows from what is there; a fresh identity without any is SAS. */
static int
parse_type(const struct js *auth, struct ipc_device_put *m, struct err *e)
{
	struct span type = SPAN_NONE;
	if (js_opt_str(auth, "type", &type, e))
		return -1;
	if (!type.len) {
		m->auth = m->primary_thumb.len ? IPC_AUTH_SELF_SIGNED : IPC_AUTH_SAS;
		return 0;
	}
	for (uint8_t i = IPC_AUTH_SAS; i <= IPC_AUTH_CA; i++) {
		if (!span_ieq_str(type, auth_names[i]))
			continue;
		m->auth = i;
		return 0;
	}
	return err_set(
	    e, ERR_PARSE, "authentication.type: sas, selfSigned or certificateAuthority");
}

int
identity_parse_auth(struct arena *a, const struct js *o, struct buf room[2],
    struct ipc_device_put *m, struct err *e)
{
	const struct js *auth = NULL, *keys = NULL, *thumbs = NULL;
	if (js_opt(o, "authentication", JS_OBJECT, &auth, e) ||
	    js_opt(auth, "symmetricKey", JS_OBJECT, &keys, e) ||
	    js_opt(auth, "x509Thumbprint", JS_OBJECT, &thumbs, e))
		return -1;
	if (json_take_key(keys, "primaryKey", &room[0], &m->primary_key, e) ||
	    json_take_key(keys, "secondaryKey", &room[1], &m->secondary_key, e) ||
	    parse_thumb(a, thumbs, "primaryThumbprint", &m->primary_thumb, e) ||
	    parse_thumb(a, thumbs, "secondaryThumbprint", &m->secondary_thumb, e))
		return -1;
	if (parse_type(auth, m, e))
		return -1;
	if (m->auth == IPC_AUTH_SELF_SIGNED && !m->primary_thumb.len)
		return err_set(e, ERR_PARSE, "selfSigned: primaryThumbprint is missing");
	return 0;
}

static int
parse_status(const struct js *o, struct ipc_device_put *m, struct err *e)
{
	struct span status = SPAN_LIT("enabled");
	if (js_opt_str(o, "status", &status, e) ||
	    js_opt_str(o, "statusReason", &m->status_reason, e))
		return -1;
	if (m->status_reason.len > STATUS_REASON_MAX)
		return err_set(
		    e, ERR_PARSE, "statusReason: over %d characters", STATUS_REASON_MAX);
	m->enabled = span_ieq_str(status, "enabled");
	if (!m->enabled && !span_ieq_str(status, "disabled"))
		return err_set(e, ERR_PARSE, "status: enabled or disabled");
	return 0;
}

int
identity_parse_device(struct arena *a, const struct js *o, struct buf room[2],
    struct ipc_device_put *m, struct err *e)
{
	const struct js *capabilities = NULL;
	bool iot_edge = false;
	if (js_opt(o, "capabilities", JS_OBJECT, &capabilities, e) ||
	    js_opt_bool(capabilities, "iotEdge", &iot_edge, e))
		return -1;
	m->iot_edge = iot_edge;
	if (parse_status(o, m, e))
		return -1;
	return identity_parse_auth(a, o, room, m, e);
}

int
identity_check_ids(const struct http_call *c, struct err *e)
{
	for (int i = 0; i < 2; i++)
		if (c->param[i].len > CAP_ID || span_has(c->param[i], 0))
			return err_set(
			    e, ERR_NOT_FOUND, "no such %s", i ? "module" : "device");
	return 0;
}

bool
identity_has_id(struct http_call *c, uint32_t not_found)
{
	const struct wire_error w = wire_error_of(not_found);
	if (c->param[0].len <= CAP_ID && !span_has(c->param[0], 0))
		return true;
	http_call_fail(c, &w, "");
	return false;
}

/* ---- answers ----------------------------------------------------------------------- */

void
identity_etag(struct http_call *c, int64_t etag)
{
	char text[JSON_ETAG_MAX], quoted[JSON_ETAG_MAX + 2];
	json_etag(etag, text);
	snprintf(quoted, sizeof(quoted), "\"%s\"", text);
	http_call_set(c, "ETag", quoted);
}

void
identity_gather(struct http_call *c, struct js *v)
{
	buf_reset(&c->out);
	js_dump(v, JS_AS_BUILT, &c->out);
	js_free(v);
}

void
identity_done(struct http_call *c, const struct ipc_done *d)
{
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		http_call_fail_done(c, d);
}

void
identity_answer(struct http_call *c, enum ipc_type type, const void *msg,
    struct js *(*make)(const struct ipc_device *m))
{
	const struct ipc_device *m = msg;
	if (type == IPC_DONE) {
		identity_done(c, msg);
		return;
	}
	c->out.secret = true; /* keys */
	identity_etag(c, m->etag);
	identity_gather(c, make(m));
}

void
identity_gone(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	(void)type;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}
