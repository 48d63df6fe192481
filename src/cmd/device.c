/*
 * muster device: identities of a hub, by its service API (protocol/service.md 2.2, 2.3,
 * 2.5).
 */
#include <stdio.h>
#include <string.h>

#include "base/hex.h"
#include "cmd/cmd.h"
#include "cmd/device.h"
#include "cmd/listing.h"
#include "cmd/verb.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "fleet/azure.h"
#include "io/file.h"

#define TOP_MAX   1000000000
#define THUMB_MAX 64

struct args {
	struct remote r;
	const char *where, *auth, *thumb, *second, *cert, *edge, *reason, *etag;
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

/* openssl writes colons between the bytes, and the portal takes them away. */
static int
put_thumb(
    struct js *o, const char *key, const char *text, const char *option, struct err *e)
{
	char hex[THUMB_MAX + 1];
	size_t n = 0;
	for (const char *p = text; p && *p; p++) {
		if (*p == ':')
			continue;
		if (n == THUMB_MAX || !strchr("0123456789abcdefABCDEF", *p))
			return err_set(e, ERR_USAGE,
			    "%s: 40 (SHA-1) or 64 (SHA-256) hex digits are wanted",
			    option);
		hex[n++] = *p;
	}
	hex[n] = '\0';
	if (text && n != 40 && n != THUMB_MAX)
		return err_set(e, ERR_USAGE,
		    "%s: 40 (SHA-1) or 64 (SHA-256) hex digits are wanted", option);
	js_set_text(o, key, text ? hex : NULL);
	return 0;
}

/* The SHA-256 of the first certificate of a file: the leaf. */
static int
thumb_of_file(struct args *a, const char *path, const char **ret, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX), hex = BUF_INIT(THUMB_MAX + 1);
	struct cert_list l = {0};
	if (file_read(path, &text, e) || cert_list_parse(buf_span(&text), path, &l, e))
		return -1;
	hex_put(&hex, span_of(l.v[0]->sha256, sizeof(l.v[0]->sha256)));
	cert_list_done(&l);
	*ret = arena_str(a->r.arena, buf_span(&hex));
	return 0;
}

static const char *
auth_type(const char *word)
{
	static const char *const types[][2] = {{"sas", "sas"},
	    {"selfSigned", "selfSigned"}, {"ca", "certificateAuthority"},
	    {"certificateAuthority", "certificateAuthority"}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(word, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

/* NULL with an error where the options do not fit each other. */
static struct js *
authentication(struct args *a, const char *type, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	bool by_thumb = strcmp(type, "selfSigned") == 0;
	if (a->cert && a->thumb) {
		err_set(e, ERR_USAGE,
		    "--device-cert gives the thumbprint: no --thumbprint too");
		return NULL;
	}
	if (a->cert && thumb_of_file(a, a->cert, &a->thumb, e))
		return NULL;
	if (by_thumb != (a->thumb != NULL) || (a->second && !by_thumb)) {
		err_set(e, ERR_USAGE,
		    by_thumb
			? "--auth selfSigned wants --thumbprint or --device-cert"
			: "--thumbprint, --second-thumbprint and --device-cert are for "
			  "--auth selfSigned");
		return NULL;
	}
	js_set_text(o, "type", type);
	if (!by_thumb)
		return TAKE(o);
	struct js *thumbs = js_object();
	js_set(o, "x509Thumbprint", thumbs);
	if (put_thumb(thumbs, "primaryThumbprint", a->thumb, "--thumbprint", e) ||
	    put_thumb(thumbs, "secondaryThumbprint", a->second, "--second-thumbprint", e))
		return NULL;
	return TAKE(o);
}

static int
set_edge(struct js *v, const char *word, struct err *e)
{
	struct js *capabilities = js_object();
	js_set(v, "capabilities", capabilities);
	if (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0)
		return err_set(e, ERR_USAGE, "--edge %s: yes or no", word);
	js_set_bool(capabilities, "iotEdge", strcmp(word, "yes") == 0);
	return 0;
}

/* What the options say, over an identity. */
static int
apply(struct args *a, struct js *v, struct err *e)
{
	if (a->auth || a->thumb || a->cert || a->second) {
		const char *word = a->auth ? a->auth : azure_auth_type(v);
		const char *type = auth_type(word);
		if (!type)
			return err_set(
			    e, ERR_USAGE, "--auth %s: sas, selfSigned or ca", word);
		struct js *auth = authentication(a, type, e);
		if (!auth)
			return -1;
		js_set(v, "authentication", auth);
	}
	if (a->reason && js_set_str(v, "statusReason", span_str(a->reason), e))
		return err_wrap(e, "--reason");
	return a->edge ? set_edge(v, a->edge, e) : 0;
}

static int
put(struct args *a, const char *id, const struct js *v, const char *if_match,
    struct err *e)
{
	auto_(js_free) struct js *got = NULL;
	struct rest_request q;
	azure_device_put(a->r.arena, id, v, !if_match, &q);
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
	auto_(js_free) struct js *v = js_object();
	a->auth = a->auth ? a->auth : "sas";
	js_set_text(v, "status", a->disabled ? "disabled" : "enabled");
	if (js_set_str(v, "deviceId", span_str(id), e) || apply(a, v, e))
		return -1;
	return put(a, id, v, NULL, e);
}

static int
device_create(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"auth", "TYPE", OPT_TEXT, &a.auth,
		"sas (default; the hub makes the keys), selfSigned, ca"},
	    {"thumbprint", "HEX", OPT_TEXT, &a.thumb,
		"selfSigned: of its certificate, SHA-256 or SHA-1"},
	    {"second-thumbprint", "HEX", OPT_TEXT, &a.second,
		"selfSigned: of its next certificate"},
	    {"device-cert", "FILE", OPT_TEXT, &a.cert,
		"selfSigned: its certificate, PEM, instead of the thumbprint"},
	    {"edge", "YES", OPT_TEXT, &a.edge, "yes: an IoT Edge device"},
	    {"disabled", NULL, OPT_FLAG, &a.disabled, "it may not connect yet"},
	    {"reason", "TEXT", OPT_TEXT, &a.reason, "of its status"},
	    {"keys", NULL, OPT_FLAG, &a.keys, "show its shared keys, which are secret"},
	    {0}};
	const struct opt_cmd cmd = {"muster device create ID [OPTIONS]",
	    "Makes an identity. One that is there is left alone: exit status 5.", own, 1,
	    1};
	int rc;
	const char *id = open_one(&a, &cmd, argc, argv, &rc, e);
	if (id)
		rc = create(&a, id, e);
	remote_done(&a.r);
	return rc;
}

/* An ETag as headers have it. */
static const char *
quoted(struct args *a, const char *etag)
{
	return arena_printf(a->r.arena, "\"%s\"", etag);
}

/* The identity is put back as it was read, but for what was asked: who changed it
 * meanwhile is not overwritten. status NULL: as it is. */
static int
update(struct args *a, const char *id, const char *status, struct err *e)
{
	auto_(js_free) struct js *was = NULL;
	if (get(a, id, &was, e))
		return -1;
	auto_(js_free) struct js *v = azure_identity_restore(was);
	if (apply(a, v, e))
		return -1;
	if (status)
		js_set_text(v, "status", status);
	const char *etag = a->etag ? a->etag : js_as_text(js_get(was, "etag"));
	return put(a, id, v, quoted(a, etag), e);
}

static int
device_update(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"auth", "TYPE", OPT_TEXT, &a.auth, "sas, selfSigned, ca"},
	    {"thumbprint", "HEX", OPT_TEXT, &a.thumb,
		"selfSigned: of its certificate, SHA-256 or SHA-1"},
	    {"second-thumbprint", "HEX", OPT_TEXT, &a.second,
		"selfSigned: of its next certificate"},
	    {"device-cert", "FILE", OPT_TEXT, &a.cert,
		"selfSigned: its certificate, PEM, instead of the thumbprint"},
	    {"edge", "YES", OPT_TEXT, &a.edge, "yes or no: an IoT Edge device"},
	    {"reason", "TEXT", OPT_TEXT, &a.reason, "of its status"},
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {"keys", NULL, OPT_FLAG, &a.keys, "show its shared keys, which are secret"},
	    {0}};
	const struct opt_cmd cmd = {"muster device update ID [OPTIONS]",
	    "Changes an identity; what no option names stays.", own, 1, 1};
	int rc;
	const char *id = open_one(&a, &cmd, argc, argv, &rc, e);
	if (id)
		rc = update(&a, id, NULL, e);
	remote_done(&a.r);
	return rc;
}

static int
set_status(int argc, char **argv, const char *status, struct err *e)
{
	struct args a = {0};
	bool enables = strcmp(status, "enabled") == 0;
	const struct opt own[] = {
	    {"reason", "TEXT", OPT_TEXT, &a.reason, "of its status"},
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
	if (id && !a.reason)
		a.reason = "";
	if (id)
		rc = update(&a, id, status, e);
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
	    {"twin", "ID", "show its twin, or change it", device_talk_twin},
	    {"method", "ID NAME", "call a method of it", device_talk_method},
	    {"send", "ID [TEXT]", "send it a message", device_talk_send}, {0}};
	return verb_run("device",
	    "The devices of a hub: its identities, their twins, and "
	    "what is said to them.",
	    verbs, argc, argv, e);
}
