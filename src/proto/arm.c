/*
 * The part of Azure Resource Manager that the migration needs: the hub resource with its
 * switches, and the hub's policies (protocol/service.md 3.1, 3.2). Subscription and
 * resource group are the caller's words and are echoed.
 */
#include "codec/js.h"
#include "proto/http_call.h"
#include "proto/json.h"

enum { BODY_DEPTH = 32 };

enum { SUBSCRIPTION, GROUP, NAME, KEY }; /* the path's parameters */

static void
put_id(struct js *o, const struct http_call *c)
{
	auto_buf id = BUF_INIT(2048);
	buf_printf(&id,
	    "/subscriptions/%.*s/resourceGroups/%.*s/providers/Microsoft.Devices/IotHubs/"
	    "%.*s",
	    SPAN_FMT(c->param[SUBSCRIPTION]), SPAN_FMT(c->param[GROUP]),
	    SPAN_FMT(c->param[NAME]));
	json_put_text(o, "id", buf_span(&id));
}

/* subscriptionid and resourcegroup, so spelled: az reads them without a check (T3). */
static struct js *
hub_json(const struct http_call *c, const struct ipc_hub *m)
{
	struct js *o = js_object();
	struct js *properties = js_object();
	struct js *sku = js_object();
	put_id(o, c);
	json_put_text(o, "name", c->param[NAME]);
	js_set_text(o, "type", "Microsoft.Devices/IotHubs");
	js_set_text(o, "location", "local");
	js_set(o, "tags", js_object());
	json_put_etag(o, "etag", m->etag);
	json_put_text(o, "subscriptionid", c->param[SUBSCRIPTION]);
	json_put_text(o, "resourcegroup", c->param[GROUP]);
	js_set_text(sku, "name", "S1");
	js_set_text(sku, "tier", "Standard");
	js_set_int(sku, "capacity", 1);
	js_set(o, "sku", sku);
	js_set_text(properties, "state", "Active");
	js_set_text(properties, "provisioningState", "Succeeded");
	json_put_text(properties, "hostName", m->host);
	js_set_bool(properties, "disableLocalAuth", m->disable_local_auth);
	js_set_bool(properties, "disableDeviceSAS", m->disable_device_sas);
	js_set_bool(properties, "disableModuleSAS", m->disable_module_sas);
	js_set(o, "properties", properties);
	return o;
}

static void
on_hub(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_HUB) {
		auto_(js_free) struct js *v = hub_json(c, msg);
		buf_reset(&c->out);
		js_dump(v, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		http_call_fail_done(c, d);
}

void
arm_hub_get(struct http_call *c)
{
	const struct ipc_hub_get m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_HUB_GET, &m, on_hub);
}

/* 0 off, 1 on, 2 leave: a PUT merges (T13). */
static int
parse_switch(const struct js *properties, const char *name, uint8_t *ret, struct err *e)
{
	const struct js *v = NULL;
	*ret = 2;
	if (js_opt(properties, name, JS_BOOL, &v, e))
		return -1;
	if (v)
		*ret = js_as_bool(v);
	return 0;
}

/* [] takes every policy away; a list would replace their keys, which is not served. */
static int
parse_policies(const struct js *properties, uint8_t *ret_clear, struct err *e)
{
	const struct js *v = NULL;
	*ret_clear = 0;
	if (js_opt(properties, "authorizationPolicies", JS_ARRAY, &v, e))
		return -1;
	if (js_len(v))
		return err_set(e, ERR_UNSUPPORTED,
		    "authorizationPolicies: only [] in this version, which removes all");
	*ret_clear = v != NULL;
	return 0;
}

static int
parse_hub(const struct js *o, struct ipc_hub_put *m, struct err *e)
{
	const struct js *p = NULL;
	if (js_opt(o, "properties", JS_OBJECT, &p, e) ||
	    parse_switch(p, "disableLocalAuth", &m->disable_local_auth, e) ||
	    parse_switch(p, "disableDeviceSAS", &m->disable_device_sas, e) ||
	    parse_switch(p, "disableModuleSAS", &m->disable_module_sas, e))
		return -1;
	return parse_policies(p, &m->clear_policies, e);
}

/* az prints a Python dict into If-Match ({'IF-MATCH': '<etag>'}): what is between the
 * last two quotes counts, and what is no etag at all is ignored, as Azure does (T1). */
static void
lenient_if_match(struct http_call *c, struct span *ret)
{
	char etag[JSON_ETAG_MAX];
	struct span s = span_str(http_call_header(c, "If-Match"));
	size_t last = span_rfind(s, '\'');
	if (last < s.len) {
		struct span head = span_head(s, last);
		s = span_skip(head, span_rfind(head, '\'') + 1);
	}
	const char *text = arena_str(c->arena, s);
	if (json_etag_parse(text, etag))
		*ret = span_str(arena_str(c->arena, span_str(etag)));
}

void
arm_hub_put(struct http_call *c)
{
	struct err e = {0};
	struct ipc_hub_put m = {.peer = c->peer, .cred = c->cred};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_hub(o, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	lenient_if_match(c, &m.if_match);
	http_call_ask(c, IPC_HUB_PUT, &m, on_hub);
}

/* ---- policies ---------------------------------------------------------------------- */

static struct js *
policy_json(const struct ipc_policy *m)
{
	struct js *o = js_object();
	json_put_text(o, "keyName", m->name);
	json_put_key(o, "primaryKey", m->primary_key);
	json_put_key(o, "secondaryKey", m->secondary_key);
	json_put_text(o, "rights", m->rights);
	return o;
}

static void
on_policy_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_policy *m = msg;
	if (type == IPC_POLICY) {
		auto_(js_free) struct js *v = policy_json(m);
		if (c->list_last[0])
			buf_str(&c->out, ",");
		js_dump(v, JS_AS_BUILT, &c->out);
		c->list_last[0] = '+';
		return;
	}
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	buf_str(&c->out, "]}");
	http_call_json_out(c, 200);
}

void
arm_hub_listkeys(struct http_call *c)
{
	const struct ipc_policy_query m = {
	    .peer = c->peer, .cred = c->cred, .plane = SPAN_LIT("hub")};
	c->out.secret = true;
	buf_str(&c->out, "{\"value\":[");
	http_call_ask(c, IPC_POLICY_QUERY, &m, on_policy_row);
}

static void
on_policy(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type == IPC_POLICY) {
		auto_(js_free) struct js *v = policy_json(msg);
		js_dump(v, JS_AS_BUILT, &c->out);
		return;
	}
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		http_call_fail_done(c, d);
}

void
arm_hub_key(struct http_call *c)
{
	const struct ipc_policy_query m = {.peer = c->peer,
	    .cred = c->cred,
	    .plane = SPAN_LIT("hub"),
	    .name = c->param[KEY]};
	c->out.secret = true;
	if (!m.name.len || m.name.len > 64 || span_has(m.name, 0)) {
		const struct wire_error w = wire_error_of(404000);
		http_call_fail(c, &w, "");
		return;
	}
	http_call_ask(c, IPC_POLICY_QUERY, &m, on_policy);
}
