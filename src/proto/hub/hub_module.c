/*
 * The hub's service API: module identities (protocol/service.md 2.2). Their twins take
 * the routes of the devices' (hub_service.c).
 */
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "proto/hub/identity.h"
#include "proto/json.h"

enum {
	BODY_DEPTH = 24,
	MANAGED_BY_MAX = 128,
};

static struct js *
module(const struct ipc_device *m)
{
	struct js *o = js_object();
	json_put_text(o, "moduleId", m->module_id);
	json_put_span(o, "managedBy", m->managed_by);
	json_put_text(o, "deviceId", m->id);
	json_put_text(o, "generationId", m->generation);
	json_put_etag(o, "etag", m->etag);
	js_set_text(o, "connectionState", m->connected ? "Connected" : "Disconnected");
	json_put_time_or_never(o, "connectionStateUpdatedTime", m->conn_updated_ms);
	json_put_time_or_never(o, "lastActivityTime", m->last_activity_ms);
	js_set_int(o, "cloudToDeviceMessageCount", 0); /* modules have no queue */
	js_set(o, "authentication", identity_auth(m));
	return o;
}

static void
on_module(struct http_call *c, enum ipc_type type, const void *msg)
{
	identity_answer(c, type, msg, module);
}

void
hub_module_get(struct http_call *c)
{
	struct err e = {0};
	const struct ipc_module_get m = {.peer = c->peer,
	    .cred = c->cred,
	    .device_id = c->param[0],
	    .module_id = c->param[1]};
	if (identity_check_ids(c, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_MODULE_GET, &m, on_module);
}

void
hub_module_delete(struct http_call *c)
{
	struct err e = {0};
	struct ipc_module_delete m = {.peer = c->peer,
	    .cred = c->cred,
	    .device_id = c->param[0],
	    .module_id = c->param[1]};
	if (identity_check_ids(c, &e) || http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_MODULE_DELETE, &m, identity_gone);
}

static int
parse_id(const struct js *o, const char *name, struct span want, struct err *e)
{
	struct span id = want;
	if (js_opt_str(o, name, &id, e))
		return -1;
	if (!span_eq(id, want))
		return err_set(e, ERR_PARSE, "%s is not the path's", name);
	return 0;
}

static int
parse_module(const struct http_call *c, const struct js *o, struct buf room[2],
    struct ipc_module_put *m, struct err *e)
{
	struct ipc_device_put auth = {0};
	if (parse_id(o, "deviceId", m->device_id, e) ||
	    parse_id(o, "moduleId", m->module_id, e) ||
	    js_opt_str(o, "managedBy", &m->managed_by, e) ||
	    identity_parse_auth(c->arena, o, room, &auth, e))
		return -1;
	if (!id_is_device(m->module_id))
		return err_set(
		    e, ERR_PARSE, "moduleId: a character that IDs may not have");
	if (m->managed_by.len > MANAGED_BY_MAX || span_has(m->managed_by, 0))
		return err_set(
		    e, ERR_PARSE, "managedBy: over %d characters", MANAGED_BY_MAX);
	m->auth = auth.auth;
	m->primary_key = auth.primary_key;
	m->secondary_key = auth.secondary_key;
	m->primary_thumb = auth.primary_thumb;
	m->secondary_thumb = auth.secondary_thumb;
	return 0;
}

void
hub_module_put(struct http_call *c)
{
	struct err e = {0};
	struct buf room[2] = {BUF_INIT(SAS_KEY_MAX), BUF_INIT(SAS_KEY_MAX)};
	room[0].secret = room[1].secret = true;
	struct ipc_module_put m = {.peer = c->peer,
	    .cred = c->cred,
	    .device_id = c->param[0],
	    .module_id = c->param[1]};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || identity_check_ids(c, &e) || http_call_if_match(c, &m.if_match, &e) ||
	    parse_module(c, o, room, &m, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_MODULE_PUT, &m, on_module);
	buf_done(&room[0]);
	buf_done(&room[1]);
}

static void
on_list_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_device *m = msg;
	if (type == IPC_DEVICE) {
		auto_(js_free) struct js *v = module(m);
		http_call_list_add(c, v, m->module_id);
		return;
	}
	http_call_list_end(c, "module", msg);
}

void
hub_module_list(struct http_call *c)
{
	struct err e = {0};
	const struct ipc_module_query m = {
	    .peer = c->peer, .cred = c->cred, .device_id = c->param[0]};
	if (identity_check_ids(c, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	c->out.secret = true; /* keys */
	http_call_list_begin(c);
	http_call_ask(c, IPC_MODULE_QUERY, &m, on_list_row);
}
