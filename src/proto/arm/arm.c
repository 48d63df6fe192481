/*
 * What the resource manager says of itself (protocol/service.md 3): subscriptions,
 * groups, the provider, names. Its hubs and provisioning services are in arm_hub.c and
 * arm_dps.c.
 */
#include "codec/config.h"
#include "codec/js.h"
#include "io/http.h"
#include "proto/arm/arm_json.h"
#include "proto/arm/arm_name.h"
#include "proto/env.h"
#include "proto/json.h"

enum { BODY_DEPTH = 8, NAME_LEN = 255 };

enum { SUBSCRIPTION, GROUP }; /* the path's parameters */

/* Nothing here is in the store; but the caller must be one who may see resources. */
static void
after_authorization(struct http_call *c,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	const struct ipc_dps_get m = {.peer = c->peer, .cred = c->cred};
	http_call_ask(c, IPC_DPS_GET, &m, fn);
}

/* True where the caller is let in, once; else the call goes on or has been answered. */
static bool
is_let_in(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (type != IPC_DONE)
		return false;
	if (d->code == ERR_OK)
		return true;
	http_call_fail_done(c, d);
	return false;
}

/* ---- subscriptions and groups --------------------------------------------------------
 */

static struct js *
subscription_json(const struct http_call *c, struct span id)
{
	struct js *o = js_object();
	js_set_text(o, "id", arena_printf(c->arena, "/subscriptions/%.*s", SPAN_FMT(id)));
	json_put_text(o, "subscriptionId", id);
	js_set_text(o, "tenantId", "adfs");
	js_set_text(o, "displayName", c->env->config->server.name.v[0]);
	js_set_text(o, "state", "Enabled");
	return o;
}

static struct span
our_subscription(const struct http_call *c)
{
	return span_str(arm_name_subscription(c->env->config, c->arena));
}

static void
on_subscriptions(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (!is_let_in(c, type, msg))
		return;
	auto_(js_free) struct js *v = subscription_json(c, our_subscription(c));
	arm_json_list_begin(c);
	arm_json_list_add(c, v);
	arm_json_list_end(c);
}

void
arm_subscriptions(struct http_call *c)
{
	after_authorization(c, on_subscriptions);
}

static void
on_subscription(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (is_let_in(c, type, msg))
		http_call_json(c, 200, subscription_json(c, c->param[SUBSCRIPTION]));
}

void
arm_subscription(struct http_call *c)
{
	after_authorization(c, on_subscription);
}

static struct js *
group_json(const struct http_call *c, struct span name)
{
	struct js *o = js_object(), *p = js_object();
	js_set_text(o, "id",
	    arena_printf(c->arena, "/subscriptions/%.*s/resourceGroups/%.*s",
		SPAN_FMT(c->param[SUBSCRIPTION]), SPAN_FMT(name)));
	json_put_text(o, "name", name);
	js_set_text(o, "type", "Microsoft.Resources/resourceGroups");
	js_set_text(o, "location", "local");
	js_set_text(p, "provisioningState", "Succeeded");
	js_set(o, "properties", p);
	return o;
}

/* HEAD asks whether it is there: 204 (T4). */
static void
on_group(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (!is_let_in(c, type, msg))
		return;
	if (http_method(c->req) == HTTP_HEAD)
		http_call_no_content(c);
	else
		http_call_json(c, 200, group_json(c, c->param[GROUP]));
}

void
arm_group(struct http_call *c)
{
	after_authorization(c, on_group);
}

static void
on_groups(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (!is_let_in(c, type, msg))
		return;
	auto_(js_free) struct js *v = group_json(c, SPAN_LIT(ARM_NAME_GROUP));
	arm_json_list_begin(c);
	arm_json_list_add(c, v);
	arm_json_list_end(c);
}

void
arm_groups(struct http_call *c)
{
	after_authorization(c, on_groups);
}

/* ---- the provider --------------------------------------------------------------------
 */

/* "az resource" takes the newest version that is no preview. Every version is served. */
static struct js *
type_json(const char *name, const char *const *versions)
{
	struct js *o = js_object(), *list = js_array(), *locations = js_array();
	for (; *versions; versions++)
		js_append(list, js_text(*versions));
	js_append(locations, js_text("local"));
	js_set_text(o, "resourceType", name);
	js_set(o, "locations", locations);
	js_set(o, "apiVersions", list);
	return o;
}

static void
on_provider(struct http_call *c, enum ipc_type type, const void *msg)
{
	static const char *const hub[] = {"2023-06-30", "2022-04-30-preview", NULL};
	static const char *const dps[] = {"2022-02-05", "2021-10-15", NULL};
	if (!is_let_in(c, type, msg))
		return;
	struct js *o = js_object(), *types = js_array();
	js_append(types, type_json("IotHubs", hub));
	js_append(types, type_json("provisioningServices", dps));
	js_append(types, type_json("provisioningServices/certificates", dps));
	js_set_text(o, "id",
	    arena_printf(c->arena, "/subscriptions/%.*s/providers/Microsoft.Devices",
		SPAN_FMT(c->param[SUBSCRIPTION])));
	js_set_text(o, "namespace", "Microsoft.Devices");
	js_set_text(o, "registrationState", "Registered");
	js_set(o, "resourceTypes", types);
	http_call_json(c, 200, o);
}

void
arm_provider(struct http_call *c)
{
	after_authorization(c, on_provider);
}

/* ---- names ---------------------------------------------------------------------------
 */

/* Letters, digits and dashes, no dash last: as Azure's, 3 to 50. */
static bool
is_name(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.p[i], lower = c | 0x20;
		if (!(lower >= 'a' && lower <= 'z') && !(c >= '0' && c <= '9') &&
		    c != '-')
			return false;
	}
	return s.len >= 3 && s.len <= 50 && s.p[s.len - 1] != '-';
}

/* A name that is taken is how az finds that a hub exists (T4). */
static void
answer_name(struct http_call *c, bool taken)
{
	struct js *o = js_object();
	struct span name = *(const struct span *)c->state;
	bool wrong = !taken && !is_name(name);
	js_set_bool(o, "nameAvailable", !taken && !wrong);
	if (taken || wrong) {
		js_set_text(o, "reason", taken ? "AlreadyExists" : "Invalid");
		js_set_text(o, "message",
		    arena_printf(c->arena, "The name '%.*s' %s", SPAN_FMT(name),
			taken ? "is in use here"
			      : "is none: letters, digits and dashes, 3 to 50"));
	}
	http_call_json(c, 200, o);
}

static void
on_hub_name(struct http_call *c, enum ipc_type type, const void *msg)
{
	size_t i;
	if (is_let_in(c, type, msg))
		answer_name(c, arm_name_find_hub(c->env->config,
				   *(const struct span *)c->state, c->arena, &i));
}

static void
on_dps_name(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (is_let_in(c, type, msg))
		answer_name(c, arm_name_is_dps(c->env->config,
				   *(const struct span *)c->state, c->arena));
}

static void
check_name(struct http_call *c,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	struct span *name = arena_alloc(c->arena, sizeof(*name)), s = SPAN_NONE;
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || js_need_str(o, "name", &s, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	*name = arena_span(c->arena, span_head(s, NAME_LEN));
	c->state = name;
	after_authorization(c, fn);
}

void
arm_hub_name(struct http_call *c)
{
	check_name(c, on_hub_name);
}

void
arm_dps_name(struct http_call *c)
{
	check_name(c, on_dps_name);
}
