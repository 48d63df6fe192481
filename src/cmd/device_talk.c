/*
 * What is said to a device by its hub: twin, direct method, cloud-to-device message
 * (protocol/service.md 2.2, 2.6, 2.8).
 */
#include <stdio.h>
#include <string.h>

#include "cmd/device.h"
#include "cmd/doc_arg.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "fleet/azure.h"

#define PAYLOAD_MAX (256 * 1024)
#define WAIT_MAX_S  300
#define SPARE_MS    15000 /* beyond what the hub may wait */
#define HEADERS_MAX 40

struct args {
	struct remote r;
	const char *module, *patch, *set, *etag, *payload;
	const char *file, *message_id, *ack, *expiry, *type;
	struct opt_each props;
	int64_t timeout_s, connect_s;
};

/* "/twins/ID[/modules/MODULE]" + tail */
static const char *
twin_path(struct args *a, const char *id, const char *tail)
{
	auto_buf b = BUF_INIT(2048);
	if (!a->module)
		return azure_path(a->r.arena, "/twins/", id, tail, AZURE_API);
	buf_str(&b, "/twins/");
	uri_encode(&b, span_str(id));
	buf_str(&b, "/modules/");
	return azure_path(a->r.arena, buf_text(&b), a->module, tail, AZURE_API);
}

static const char *
what(struct args *a, const char *id)
{
	if (a->module)
		return arena_printf(a->r.arena, "module %s of %s", a->module, id);
	return arena_printf(a->r.arena, "device %s", id);
}

/* ---- twin ----------------------------------------------------------------------------
 */

static const struct render_column columns[] = {
    {"Device", "deviceId", RENDER_TEXT, 0},
    {"Module", "moduleId", RENDER_TEXT, RENDER_IF_ANY},
    {"Status", "status", RENDER_TEXT, 0},
    {"Authentication", "authenticationType", RENDER_TEXT, 0},
    {"Connection", "connectionState", RENDER_TEXT, 0},
    {"Last seen", "lastActivityTime", RENDER_TIME, 0},
    {"Version", "version", RENDER_TEXT, 0},
    {"ETag", "etag", RENDER_TEXT, 0},
    {NULL, NULL, RENDER_TEXT, 0},
};

static void
show_section(const char *name, const struct js *v)
{
	const struct js *version = js_get(v, "$version");
	printf("\n%s", name);
	if (version)
		printf(" (version %lld)", (long long)js_as_int(version));
	printf("\n");
	render_flat(stdout, v, 2);
}

static void
show_twin(const struct args *a, const struct js *v)
{
	render_one(columns, a->r.form, stdout, v);
	if (a->r.form != RENDER_TABLE)
		return;
	const struct js *properties = js_get(v, "properties");
	show_section("Tags", js_get(v, "tags"));
	show_section("Desired", js_get(properties, "desired"));
	show_section("Reported", js_get(properties, "reported"));
}

/* A document may be a whole twin, as it was shown: of it the hub takes tags and desired.
 */
static int
change_twin(struct args *a, const char *id, struct js **ret, struct err *e)
{
	bool replaces = a->set != NULL;
	auto_(js_free) struct js *doc =
	    doc_arg_json(replaces ? a->set : a->patch, replaces ? "--set" : "--patch", e);
	if (!doc)
		return -1;
	if (!js_is(doc, JS_OBJECT) ||
	    (!js_get(doc, "tags") && !js_get(doc, "properties")))
		return err_set(e, ERR_USAGE,
		    "%s: {\"tags\": {..}, \"properties\": {\"desired\": {..}}} is "
		    "wanted, "
		    "or one of the two",
		    replaces ? "--set" : "--patch");
	const char *etag = a->etag ? a->etag : "*";
	const struct rest_request q = {.method = replaces ? "PUT" : "PATCH",
	    .target = twin_path(a, id, ""),
	    .body = azure_body(a->r.arena, doc),
	    .if_match = arena_printf(a->r.arena, "\"%s\"", etag),
	    .once = a->etag}; /* a second try would find its own first one */
	return remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), ret, NULL, e);
}

static int
twin(struct args *a, const char *id, struct err *e)
{
	auto_(js_free) struct js *v = NULL;
	const struct rest_request q = {.method = "GET", .target = twin_path(a, id, "")};
	if (a->patch && a->set)
		return err_set(
		    e, ERR_USAGE, "--patch merges, --set replaces: one of them");
	int rc = a->patch || a->set
		     ? change_twin(a, id, &v, e)
		     : remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), &v, NULL, e);
	if (rc == 0)
		show_twin(a, v);
	return rc;
}

int
device_talk_twin(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"patch", "DOC", OPT_TEXT, &a.patch,
		"merge this into it; null removes. JSON, a file, or - "},
	    {"set", "DOC", OPT_TEXT, &a.set, "replace its tags and desired properties"},
	    {"module", "ID", OPT_TEXT, &a.module, "of a module of the device"},
	    {"etag", "ETAG", OPT_TEXT, &a.etag, "only where it is still this version"},
	    {0}};
	const struct opt_cmd cmd = {"muster device twin ID [OPTIONS]",
	    "Shows the twin of a device, or changes its tags and desired properties.",
	    own, 1, 1};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = remote_open_any(&a.r, e) ? -1 : twin(&a, argv[at], e);
	remote_done(&a.r);
	return rc;
}

/* ---- method --------------------------------------------------------------------------
 */

static void
show_answer(const struct args *a, const struct js *v)
{
	static const struct render_column answer[] = {
	    {"Status", "status", RENDER_TEXT, 0},
	    {"Payload", "payload", RENDER_TEXT, 0},
	    {NULL, NULL, RENDER_TEXT, 0},
	};
	const struct js *payload = js_get(v, "payload");
	if (a->r.form != RENDER_TABLE) {
		render_one(answer, a->r.form, stdout, v);
		return;
	}
	printf("Status  %lld\n", (long long)js_as_int(js_get(v, "status")));
	if (!payload || js_is(payload, JS_NULL))
		return;
	render_json(stdout, payload, 0);
	printf("\n");
}

static int
method(struct args *a, const char *id, const char *name, struct err *e)
{
	auto_(js_free) struct js *body = js_object(), *v = NULL;
	struct js *payload = NULL;
	if (a->payload) {
		payload = doc_arg_json(a->payload, "--payload", e);
		if (!payload)
			return -1;
	}
	js_set(body, "payload", payload);
	js_set_int(body, "responseTimeoutInSeconds", a->timeout_s);
	js_set_int(body, "connectTimeoutInSeconds", a->connect_s);
	if (js_set_str(body, "methodName", span_str(name), e))
		return -1;
	/* a method may have been carried out though its answer was lost */
	const struct rest_request q = {.method = "POST",
	    .target = twin_path(a, id, "/methods"),
	    .body = azure_body(a->r.arena, body),
	    .once = true};
	a->r.timeout_ms = (a->timeout_s + a->connect_s) * 1000 + SPARE_MS;
	if (remote_open_any(&a->r, e) ||
	    remote_ask(&a->r, SIGN_IN_HUB, &q,
		arena_printf(a->r.arena, "method %s of %s", name, what(a, id)), &v, NULL,
		e))
		return -1;
	show_answer(a, v);
	return 0;
}

int
device_talk_method(int argc, char **argv, struct err *e)
{
	struct args a = {.timeout_s = 30};
	const struct opt own[] = {
	    {"payload", "DOC", OPT_TEXT, &a.payload, "JSON, a file of it, or -"},
	    {"timeout", "SECONDS", OPT_INT, &a.timeout_s,
		"how long the device may take to answer (30)", 5, WAIT_MAX_S},
	    {"connect-timeout", "SECONDS", OPT_INT, &a.connect_s,
		"how long to wait for it to connect (0)", 0, WAIT_MAX_S},
	    {"module", "ID", OPT_TEXT, &a.module, "of a module of the device"}, {0}};
	const struct opt_cmd cmd = {"muster device method ID NAME [OPTIONS]",
	    "Calls a direct method of a connected device and shows its answer.", own, 2,
	    2};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at <= 0 ? at : method(&a, argv[at], argv[at + 1], e);
	remote_done(&a.r);
	return rc;
}

/* ---- message -------------------------------------------------------------------------
 */

struct headers {
	const char *v[HEADERS_MAX + 1];
	size_t n;
};

/* A header is a line: what would end it is no value of one. */
static int
add_header(
    struct args *a, struct headers *h, const char *name, const char *value, struct err *e)
{
	if (!value)
		return 0;
	for (const char *p = value; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return err_set(e, ERR_USAGE,
			    "%s: a control character, which no property may have", name);
	h->v[h->n++] = arena_printf(a->r.arena, "%s: %s", name, value);
	return 0;
}

static int
add_property(struct args *a, struct headers *h, const char *pair, struct err *e)
{
	struct span value = span_str(pair);
	struct span name = span_split(&value, '=');
	bool good = name.len && value.p;
	for (size_t i = 0; i < name.len; i++)
		good &= name.p[i] > ' ' && name.p[i] < 0x7f && name.p[i] != ':';
	if (!good)
		return err_set(e, ERR_USAGE, "--property %s: NAME=VALUE is wanted", pair);
	return add_header(a, h,
	    arena_printf(a->r.arena, "iothub-app-%.*s", SPAN_FMT(name)),
	    arena_str(a->r.arena, value), e);
}

static int
set_headers(struct args *a, const char *id, struct headers *h, struct err *e)
{
	auto_buf to = BUF_INIT(2048);
	buf_str(&to, "/devices/");
	uri_encode(&to, span_str(id));
	buf_str(&to, "/messages/devicebound");
	if (add_header(a, h, "iothub-to", buf_text(&to), e) ||
	    add_header(a, h, "iothub-messageid", a->message_id, e) ||
	    add_header(a, h, "iothub-ack", a->ack, e) ||
	    add_header(a, h, "iothub-expiry", a->expiry, e) ||
	    add_header(a, h, "iothub-contenttype", a->type, e))
		return -1;
	for (int i = 0; i < a->props.n; i++)
		if (add_property(a, h, a->props.v[i], e))
			return -1;
	return 0;
}

static int
send(struct args *a, const char *id, const char *text, struct err *e)
{
	auto_buf body = BUF_INIT(PAYLOAD_MAX);
	struct headers h = {0};
	if ((text != NULL) == (a->file != NULL))
		return err_set(e, ERR_USAGE, "TEXT or --file is wanted");
	if (text)
		buf_str(&body, text);
	if ((a->file && doc_arg_file(a->file, &body, e)) ||
	    buf_check(&body, "message", e) || set_headers(a, id, &h, e) ||
	    remote_open_any(&a->r, e))
		return -1;
	/* service.md 2.8: service clients send over AMQP alone */
	if (service_kind(a->r.service) == TARGETS_AZURE)
		return err_set(e, ERR_UNSUPPORTED,
		    "%s: Azure takes messages over AMQP alone, which muster does not "
		    "speak yet: az iot device c2d-message send does",
		    service_name(a->r.service));
	const struct rest_request q = {.method = "POST",
	    .target = "/messages/devicebound?api-version=" AZURE_API,
	    .body = body.p ? buf_span(&body) : span_str(""),
	    .content_type = "application/octet-stream",
	    .headers = h.v,
	    .once = true};
	if (remote_ask(&a->r, SIGN_IN_HUB, &q, what(a, id), NULL, NULL, e))
		return -1;
	if (a->r.form == RENDER_TABLE)
		printf("sent to %s: %zu bytes\n", id, body.len);
	return 0;
}

int
device_talk_send(int argc, char **argv, struct err *e)
{
	struct args a = {0};
	const struct opt own[] = {
	    {"file", "FILE", OPT_TEXT, &a.file, "what is in it, instead of TEXT; or -"},
	    {"property", "NAME=VALUE", OPT_EACH, &a.props,
		"of the application; may be repeated"},
	    {"message-id", "ID", OPT_TEXT, &a.message_id, "for the feedback on it"},
	    {"ack", "WHICH", OPT_TEXT, &a.ack,
		"feedback: none (default), positive, negative, full"},
	    {"expiry", "TIME", OPT_TEXT, &a.expiry,
		"when it is no longer good, ISO 8601 (default: in an hour)"},
	    {"content-type", "TYPE", OPT_TEXT, &a.type, "e.g. application/json"}, {0}};
	const struct opt_cmd cmd = {"muster device send ID [TEXT] [OPTIONS]",
	    "Sends a device a message, which waits for it where it is not connected.",
	    own, 1, 2};
	int at = remote_parse(&a.r, &cmd, argc, argv, e);
	int rc = at;
	if (at > 0)
		rc = send(&a, argv[at], at + 1 < argc ? argv[at + 1] : NULL, e);
	remote_done(&a.r);
	return rc;
}
