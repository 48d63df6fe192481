/*
 * muster device export: identities and twins as lines of JSON, in the form that the hub
 * takes many at once in (protocol/service.md 2.4).
 */
#include <stdio.h>
#include <string.h>

#include "cmd/device.h"
#include "cmd/listing.h"
#include "cmd/ndjson.h"
#include "codec/js.h"
#include "fleet/azure.h"
#include "io/file.h"

#define TOP_MAX INT64_C(1000000000)

struct out {
	struct remote r;
	const char *where, *path;
	int64_t top, n;
	bool keys;
	struct file_append *file; /* NULL: standard output */
};

static void
copy(struct js *to, const char *as, const struct js *from, const char *key)
{
	const struct js *v = js_get(from, key);
	if (v && !js_is(v, JS_NULL))
		js_set(to, as, js_copy(v));
}

/* Without what the hub adds on the way out. */
static struct js *
desired_of(const struct js *twin)
{
	struct js *o = js_object();
	struct js_iter it = js_members(js_get(js_get(twin, "properties"), "desired"));
	while (js_next(&it))
		if (it.key[0] != '$')
			js_set(o, it.key, js_copy(it.value));
	return o;
}

/* A query's rows are twins, without keys (clients.md fact 15): they are asked for. */
static int
fetch_keys(struct out *o, const char *id, struct js *auth, struct err *e)
{
	auto_(js_free) struct js *identity = NULL;
	struct rest_request q;
	struct arena *a = arena_new(64 * 1024);
	azure_device_get(a, id, &q);
	int rc = remote_ask(&o->r, SIGN_IN_HUB, &q, "device keys", &identity, NULL, e);
	arena_free(a);
	if (rc == 0)
		copy(auth, "symmetricKey", js_get(identity, "authentication"),
		    "symmetricKey");
	return rc;
}

static int
line_of(struct out *o, const struct js *twin, struct js **ret, struct err *e)
{
	auto_(js_free) struct js *v = js_object();
	struct js *auth = js_object(), *properties = js_object();
	const char *type = js_as_text(js_get(twin, "authenticationType"));
	copy(v, "id", twin, "deviceId");
	copy(v, "eTag", twin, "deviceEtag");
	copy(v, "twinETag", twin, "etag");
	copy(v, "status", twin, "status");
	copy(v, "statusReason", twin, "statusReason");
	js_set(v, "authentication", auth);
	copy(auth, "type", twin, "authenticationType");
	if (strcmp(type, "selfSigned") == 0)
		copy(auth, "x509Thumbprint", twin, "x509Thumbprint");
	if (o->keys && strcmp(type, "sas") == 0 &&
	    fetch_keys(o, js_as_text(js_get(twin, "deviceId")), auth, e))
		return -1;
	copy(v, "capabilities", twin, "capabilities");
	copy(v, "deviceScope", twin, "deviceScope");
	copy(v, "tags", twin, "tags");
	js_set(v, "properties", properties);
	js_set(properties, "desired", desired_of(twin));
	*ret = TAKE(v);
	return 0;
}

/* One that was deleted while the list was read is none of the list. */
static int
on_twin(void *ctx, const struct js *twin, struct err *e)
{
	struct out *o = ctx;
	auto_(js_free) struct js *v = NULL;
	if (line_of(o, twin, &v, e))
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	o->n++;
	return ndjson_write(o->file, v, e);
}

static int
export_all(struct out *o, struct err *e)
{
	auto_buf sql = BUF_INIT(16384);
	auto_(js_free) struct js *body = js_object();
	buf_printf(&sql, "select * from devices%s%s", o->where ? " where " : "",
	    o->where ? o->where : "");
	if (buf_check(&sql, "--where", e) || js_set_str(body, "query", buf_span(&sql), e))
		return -1;
	const struct listing l = {.plane = SIGN_IN_HUB,
	    .method = "POST",
	    .target = "/devices/query?api-version=" AZURE_API,
	    .body = body,
	    .what = "devices",
	    .top = o->top,
	    .each = on_twin,
	    .ctx = o};
	return listing_run(&o->r, &l, e);
}

/* A list that was cut off must not pass for a whole one. */
static int
export_into_file(struct out *o, struct err *e)
{
	struct err ignored;
	if (ndjson_open_new(o->path, &o->file, e))
		return -1;
	int rc = export_all(o, e) || file_append_sync(o->file, e) ? -1 : 0;
	file_append_close(o->file);
	if (rc && file_remove(o->path, &ignored))
		return err_wrap(e, "%s is not whole", o->path);
	if (rc == 0)
		fprintf(stderr, "%lld devices in %s\n", (long long)o->n, o->path);
	return rc;
}

static int
export_to(struct out *o, struct err *e)
{
	if (o->keys && !o->path)
		return err_set(e, ERR_USAGE,
		    "--keys are secret: --out FILE makes a file that nobody else reads");
	if (remote_open_any(&o->r, e))
		return -1;
	return o->path ? export_into_file(o, e) : export_all(o, e);
}

int
device_export(int argc, char **argv, struct err *e)
{
	struct out o = {0};
	const struct opt own[] = {
	    {"where", "CONDITION", OPT_TEXT, &o.where,
		"those for which it holds, in the hub's query language"},
	    {"top", "N", OPT_INT, &o.top, "at most so many (default: all)", 1, TOP_MAX},
	    {"out", "FILE", OPT_TEXT, &o.path,
		"a new file, for its owner alone (default: standard output)"},
	    {"keys", NULL, OPT_FLAG, &o.keys,
		"with the shared keys, which are secret; a request a device"},
	    {0}};
	const struct opt_cmd cmd = {"muster device export [OPTIONS]",
	    "Writes identities and their twins as JSON, a line each, for muster device "
	    "import.",
	    own, 0, 0};
	int at = remote_parse(&o.r, &cmd, argc, argv, e);
	int rc = at <= 0 ? at : export_to(&o, e);
	remote_done(&o.r);
	return rc;
}
