/*
 * The hub's service API: device identities, their list, twins (protocol/service.md 2.2,
 * 2.3). Requests become messages; rows become Azure's JSON.
 */
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "proto/http_call.h"
#include "proto/hub/identity.h"
#include "proto/json.h"
#include "proto/hub/twin_json.h"

enum {
	LIST_MAX = 1000,
	BODY_DEPTH = 24,
};

/* ---- identities -------------------------------------------------------------------- */

static struct js *
identity(const struct ipc_device *m)
{
	struct js *o = js_object();
	identity_put_common(o, m);
	json_put_text(o, "generationId", m->generation);
	json_put_etag(o, "etag", m->etag);
	json_put_time_or_never(o, "connectionStateUpdatedTime", m->conn_updated_ms);
	json_put_time_or_never(o, "statusUpdatedTime", m->status_updated_ms);
	js_set(o, "authentication", identity_auth(m));
	js_set(o, "deviceScope", js_null());
	js_set(o, "parentScopes", js_array());
	return o;
}

/* ---- one row and its DONE ---------------------------------------------------------- */

static void
on_identity(struct http_call *c, enum ipc_type type, const void *msg)
{
	identity_answer(c, type, msg, identity);
}

static void
on_twin(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_device *m = msg;
	if (type == IPC_DONE) {
		identity_done(c, msg);
		return;
	}
	identity_etag(c, m->twin_etag);
	identity_gather(c, twin_json_whole(m));
}

void
hub_service_device_get(struct http_call *c)
{
	struct err e = {0};
	const struct ipc_device_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_check_ids(c, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_DEVICE_GET, &m, on_identity);
}

void
hub_service_device_delete(struct http_call *c)
{
	struct err e = {0};
	struct ipc_device_delete m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (identity_check_ids(c, &e) || http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_DEVICE_DELETE, &m, identity_gone);
}

/* ---- PUT of an identity ------------------------------------------------------------ */

static int
parse_identity(const struct http_call *c, const struct js *o, struct buf room[2],
    struct ipc_device_put *m, struct err *e)
{
	struct span id = m->id;
	if (js_opt_str(o, "deviceId", &id, e))
		return -1;
	if (!span_eq(id, m->id))
		return err_set(e, ERR_PARSE, "deviceId is not the path's");
	if (!id_is_device(m->id))
		return err_set(
		    e, ERR_PARSE, "deviceId: a character that IDs may not have");
	return identity_parse_device(c->arena, o, room, m, e);
}

void
hub_service_device_put(struct http_call *c)
{
	struct err e = {0};
	struct buf room[2] = {BUF_INIT(SAS_KEY_MAX), BUF_INIT(SAS_KEY_MAX)};
	room[0].secret = room[1].secret = true;
	struct ipc_device_put m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || http_call_if_match(c, &m.if_match, &e) ||
	    parse_identity(c, o, room, &m, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_DEVICE_PUT, &m, on_identity);
	buf_done(&room[0]);
	buf_done(&room[1]);
}

/* ---- lists ------------------------------------------------------------------------- */

struct listing {
	uint32_t left; /* rows still wanted */
};

static void ask_devices(struct http_call *c, struct span after);

static void
on_list_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_device *m = msg;
	struct listing *l = c->state;
	if (type == IPC_DEVICE) {
		auto_(js_free) struct js *v = identity(m);
		http_call_list_add(c, v, m->id);
		l->left--;
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	/* of several hubs one's devices may be far between */
	if (d->next.len && l->left && !c->list_full) {
		ask_devices(c, d->next);
		return;
	}
	buf_str(&c->out, "]"); /* this list has no next page (service.md 2.2) */
	http_call_json_out(c, 200);
}

static void
ask_devices(struct http_call *c, struct span after)
{
	const struct listing *l = c->state;
	const struct ipc_device_query m = {
	    .peer = c->peer, .cred = c->cred, .limit = l->left, .after = after};
	http_call_ask(c, IPC_DEVICE_QUERY, &m, on_list_row);
}

void
hub_service_list(struct http_call *c)
{
	struct listing *l = arena_alloc(c->arena, sizeof(*l));
	struct err e = {0};
	int64_t top = LIST_MAX;
	if (http_call_query_int(c, "top", 1, INT32_MAX, &top, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	l->left = (uint32_t)(top < LIST_MAX ? top : LIST_MAX);
	c->state = l;
	c->out.secret = true; /* keys */
	http_call_list_begin(c);
	ask_devices(c, SPAN_NONE);
}

/* ---- requests for twins ------------------------------------------------------------ */

void
hub_service_twin_get(struct http_call *c)
{
	struct err e = {0};
	const struct ipc_twin_get m = {.peer = c->peer,
	    .cred = c->cred,
	    .id = c->param[0],
	    .module_id = c->param[1]};
	if (identity_check_ids(c, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, IPC_TWIN_GET, &m, on_twin);
}

static void
change_twin(struct http_call *c, bool replace)
{
	struct err e = {0};
	auto_buf tags = BUF_INIT(CAP_TWIN);
	auto_buf desired = BUF_INIT(CAP_TWIN);
	struct ipc_twin_patch m = {.peer = c->peer,
	    .cred = c->cred,
	    .id = c->param[0],
	    .module_id = c->param[1],
	    .replace = replace};
	auto_(js_free) struct js *o = http_call_object(c, TWIN_JSON_DEPTH, &e);
	if (!o || identity_check_ids(c, &e) || http_call_if_match(c, &m.if_match, &e) ||
	    twin_json_parse(o, &tags, &desired, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	m.tags = buf_span(&tags);
	m.desired = buf_span(&desired);
	http_call_ask(c, IPC_TWIN_PATCH, &m, on_twin);
}

void
hub_service_twin_patch(struct http_call *c)
{
	change_twin(c, false);
}

void
hub_service_twin_put(struct http_call *c)
{
	change_twin(c, true);
}
