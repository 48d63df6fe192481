/*
 * Requests to Azure's service APIs and readers of their answers.
 */
#include "fleet/azure.h"

#include <stdio.h>

#include "base/base64.h"
#include "codec/js.h"
#include "codec/uri.h"

#define DEPTH        32
#define LOG_LINE_MAX (1024 * 1024)
#define LINE_DEPTH   72 /* of a log: around a device's message of 64 levels */

/* ---- making requests ---- */

static const char *
encoded(struct arena *a, const char *text)
{
	auto_buf b = BUF_INIT(4096);
	uri_encode(&b, span_str(text));
	return arena_str(a, buf_span(&b));
}

struct span
azure_body(struct arena *a, const struct js *v)
{
	auto_buf b = BUF_INIT(1024 * 1024);
	b.secret = true;
	js_dump(v, JS_AS_BUILT, &b);
	return arena_span(a, buf_span(&b));
}

const char *
azure_path(struct arena *a, const char *path, const char *id, const char *tail,
    const char *version)
{
	return arena_printf(
	    a, "%s%s%s?api-version=%s", path, encoded(a, id), tail, version);
}

void
azure_device_get(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = azure_path(a, "/devices/", id, "", AZURE_API),
	};
}

void
azure_device_put(struct arena *a, const char *id, const struct js *identity,
    const char *etag, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "PUT",
	    .target = azure_path(a, "/devices/", id, "", AZURE_API),
	    .body = azure_body(a, identity),
	    .if_match = etag ? arena_printf(a, "\"%s\"", etag) : NULL,
	};
}

void
azure_device_delete(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "DELETE",
	    .target = azure_path(a, "/devices/", id, "", AZURE_API),
	    .if_match = "\"*\"",
	};
}

static void
query(
    struct arena *a, const char *text, const char *continuation, struct rest_request *ret)
{
	auto_(js_free) struct js *body = js_object();
	js_set_text(body, "query", text);
	*ret = (struct rest_request){
	    .method = "POST",
	    .target = "/devices/query?api-version=" AZURE_API,
	    .body = azure_body(a, body),
	    .continuation = continuation[0] ? arena_str(a, span_str(continuation)) : NULL,
	    .max_items = AZURE_PAGE,
	};
}

void
azure_device_query(struct arena *a, const char *continuation, struct rest_request *ret)
{
	query(a, "select * from devices", continuation, ret);
}

void
azure_module_query(struct arena *a, const char *continuation, struct rest_request *ret)
{
	query(a, "select * from devices.modules", continuation, ret);
}

void
azure_tagged_query(struct arena *a, const char *tag, const char *value, const char *auth,
    const char *continuation, struct rest_request *ret)
{
	query(a,
	    arena_printf(a,
		"select * from devices where tags.%s = '%s' and authenticationType = "
		"'%s'",
		tag, value, auth),
	    continuation, ret);
}

void
azure_twin_get(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = azure_path(a, "/twins/", id, "", AZURE_API),
	};
}

void
azure_twin_patch(
    struct arena *a, const char *id, const struct js *tags, struct rest_request *ret)
{
	auto_(js_free) struct js *body = js_object();
	js_set(body, "tags", js_copy(tags));
	*ret = (struct rest_request){
	    .method = "PATCH",
	    .target = azure_path(a, "/twins/", id, "", AZURE_API),
	    .body = azure_body(a, body),
	    .if_match = "\"*\"",
	};
}

void
azure_group_get(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = azure_path(a, "/enrollmentGroups/", id, "", AZURE_DPS),
	};
}

void
azure_group_put(
    struct arena *a, const char *id, const struct js *group, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "PUT",
	    .target = azure_path(a, "/enrollmentGroups/", id, "", AZURE_DPS),
	    .body = azure_body(a, group),
	};
}

void
azure_group_attestation(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "POST",
	    .target = azure_path(
		a, "/enrollmentGroups/", id, "/attestationmechanism", AZURE_DPS),
	};
}

static struct js *
group(const char *id, struct js *attestation)
{
	struct js *g = js_object();
	js_set_text(g, "enrollmentGroupId", id);
	js_set(g, "attestation", attestation);
	js_set_text(g, "provisioningStatus", "enabled");
	js_set_text(g, "allocationPolicy", "hashed");
	/* the device keeps its hub and its twin */
	struct js *policy = js_object();
	js_set_bool(policy, "updateHubAssignment", true);
	js_set_bool(policy, "migrateDeviceData", true);
	js_set(g, "reprovisionPolicy", policy);
	return g;
}

struct js *
azure_group_x509(const char *id, const char *ca_pem)
{
	struct js *primary = js_object();
	js_set_text(primary, "certificate", ca_pem);
	struct js *signing = js_object();
	js_set(signing, "primary", primary);
	struct js *x509 = js_object();
	js_set(x509, "signingCertificates", signing);
	struct js *attestation = js_object();
	js_set_text(attestation, "type", "x509");
	js_set(attestation, "x509", x509);
	return group(id, attestation);
}

struct js *
azure_group_symmetric(const char *id, const char *primary, const char *secondary)
{
	struct js *keys = js_object();
	js_set_text(keys, "primaryKey", primary);
	js_set_text(keys, "secondaryKey", secondary);
	struct js *attestation = js_object();
	js_set_text(attestation, "type", "symmetricKey");
	js_set(attestation, "symmetricKey", keys);
	return group(id, attestation);
}

void
azure_registration_delete(struct arena *a, const char *id, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "DELETE",
	    .target = azure_path(a, "/registrations/", id, "", AZURE_DPS),
	};
}

void
azure_est_cacerts(struct arena *a, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = "/.well-known/est/cacerts",
	};
}

void
azure_est_enroll(struct arena *a, struct span csr_der, struct rest_request *ret)
{
	auto_buf b = BUF_INIT(64 * 1024);
	base64_put(&b, csr_der);
	*ret = (struct rest_request){
	    .method = "POST",
	    .target = "/.well-known/est/simpleenroll",
	    .body = arena_span(a, buf_span(&b)),
	    .content_type = "application/pkcs10",
	    .accept = "application/pkcs7-mime",
	};
}

void
azure_hub_get(struct arena *a, const char *resource, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = arena_printf(a, "%s?api-version=" AZURE_ARM, resource),
	};
}

void
azure_dps_get(struct arena *a, const char *resource, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = arena_printf(a, "%s?api-version=" AZURE_ARM_DPS, resource),
	};
}

void
azure_hub_put(
    struct arena *a, const char *resource, const struct js *hub, struct rest_request *ret)
{
	const char *etag = js_as_text(js_get(hub, "etag"));
	*ret = (struct rest_request){
	    .method = "PUT",
	    .target = arena_printf(a, "%s?api-version=" AZURE_ARM, resource),
	    .body = azure_body(a, hub),
	    .if_match = etag[0] ? arena_str(a, span_str(etag)) : NULL,
	};
}

void
azure_hub_keys(struct arena *a, const char *resource, struct rest_request *ret)
{
	*ret = (struct rest_request){
	    .method = "POST",
	    .target = arena_printf(a, "%s/listkeys?api-version=" AZURE_ARM, resource),
	};
}

static void
parameter(struct buf *b, const char *key, const char *value)
{
	if (!value || !value[0])
		return;
	buf_printf(b, "&%s=", key);
	uri_encode(b, span_str(value));
}

static void
log_request(struct arena *a, const char *path, const struct azure_log_filter *f,
    struct rest_request *ret)
{
	auto_buf b = BUF_INIT(4096);
	buf_printf(&b, "%s?api-version=" AZURE_API "&afterSeq=%lld", path,
	    (long long)f->after_seq);
	if (f->since_ms)
		buf_printf(&b, "&sinceMs=%lld", (long long)f->since_ms);
	if (f->limit)
		buf_printf(&b, "&limit=%lld", (long long)f->limit);
	parameter(&b, "deviceId", f->device_id);
	parameter(&b, "thumbprint", f->thumb);
	parameter(&b, "what", f->what);
	parameter(&b, "authType", f->auth);
	parameter(&b, "plane", f->plane);
	*ret = (struct rest_request){
	    .method = "GET",
	    .target = arena_str(a, buf_span(&b)),
	};
}

void
azure_events(struct arena *a, const struct azure_log_filter *f, struct rest_request *ret)
{
	log_request(a, "/muster/events", f, ret);
}

void
azure_connections(
    struct arena *a, const struct azure_log_filter *f, struct rest_request *ret)
{
	log_request(a, "/muster/connections", f, ret);
}

/* ---- reading answers ---- */

static const struct {
	int status;
	enum err_code code;
} statuses[] = {
    {400, ERR_PARSE},
    {401, ERR_DENIED},
    {403, ERR_FORBIDDEN},
    {404, ERR_NOT_FOUND},
    {409, ERR_EXISTS},
    {412, ERR_CONFLICT},
    {429, ERR_BUSY},
    {501, ERR_UNSUPPORTED},
    {503, ERR_UNAVAILABLE},
    {504, ERR_TIMEOUT},
    {507, ERR_FULL},
};

/* The server's own words: DPS says "message", the hub "Message", ARM error.message. */
static const char *
words(const struct js *v)
{
	const char *text = js_as_text(js_get(v, "message"));
	if (!text[0])
		text = js_as_text(js_get(v, "Message"));
	if (!text[0])
		text = js_as_text(js_get(js_get(v, "error"), "message"));
	return text;
}

/* The hub's second shape: a document in the text (service.md 2.9). */
static const char *
inner_words(const char *text, struct js **ret_owner)
{
	struct err ignored;
	*ret_owner =
	    text[0] == '{' ? js_parse(span_str(text), 65536, DEPTH, &ignored) : NULL;
	const char *said = js_as_text(js_get(*ret_owner, "message"));
	return said[0] ? said : text;
}

/* They go to a terminal: printable ASCII, cut. */
static void
keep_words(const char *said, char *out, size_t size)
{
	size_t n = 0;
	for (; said[n] && n + 1 < size; n++)
		out[n] = said[n] >= ' ' && said[n] < 0x7f ? said[n] : '?';
	out[n] = '\0';
}

/* "ErrorCode:DeviceNotFound;no device d1" (service.md 2.9) as "DeviceNotFound: no device
 * d1". */
static const char *
without_label(char *said)
{
	static const char label[] = "ErrorCode:";
	char *end = strchr(said, ';');
	if (strncmp(said, label, sizeof(label) - 1) != 0 || !end)
		return said;
	char *name = said + sizeof(label) - 1;
	size_t len = (size_t)(end - name);
	memmove(said, name, len);
	memcpy(said + len, ": ", 2);
	memmove(said + len + 2, end + 1, strlen(end + 1) + 1);
	return said;
}

int
azure_check(const struct rest_response *r, const char *what, struct err *e)
{
	if (r->status >= 200 && r->status <= 299)
		return 0;
	enum err_code code = ERR_INTERNAL;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == r->status)
			code = statuses[i].code;
	struct err why;
	char text[400];
	auto_(js_free) struct js *v = js_parse(r->body, 65536, DEPTH, &why);
	auto_(js_free) struct js *inner = NULL;
	keep_words(inner_words(words(v), &inner), text, sizeof(text));
	const char *said = without_label(text);
	if (strstr(said, "GateNotPassed")) /* muster's own (tbl/wire_error.def) */
		code = ERR_GATE;
	return err_set(
	    e, code, "%s: HTTP %d%s%s", what, r->status, said[0] ? ": " : "", said);
}

static const char *
text_of(struct arena *a, const struct js *o, const char *key)
{
	return arena_str(a, js_as_str(js_get(o, key)));
}

int
azure_device_page(struct span body, struct arena *a, struct azure_device **ret,
    size_t *ret_n, struct err *e)
{
	auto_(js_free) struct js *page = js_parse(body, REST_BODY_MAX, DEPTH, e);
	if (!page)
		return err_wrap(e, "device query");
	if (!js_is(page, JS_ARRAY))
		return err_set(e, ERR_PARSE, "device query: not a list");
	size_t n = js_len(page);
	struct azure_device *v = arena_alloc(a, (n + 1) * sizeof(*v));
	for (size_t i = 0; i < n; i++) {
		const struct js *d = js_at(page, i);
		struct span id;
		if (js_need_str(d, "deviceId", &id, e))
			return err_wrap(e, "device query");
		v[i] = (struct azure_device){
		    .id = arena_str(a, id),
		    .module_id = text_of(a, d, "moduleId"),
		    .auth = text_of(a, d, "authenticationType"),
		    .status = text_of(a, d, "status"),
		    .state = text_of(a, d, "connectionState"),
		};
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

const char *
azure_auth_type(const struct js *identity)
{
	return js_as_text(js_get(js_get(identity, "authentication"), "type"));
}

struct js *
azure_identity_restore(const struct js *identity)
{
	static const char *const kept[] = {"deviceId", "status", "statusReason",
	    "capabilities", "deviceScope", "authentication"};
	struct js *v = js_object();
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		const struct js *member = js_get(identity, kept[i]);
		if (member && js_type(member) != JS_NULL)
			js_set(v, kept[i], js_copy(member));
	}
	return v;
}

/* ---- the logs ---- */

static int
read_end(const struct js *line, struct azure_log_end *ret, struct err *e)
{
	const struct js *next = js_get(line, "next");
	ret->complete_since_ms = INT64_MAX;
	/* a string, because a sequence number may pass 2^53 */
	auto_(js_free) struct js *number =
	    js_is(next, JS_STRING) ? js_parse(js_as_str(next), 32, 1, e) : NULL;
	ret->next = js_as_int(number ? number : next);
	return js_opt_int(
	    line, "completeSinceMs", 0, INT64_MAX, &ret->complete_since_ms, e);
}

/* A line that is neither a row nor the end must not pass for a row of nobody. */
static int
read_line(const struct js *line, struct azure_row *r, struct err *e)
{
	int64_t seq;
	if (js_need_int(line, "seq", 1, INT64_MAX, &seq, e))
		return err_wrap(e, "log of the hub");
	*r = (struct azure_row){
	    .seq = seq,
	    .at_ms = js_as_int(js_get(line, "timeMs")),
	    .event = js_as_text(js_get(line, "event")),
	    .plane = js_as_text(js_get(line, "plane")),
	    .device_id = js_as_text(js_get(line, "deviceId")),
	    .module_id = js_as_text(js_get(line, "moduleId")),
	    .auth = js_as_text(js_get(line, "authType")),
	    .scope = js_as_text(js_get(line, "scope")),
	    .thumb = js_as_text(js_get(line, "thumbprint")),
	    .reason = js_as_text(js_get(line, "reason")),
	    .proof = js_as_text(
		js_get(js_get(js_get(line, "properties"), "application"), "musterProof")),
	    .code = js_as_int(js_get(line, "code")),
	};
	if (!r->at_ms)
		r->at_ms = js_as_int(js_get(line, "enqueuedTimeMs"));
	return 0;
}

int
azure_log_read(struct span body,
    int (*visit)(void *ctx, const struct azure_row *r, struct err *e), void *ctx,
    struct azure_log_end *ret, struct err *e)
{
	struct azure_log_end end = {0};
	for (struct span rest = body; rest.p;) {
		struct span text = span_trim(span_split(&rest, '\n'));
		if (text.len == 0)
			continue;
		auto_(js_free) struct js *line =
		    js_parse(text, LOG_LINE_MAX, LINE_DEPTH, e);
		if (!line)
			return err_wrap(e, "log of the hub");
		if (js_as_bool(js_get(line, "end"))) {
			if (read_end(line, &end, e))
				return -1;
			*ret = end;
			return 0;
		}
		struct azure_row row;
		if (read_line(line, &row, e))
			return -1;
		end.rows++;
		int stop = visit(ctx, &row, e);
		if (stop)
			return stop;
	}
	return err_set(e, ERR_CORRUPT, "log of the hub: cut off before its end");
}
