/*
 * muster hub and muster dps: a hub and a provisioning service as the resource manager
 * knows them (protocol/service.md 3.2, 3.3).
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/listing.h"
#include "cmd/output.h"
#include "cmd/resource.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define SETTLE_MS    2000
#define SETTLE_TRIES 300

static const struct render_column hub_columns[] = {
    {"Hub", "name", RENDER_TEXT, 0},
    {"Host", "properties.hostName", RENDER_TEXT, 0},
    {"State", "properties.state", RENDER_TEXT, RENDER_IF_ANY},
    {"Location", "location", RENDER_TEXT, RENDER_IF_ANY},
    {"SKU", "sku.name", RENDER_TEXT, RENDER_IF_ANY},
    {"Units", "sku.capacity", RENDER_TEXT, RENDER_IF_ANY},
    {"Policies refused", "properties.disableLocalAuth", RENDER_TEXT, 0},
    {"Device SAS refused", "properties.disableDeviceSAS", RENDER_TEXT, 0},
    {"Module SAS refused", "properties.disableModuleSAS", RENDER_TEXT, 0},
    {"Least TLS", "properties.minTlsVersion", RENDER_TEXT, RENDER_IF_ANY},
    {"Network", "properties.publicNetworkAccess", RENDER_TEXT, RENDER_IF_ANY},
    {"Tags", "tags", RENDER_TEXT, RENDER_IF_ANY},
    {"Events at", "properties.eventHubEndpoints.events.endpoint", RENDER_TEXT,
	RENDER_IF_ANY},
    {"Resource", "id", RENDER_TEXT, 0},
    {"ETag", "etag", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct render_column dps_columns[] = {
    {"Service", "name", RENDER_TEXT, 0},
    {"ID scope", "properties.idScope", RENDER_TEXT, 0},
    {"Service host", "properties.serviceOperationsHostName", RENDER_TEXT, 0},
    {"Device host", "properties.deviceProvisioningHostName", RENDER_TEXT, 0},
    {"State", "properties.state", RENDER_TEXT, RENDER_IF_ANY},
    {"Location", "location", RENDER_TEXT, RENDER_IF_ANY},
    {"SKU", "sku.name", RENDER_TEXT, RENDER_IF_ANY},
    {"Allocation", "properties.allocationPolicy", RENDER_TEXT, RENDER_IF_ANY},
    {"Policies refused", "properties.disableLocalAuth", RENDER_TEXT, RENDER_IF_ANY},
    {"Tags", "tags", RENDER_TEXT, RENDER_IF_ANY},
    {"Resource", "id", RENDER_TEXT, 0},
    {"ETag", "etag", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct render_column link_columns[] = {
    {"LINKED HUB", "name", RENDER_TEXT, RENDER_CUT},
    {"LOCATION", "location", RENDER_TEXT, RENDER_IF_ANY},
    {"WEIGHT", "allocationWeight", RENDER_TEXT, RENDER_IF_ANY},
    {"TAKES PART", "applyAllocationPolicy", RENDER_TEXT, RENDER_IF_ANY},
    {NULL, NULL, RENDER_TEXT, 0},
};

/* Its hubs as a table below it: their connection strings are no one's to see. */
static void
show_links(const struct remote *r, struct js *v)
{
	const struct js *hubs = js_get(js_get(v, "properties"), "iotHubs");
	if (r->form != RENDER_TABLE || !js_len(hubs))
		return;
	printf("\n");
	listing_print(r, link_columns, hubs, "hubs");
}

static const char *
word_of(enum sign_in_plane of)
{
	return of == SIGN_IN_HUB ? "hub" : "provisioning service";
}

const char *
resource_version(enum sign_in_plane of)
{
	return of == SIGN_IN_HUB ? AZURE_ARM : RESOURCE_DPS;
}

/* method on the resource itself, or on what tail says of it. */
static int
ask(struct remote *r, enum sign_in_plane of, const char *method, const char *tail,
    const struct js *body, const char *if_match, struct js **ret, struct err *e)
{
	const char *path;
	if (service_resource(r->service, of, &path, e))
		return -1;
	const struct rest_request q = {.method = method,
	    .target = arena_printf(
		r->arena, "%s%s?api-version=%s", path, tail, resource_version(of)),
	    .body = body ? azure_body(r->arena, body) : SPAN_NONE,
	    .if_match = if_match,
	    .once = if_match}; /* a second try would find what the first one did */
	return remote_ask(r, SIGN_IN_ARM, &q, word_of(of), ret, NULL, e);
}

static void
print(const struct remote *r, enum sign_in_plane of, struct js *v)
{
	render_one(of == SIGN_IN_HUB ? hub_columns : dps_columns, r->form, stdout, v);
	if (of == SIGN_IN_DPS)
		show_links(r, v);
}

/* ---- show ----------------------------------------------------------------------------
 */

static int
show(struct remote *r, enum sign_in_plane of, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (remote_open_any(r, e) || ask(r, of, "GET", "", NULL, NULL, &v, e))
		return -1;
	print(r, of, v);
	return 0;
}

static int
run_show(enum sign_in_plane of, const char *usage, const char *about, int argc,
    char **argv, struct err *e)
{
	auto_remote r = {0};
	const struct opt_cmd cmd = {usage, about, NULL, 0, 0};
	int at = remote_parse(&r, &cmd, argc, argv, e);
	return at <= 0 ? at : show(&r, of, e);
}

static int
hub_show(int argc, char **argv, struct err *e)
{
	return run_show(SIGN_IN_HUB, "muster hub show [OPTIONS]",
	    "Shows a hub: where it is, and which credentials it still takes.", argc, argv,
	    e);
}

static int
dps_show(int argc, char **argv, struct err *e)
{
	return run_show(SIGN_IN_DPS, "muster dps show [OPTIONS]",
	    "Shows a provisioning service and the hubs that are linked to it.", argc,
	    argv, e);
}

/* ---- update --------------------------------------------------------------------------
 */

struct change { /* NULL: not said */
	struct remote r;
	enum sign_in_plane of;
	const char *local, *device, *module, *allocation, *etag;
	struct opt_each tags;
	bool force;
};

static int
set_switch(struct js *properties, const char *key, const char *word, const char *option,
    struct err *e)
{
	if (!word)
		return 0;
	if (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0)
		return err_set(e, ERR_USAGE, "%s %s: yes or no", option, word);
	js_set_bool(properties, key, strcmp(word, "yes") == 0);
	return 0;
}

/* NAME=VALUE; without a value the tag goes. */
static int
set_tag(struct js *v, const char *text, struct err *e)
{
	char name[513];
	struct span rest = span_str(text);
	struct span key = span_split(&rest, '=');
	if (!rest.p || !key.len || !span_to_str(key, name, sizeof(name)))
		return err_set(e, ERR_USAGE, "--tag %.64s: NAME=VALUE", text);
	if (!js_is(js_get(v, "tags"), JS_OBJECT))
		js_set(v, "tags", js_object());
	struct js *tags = js_get_mut(v, "tags");
	if (!rest.len) {
		js_del(tags, name);
		return 0;
	}
	return js_set_str(tags, name, rest, e);
}

static int
apply(const struct change *c, struct js *v, struct err *e)
{
	struct js *p = js_get_mut(v, "properties");
	if (!js_is(p, JS_OBJECT))
		return err_set(e, ERR_PARSE, "%s: it has no properties", word_of(c->of));
	if (set_switch(p, "disableLocalAuth", c->local, "--disable-local-auth", e) ||
	    set_switch(p, "disableDeviceSAS", c->device, "--disable-device-sas", e) ||
	    set_switch(p, "disableModuleSAS", c->module, "--disable-module-sas", e))
		return -1;
	for (int i = 0; i < c->tags.n; i++)
		if (set_tag(v, c->tags.v[i], e))
			return -1;
	if (!c->allocation)
		return 0;
	return js_set_str(p, "allocationPolicy", span_str(c->allocation), e);
}

/* Devices that would be shut out at once. */
static int
count_sas(struct remote *r, int64_t *ret, struct err *e)
{
	auto_(js_free) struct js *rows = NULL;
	const struct rest_request q = {.method = "POST",
	    .target = "/devices/query?api-version=" AZURE_API,
	    .body = SPAN_LIT("{\"query\":\"select count() as n from devices where "
			     "authenticationType = 'sas' and status = 'enabled'\"}")};
	if (remote_ask(r, SIGN_IN_HUB, &q, "devices on SAS", &rows, NULL, e))
		return -1;
	return js_need_int(js_at(rows, 0), "n", 0, INT64_MAX, ret, e);
}

static int
check_sas(struct change *c, const struct js *v, struct err *e)
{
	int64_t n;
	const struct js *now = js_get(js_get(v, "properties"), "disableDeviceSAS");
	bool turns = c->device && strcmp(c->device, "yes") == 0 && !js_as_bool(now);
	if (!turns || c->force)
		return 0;
	if (count_sas(&c->r, &n, e))
		return err_wrap(e, "--disable-device-sas (--force does without asking)");
	if (!n)
		return 0;
	return err_set(e, ERR_GATE,
	    "%lld enabled devices are on SAS and would be shut out at once: muster "
	    "migrate moves them; --force does it all the same",
	    (long long)n);
}

/* Azure says 200 or 201 before it is done, and then what it is up to
 * (protocol/service.md 3.4). */
static int
wait_settled(struct change *c, struct js **v, struct err *e)
{
	for (int i = 0; i < SETTLE_TRIES; i++) {
		const char *state =
		    js_as_text(js_get(js_get(*v, "properties"), "provisioningState"));
		if (!state[0] || strcmp(state, "Succeeded") == 0)
			return 0;
		if (strcmp(state, "Failed") == 0 || strcmp(state, "Canceled") == 0)
			return err_set(e, ERR_INTERNAL, "%s: the change has %s",
			    word_of(c->of), state);
		struct js *next = NULL;
		if (output_wait(SETTLE_MS, e) ||
		    ask(&c->r, c->of, "GET", "", NULL, NULL, &next, e))
			return -1;
		js_free(*v);
		*v = next;
	}
	return err_set(e, ERR_TIMEOUT,
	    "%s: the change was taken, and is not done yet; show tells its state",
	    word_of(c->of));
}

/* Put back as it was read, but for what changes. Etags go bare here (T17). */
static int
update(struct change *c, struct err *e)
{
	auto_(js_free) struct js *v = NULL, *got = NULL;
	if (!c->local && !c->device && !c->module && !c->allocation && !c->tags.n)
		return err_set(e, ERR_USAGE, "nothing to change: no option says what");
	if (remote_open_any(&c->r, e) ||
	    ask(&c->r, c->of, "GET", "", NULL, NULL, &v, e) || check_sas(c, v, e))
		return -1;
	const char *etag = c->etag ? c->etag : js_as_text(js_get(v, "etag"));
	const char *if_match = arena_str(c->r.arena, span_str(etag));
	if (apply(c, v, e) || ask(&c->r, c->of, "PUT", "", v, if_match, &got, e) ||
	    wait_settled(c, &got, e))
		return -1;
	print(&c->r, c->of, got);
	return 0;
}

static int
run_update(
    struct change *c, const struct opt_cmd *cmd, int argc, char **argv, struct err *e)
{
	int at = remote_parse(&c->r, cmd, argc, argv, e);
	int rc = at <= 0 ? at : update(c, e);
	remote_done(&c->r);
	return rc;
}

#define COMMON_ROWS(c)                                                                   \
	{"tag", "NAME=VALUE", OPT_EACH, &(c).tags,                                       \
	    "may be repeated; without a value the tag goes"},                            \
	    {"etag", "ETAG", OPT_TEXT, &(c).etag,                                        \
		"only where it is still this version"},                                  \
	{                                                                                \
		0                                                                        \
	}

static int
hub_update(int argc, char **argv, struct err *e)
{
	struct change c = {.of = SIGN_IN_HUB};
	const struct opt own[] = {{"disable-local-auth", "YES", OPT_TEXT, &c.local,
				      "yes or no: keys of policies are refused"},
	    {"disable-device-sas", "YES", OPT_TEXT, &c.device,
		"yes or no: shared keys of devices are refused"},
	    {"disable-module-sas", "YES", OPT_TEXT, &c.module,
		"yes or no: shared keys of modules are refused"},
	    {"force", NULL, OPT_FLAG, &c.force,
		"refuse device keys though devices are on them"},
	    COMMON_ROWS(c)};
	const struct opt_cmd cmd = {"muster hub update [OPTIONS]",
	    "Changes the switches and tags of a hub; what no option names stays.", own, 0,
	    0};
	return run_update(&c, &cmd, argc, argv, e);
}

static int
dps_update(int argc, char **argv, struct err *e)
{
	struct change c = {.of = SIGN_IN_DPS};
	const struct opt own[] = {{"allocation", "POLICY", OPT_TEXT, &c.allocation,
				      "Hashed, GeoLatency or Static (a muster has it in "
				      "muster.conf)"},
	    COMMON_ROWS(c)};
	const struct opt_cmd cmd = {"muster dps update [OPTIONS]",
	    "Changes the tags and the allocation of a provisioning service; what no "
	    "option\nnames stays.",
	    own, 0, 0};
	return run_update(&c, &cmd, argc, argv, e);
}

/* ---- policies ------------------------------------------------------------------------
 */

static const struct render_column policy_columns[] = {
    {"POLICY", "keyName", RENDER_TEXT, RENDER_CUT},
    {"RIGHTS", "rights", RENDER_TEXT, RENDER_CUT},
    {"KEY", "primaryKey", RENDER_TEXT, RENDER_IF_ANY},
    {"SECOND KEY", "secondaryKey", RENDER_TEXT, RENDER_IF_ANY},
    {NULL, NULL, RENDER_TEXT, 0},
};

/* A copy without keys, unless they are asked for. */
static struct js *
policies_shown(const struct js *list, bool keys)
{
	struct js *shown = js_array();
	for (size_t i = 0; i < js_len(list); i++) {
		struct js *one = js_copy(js_at(list, i));
		if (!keys) {
			js_set(one, "primaryKey", js_null());
			js_set(one, "secondaryKey", js_null());
		}
		js_append(shown, one);
	}
	return shown;
}

static const struct render_column policy_one[] = {
    {"Policy", "keyName", RENDER_TEXT, 0},
    {"Rights", "rights", RENDER_TEXT, 0},
    {"Key", "primaryKey", RENDER_TEXT, 0},
    {"Second key", "secondaryKey", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

/* Two keys beside each other fit no terminal. */
static void
print_policies(const struct remote *r, const struct js *list, bool keys)
{
	if (!keys || r->form != RENDER_TABLE) {
		listing_print(r, policy_columns, list, "policies");
		return;
	}
	for (size_t i = 0; i < js_len(list); i++) {
		printf("%s", i ? "\n" : "");
		render_one(policy_one, RENDER_TABLE, stdout, js_at(list, i));
	}
}

static int
run_policies(
    enum sign_in_plane of, const char *usage, int argc, char **argv, struct err *e)
{
	auto_remote r = {0};
	bool keys = false;
	auto_(js_free) struct js *v = NULL;
	const struct opt own[] = {
	    {"keys", NULL, OPT_FLAG, &keys, "with their keys, which are secret"}, {0}};
	const struct opt_cmd cmd = {usage,
	    "Lists the shared access policies and their rights. It takes the right to "
	    "see\nkeys: an operator who is owner.",
	    own, 0, 0};
	int at = remote_parse(&r, &cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (remote_open_any(&r, e) || ask(&r, of, "POST", "/listkeys", NULL, NULL, &v, e))
		return -1;
	auto_(js_free) struct js *shown = policies_shown(js_get(v, "value"), keys);
	print_policies(&r, shown, keys);
	return 0;
}

static int
hub_policies(int argc, char **argv, struct err *e)
{
	return run_policies(SIGN_IN_HUB, "muster hub policies [OPTIONS]", argc, argv, e);
}

static int
dps_policies(int argc, char **argv, struct err *e)
{
	return run_policies(SIGN_IN_DPS, "muster dps policies [OPTIONS]", argc, argv, e);
}

/* ---- the commands --------------------------------------------------------------------
 */

int
cmd_hub(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"show", "", "its properties and switches", hub_show},
	    {"update", "", "change its switches and tags", hub_update},
	    {"policies", "", "its shared access policies", hub_policies}, {0}};
	return verb_run(
	    "hub", "The hub, as the resource manager knows it.", verbs, argc, argv, e);
}

int
cmd_dps(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"show", "", "its properties and linked hubs", dps_show},
	    {"update", "", "change its tags and allocation", dps_update},
	    {"policies", "", "its shared access policies", dps_policies},
	    {"certificate", "VERB", "its CA certificates: add, prove, remove",
		dps_certificate},
	    {0}};
	return verb_run("dps",
	    "The provisioning service, as the resource manager knows it.", verbs, argc,
	    argv, e);
}
