/*
 * muster hub and muster dps: a hub and a provisioning service as the resource manager
 * knows them (protocol/service.md 3.2, 3.3).
 */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define ARM_DPS "2021-10-15" /* with the bodies that az sends (service.md 0.2) */

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
	struct render *t =
	    render_new(link_columns, RENDER_TABLE, stdout, render_width(stdout));
	for (size_t i = 0; i < js_len(hubs); i++)
		render_row(t, js_at(hubs, i));
	render_free(t);
}

static int
show(struct remote *r, enum sign_in_plane of, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	const char *path;
	bool hub = of == SIGN_IN_HUB;
	if (remote_open_any(r, e) || service_resource(r->service, of, &path, e))
		return -1;
	const struct rest_request q = {.method = "GET",
	    .target = arena_printf(
		r->arena, "%s?api-version=%s", path, hub ? AZURE_ARM : ARM_DPS)};
	if (remote_ask(
		r, SIGN_IN_ARM, &q, hub ? "hub" : "provisioning service", &v, NULL, e))
		return -1;
	render_one(hub ? hub_columns : dps_columns, r->form, stdout, v);
	if (!hub)
		show_links(r, v);
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

int
cmd_hub(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"show", "", "its properties and switches", hub_show}, {0}};
	return verb_run(
	    "hub", "The hub, as the resource manager knows it.", verbs, argc, argv, e);
}

int
cmd_dps(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"show", "", "its properties and linked hubs", dps_show}, {0}};
	return verb_run("dps",
	    "The provisioning service, as the resource manager knows it.", verbs, argc,
	    argv, e);
}
