/*
 * muster device: identities of a hub, by its service API (protocol/service.md 2.2, 2.3,
 * 2.5).
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/device.h"
#include "cmd/device_doc.h"
#include "cmd/listing.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "fleet/azure.h"

#define TOP_MAX  1000000000
#define DOC_MORE 4 /* options that creating or changing has alone */

struct args {
	struct remote r;
	struct device_doc doc;
	const char *where, *etag;
	int64_t top;
	bool keys, disabled;
};

/* Twins, which is what a query's rows are (protocol/clients.md fact 15). */
static const struct render_column list_columns[] = {
    {"DEVICE", "deviceId", RENDER_TEXT, RENDER_CUT},
    {"STATUS", "status", RENDER_TEXT, 0},
    {"AUTH", "authenticationType", RENDER_TEXT, 0},
    {"CONNECTION", "connectionState", RENDER_TEXT, 0},
    {"LAST SEEN", "lastActivityTime", RENDER_TIME, 0},
    {"C2D", "cloudToDeviceMessageCount", RENDER_TEXT, RENDER_EXTRA},
    {"REASON", "statusReason", RENDER_TEXT, RENDER_IF_ANY | RENDER_CUT},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const struct render_column columns[] = {
    {"Device", "deviceId", RENDER_TEXT, 0},
    {"Status", "status", RENDER_TEXT, 0},
    {"Reason", "statusReason", RENDER_TEXT, RENDER_IF_ANY},
    {"Status since", "statusUpdatedTime", RENDER_TIME, 0},
    {"Authentication", "authentication.type", RENDER_TEXT, 0},
    {"Thumbprint", "authentication.x509Thumbprint.primaryThumbprint", RENDER_TEXT,
	RENDER_IF_ANY},
    {"Second thumbprint", "authentication.x509Thumbprint.secondaryThumbprint",
	RENDER_TEXT, RENDER_IF_ANY},
    {"Key", "authentication.symmetricKey.primaryKey", RENDER_TEXT, RENDER_IF_ANY},
    {"Second key", "authentication.symmetricKey.secondaryKey", RENDER_TEXT,
	RENDER_IF_ANY},
    {"Connection", "connectionState", RENDER_TEXT, 0},
    {"Connection since", "connectionStateUpdatedTime", RENDER_TIME, 0},
    {"Last seen", "lastActivityTime", RENDER_TIME, 0},
    {"C2D waiting", "cloudToDeviceMessageCount", RENDER_TEXT, 0},
    {"IoT Edge", "capabilities.iotEdge", RENDER_TEXT, 0},
    {"Scope", "deviceScope", RENDER_TEXT, RENDER_IF_ANY},
    {"Generation", "generationId", RENDER_TEXT, 0},
    {"ETag", "etag", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

static const char *
what(struct args *a, const char *id)
{
	return arena_printf(a->r.arena, "device %s", id);
}

/* Keys are shown where they are asked for, and nowhere else. */
static void
show(const struct args *a, struct js *identity)
{
	struct js *keys =
	    js_get_mut(js_get_mut(identity, "authentication"), "symmetricKey");
	if (keys && !a->keys) {
		js_set(keys, "primaryKey", js_null());
		js_set(keys, "secondaryKey", js_null());
	}
	render_one(columns, a->r.form, stdout, identity);
}

/* Options, then one argument: the device. NULL and *ret_status where that was all. */
static const char *
open_one(struct args *a, const struct opt_cmd *cmd, int argc, char **argv,
    int *ret_status, struct err *e)
{
	int at = remote_parse(&a->r, cmd, argc, argv, e);
	*ret_status = at;
	if (at <= 0)
		return NULL;
	*ret_status = -1;
	return remote_open_any(&a->r, e) ? NULL : argv[at];
}

/* ---- list and show -------------------------------------------------------------------
 */

/* cols NULL: those of the first row. */
static int
query(struct args *a, struct span sql, const struct render_column *cols, struct err *e)
{
	auto_(js_free) struct js *body = js_object();
	if (js_set_str(body, "query", sql, e) || remote_open_any(&a->r, e))
		return -1;
	const struct listing l = {.plane = SIGN_IN_HUB,
	    .method = "POST",
	    .target = "/devices/query?api-version=" AZURE_API,
	    .body = body,
	    .what = cols ? "devices" : "rows",
	    .cols = cols,
	    .top = a->top};
	return listing_run(&a->r, &l, e);
}

static int
list(struct args *a, struct err *e)
{
	auto_buf sql = BUF_INIT(16384);
	buf_printf(&sql, "select * from devices%s%s", a->where ? " where " : "",
	    a->where ? a->where : "");
	if (buf_check(&sql, "--where", e))
		return -1;
	return query(a, buf_span(&sql), list_columns, e);
}

static int
device_list_(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"where", "CONDITION", OPT_TEXT, &a.where,
		"those for which it holds, in the hub's query language"},
	    {"top", "N", OPT_INT, &a.top, "at most so many (default: all)", 1, TOP_MAX},
	    {0}};
	const struct opt_cmd cmd = {"muster device list [OPTIONS]",
	    "Lists the devices of a hub, in its own order.", own, 0, 0};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at <= 0 ? at : list(&a, e);
	remote_done(&a.r);
	return rc;
}

static int
device_query(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {{"top", "N", OPT_INT, &a.top,
				      "at most so many rows (default: all)", 1, TOP_MAX},
	    {0}};
	const struct opt_cmd cmd = {"muster device query QUERY [OPTIONS]",
	    "Shows what the hub answers to a query. A table and TSV have the members of "
	    "the\nfirst row.",
	    own, 1, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at <= 0 ? at : query(&a, span_str(argv[at]), NULL, e);
	remote_done(&a.r);
	return rc;
}

static int
get(struct args *a, const char *id, struct js **ret, struct err *e)
{
	struct rest_request q;
	azure_device_get(a->r.arena, id, &q);
	return remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), ret, NULL, e);
}

static int
device_show(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	auto_(js_free) struct js *v = NULL;
	const struct opt own[] = {
	    {"keys", NULL, OPT_FLAG, &a.keys, "with its shared keys, which are secret"},
	    {0}};
	const struct opt_cmd cmd = {
	    "muster device show ID [OPTIONS]", "Shows an identity.", own, 1, 1};
	int rc;
	const char *id = open_one(&a, &cmd, argc, argv, &rc, e);
	if (id)
		rc = get(&a, id, &v, e);
	if (v)
		show(&a, v);
	remote_done(&a.r);
	return rc;
}

/* ---- create and update ---------------------------------------------------------------
 */

static int
put(struct args *a, const char *id, const struct js *v, const char *if_match,
    struct err *e)
{
	auto_(js_free) struct js *got = NULL;
	struct rest_request q;
	azure_device_put(a->r.arena, id, v, NULL, &q);
	q.if_match = if_match;
	q.once = true; /* a second try would find its own first one */
	if (remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), &got, NULL, e))
		return -1;
	show(a, got);
	return 0;
}

static int
create(struct args *a, const char *id, struct err *e)
{
	enum device_doc_keys keys;
	auto_(js_free) struct js *v = js_object();
	a->doc.auth = a->doc.auth ? a->doc.auth : "sas";
	js_set_text(v, "status", a->disabled ? "disabled" : "enabled");
	if (js_set_str(v, "deviceId", span_str(id), e) ||
	    device_doc_apply(&a->doc, v, a->r.arena, &keys, e))
		return -1;
	return put(a, id, v, NULL, e);
}

/* A verb about one device, with its own options behind those of documents. */
static int
run_doc(struct args *a, struct opt_cmd *cmd, const struct opt *more,
    int (*run)(struct args *a, const char *id, struct err *e), int argc, char **argv,
    struct err *e)
{
	struct opt own[DEVICE_DOC_ROWS + DOC_MORE + 1] = {{0}};
	size_t n = device_doc_rows(&a->doc, own);
	int rc;
	for (size_t i = 0; i < DOC_MORE && more[i].name; i++)
		own[n++] = more[i];
	cmd->opts = own;
	const char *id = open_one(a, cmd, argc, argv, &rc, e);
	if (id)
		rc = run(a, id, e);
	remote_done(&a->r);
	return rc;
}

static int
device_create(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt more[] = {
	    {"disabled", NULL, OPT_FLAG, &a.disabled, "it may not connect yet"},
	    {"keys", NULL, OPT_FLAG, &a.keys, "show its shared keys, which are secret"},
	    {0}};
	struct opt_cmd cmd = {"muster device create ID [OPTIONS]",
	    "Makes an identity. One that is there is left alone: exit status 5.", NULL, 1,
	    1};
	return run_doc(&a, &cmd, more, create, argc, argv, e);
}

/* An ETag as headers have it. */
static const char *
quoted(struct args *a, const char *etag)
{
	return arena_printf(a->r.arena, "\"%s\"", etag);
}

/* Keys that come or stay are told of: on standard error, as output is for programs. */
static void
tell_keys(enum device_doc_keys keys, const char *id)
{
	if (keys == DEVICE_DOC_KEYS_STAY)
		fprintf(stderr,
		    "device %s is on SAS already, its keys stay; --new-keys makes "
		    "others\n",
		    id);
	if (keys == DEVICE_DOC_KEYS_MADE)
		fprintf(stderr, "device %s has new keys; show --keys tells them\n", id);
}

/* The identity is put back as it was read, but for what was asked: who changed it
 * meanwhile is not overwritten. status NULL: as it is. */
static int
change(struct args *a, const char *id, const char *status, struct err *e)
{
	enum device_doc_keys keys;
	auto_(js_free) struct js *was = NULL;
	if (get(a, id, &was, e))
		return -1;
	auto_(js_free) struct js *v = azure_identity_restore(was);
	if (device_doc_apply(&a->doc, v, a->r.arena, &keys, e))
		return -1;
	if (status)
		js_set_text(v, "status", status);
	const char *etag = a->etag ? a->etag : js_as_text(js_get(was, "etag"));
	if (put(a, id, v, quoted(a, etag), e))
		return -1;
	tell_keys(keys, id);
	return 0;
}

static int
update(struct args *a, const char *id, struct err *e)
{
	return change(a, id, NULL, e);
}

static int
device_update(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt more[] = {
	    {"new-keys", NULL, OPT_FLAG, &a.doc.new_keys,
		"sas: the hub makes new keys; the old ones end at once"},
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {"keys", NULL, OPT_FLAG, &a.keys, "show its shared keys, which are secret"},
	    {0}};
	struct opt_cmd cmd = {"muster device update ID [OPTIONS]",
	    "Changes an identity; what no option names stays.", NULL, 1, 1};
	return run_doc(&a, &cmd, more, update, argc, argv, e);
}

static int
set_status(int argc, char **argv, const char *status, struct err *e)
{
	struct args a = {0};
	bool enables = strcmp(status, "enabled") == 0;
	const struct opt own[] = {
	    {"reason", "TEXT", OPT_TEXT, &a.doc.reason, "of its status"},
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {enables ? "muster device enable ID [OPTIONS]"
					    : "muster device disable ID [OPTIONS]",
	    enables ? "Lets a device connect."
		    : "Shuts a device out: its connection ends, its twin and messages "
		      "stay.\nmuster revoke does more: its certificates, its enrollment.",
	    own, 1, 1};
	int rc;
	const char *id = open_one(&a, &cmd, argc, argv, &rc, e);
	if (id && !a.doc.reason)
		a.doc.reason = "";
	if (id)
		rc = change(&a, id, status, e);
	remote_done(&a.r);
	return rc;
}

static int
device_enable(int argc, char **argv, struct err *e)
{
	return set_status(argc, argv, "enabled", e);
}

static int
device_disable(int argc, char **argv, struct err *e)
{
	return set_status(argc, argv, "disabled", e);
}

static int delete (struct args *a, const char *id, struct err *e)
{
	struct rest_request q;
	azure_device_delete(a->r.arena, id, &q);
	if (a->etag)
		q.if_match = quoted(a, a->etag);
	q.once = true; /* the same */
	if (remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), NULL, NULL, e))
		return -1;
	if (a->r.form == RENDER_TABLE)
		printf("device %s is deleted\n", id);
	return 0;
}

static int
device_delete(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {"muster device delete ID [OPTIONS]",
	    "Deletes an identity with its twin, its modules and its messages.", own, 1,
	    1};
	int rc;
	const char *id = open_one(&a, &cmd, argc, argv, &rc, e);
	if (id)
		rc = delete (&a, id, e);
	remote_done(&a.r);
	return rc;
}

int
cmd_device(int argc, char **argv, struct err *e)
{
	static const struct verb verbs[] = {
	    {"list", "", "the devices of the hub, or those of a query", device_list_},
	    {"query", "QUERY", "what the hub answers to a query", device_query},
	    {"show", "ID", "one in full", device_show},
	    {"create", "ID", "make one", device_create},
	    {"update", "ID", "change what it is known by", device_update},
	    {"enable", "ID", "let it connect", device_enable},
	    {"disable", "ID", "shut it out", device_disable},
	    {"delete", "ID", "remove it", device_delete},
	    {"export", "", "identities and twins, a line each", device_export},
	    {"import", "FILE", "make or change those of a file", device_import},
	    {"twin", "ID", "show its twin, or change it", device_talk_twin},
	    {"method", "ID NAME", "call a method of it", device_talk_method},
	    {"send", "ID [TEXT]", "send it a message", device_talk_send}, {0}};
	return verb_run("device",
	    "The devices of a hub: its identities, their twins, and "
	    "what is said to them.",
	    verbs, argc, argv, e);
}
