/*
 * muster registration: who has registered with a provisioning service, by its service API
 * (protocol/service.md 1.2, 1.6).
 */
#include <stdio.h>

#include "cmd/cmd.h"
#include "cmd/listing.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define TOP_MAX 1000000000

struct args {
	struct remote r;
	const char *etag;
	int64_t top;
};

static const struct render_column list_columns[] = {
    {"REGISTRATION", "registrationId", RENDER_TEXT, RENDER_CUT},
    {"STATUS", "status", RENDER_TEXT, 0},
    {"SUBSTATUS", "substatus", RENDER_TEXT, RENDER_IF_ANY | RENDER_EXTRA},
    {"DEVICE", "deviceId", RENDER_TEXT, RENDER_CUT},
    {"HUB", "assignedHub", RENDER_TEXT, RENDER_CUT},
    {"CHANGED", "lastUpdatedDateTimeUtc", RENDER_TIME, 0},
    {"ERROR", "errorMessage", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct render_column columns[] = {
    {"Registration", "registrationId", RENDER_TEXT, 0},
    {"Status", "status", RENDER_TEXT, 0},
    {"Substatus", "substatus", RENDER_TEXT, RENDER_IF_ANY},
    {"Device", "deviceId", RENDER_TEXT, 0},
    {"Hub", "assignedHub", RENDER_TEXT, 0},
    {"Error", "errorCode", RENDER_TEXT, RENDER_IF_ANY},
    {"Message", "errorMessage", RENDER_TEXT, RENDER_IF_ANY},
    {"Payload", "payload", RENDER_TEXT, RENDER_IF_ANY},
    {"Created", "createdDateTimeUtc", RENDER_TIME, 0},
    {"Changed", "lastUpdatedDateTimeUtc", RENDER_TIME, 0},
    {"ETag", "etag", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

static int
list(struct args *a, const char *group, struct err *e)
{
	auto_(js_free) struct js *body = js_object();
	js_set_text(body, "query", "*");
	const struct listing l = {.plane = SIGN_IN_DPS,
	    .method = "POST",
	    .target =
		azure_path(a->r.arena, "/registrations/", group, "/query", AZURE_DPS),
	    .body = body,
	    .what = arena_printf(a->r.arena, "registrations of group %s", group),
	    .cols = list_columns,
	    .top = a->top};
	return listing_run(&a->r, &l, e);
}

static int
registration_list(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"top", "N", OPT_INT, &a.top, "at most so many (default: all)", 1, TOP_MAX},
	    {0}};
	const struct opt_cmd cmd = {"muster registration list GROUP [OPTIONS]",
	    "Lists who has registered by an enrollment group.", own, 1, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a.r, e) ? -1 : list(&a, argv[at], e);
	remote_done(&a.r);
	return rc;
}

/* "GET" or "DELETE" of one. */
static int
ask(struct args *a, const char *id, const char *method, struct js **ret, struct err *e)
{
	const char *etag = a->etag ? a->etag : "*";
	const struct rest_request q = {.method = method,
	    .target = azure_path(a->r.arena, "/registrations/", id, "", AZURE_DPS),
	    .if_match = ret ? NULL : etag,
	    .once = !ret};
	return remote_ask(&a->r, SIGN_IN_DPS, &q,
	    arena_printf(a->r.arena, "registration %s", id), ret, NULL, e);
}

static int
show(struct args *a, const char *id, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	if (ask(a, id, "GET", &v, e))
		return -1;
	render_one(columns, a->r.form, stdout, v);
	return 0;
}

static int
registration_show(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt_cmd cmd = {"muster registration show ID [OPTIONS]",
	    "Shows what became of a registration.", NULL, 1, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a.r, e) ? -1 : show(&a, argv[at], e);
	remote_done(&a.r);
	return rc;
}

static int
delete_id(struct args *a, const char *id, struct err *e)
{
	if (ask(a, id, "DELETE", NULL, e))
		return -1;
	if (a->r.form == RENDER_TABLE)
		printf("registration %s is deleted\n", id);
	return 0;
}

static int
registration_delete(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {"muster registration delete ID [OPTIONS]",
	    "Forgets a registration: the device registers anew. Its identity stays.", own,
	    1, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a.r, e) ? -1 : delete_id(&a, argv[at], e);
	remote_done(&a.r);
	return rc;
}

int
cmd_registration(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"list", "GROUP", "who has registered by a group", registration_list},
	    {"show", "ID", "one in full", registration_show},
	    {"delete", "ID", "forget one", registration_delete}, {0}};
	return verb_run("registration",
	    "Registrations of a provisioning service: which device came, and to which "
	    "hub.",
	    verbs, argc, argv, e);
}
