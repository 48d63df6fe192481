/*
 * Checked copies of twin sections; sections with their metadata.
 */
#include "proto/hub/twin_json.h"

#include "codec/ipc_msg.h"
#include "codec/js.h"
#include "proto/hub/identity.h"
#include "proto/json.h"

/* The az extension sends a group's desired properties back wrapped in the name of its own
 * model's field (protocol/clients.md 1.16). */
static const struct js *
unwrap(const struct js *v)
{
	const struct js *inner = js_get(v, "additional_properties");
	return js_len(v) == 1 && js_is(inner, JS_OBJECT) ? inner : v;
}

static int
write_section(
    const struct js *v, const char *what, size_t max, struct buf *out, struct err *e)
{
	if (!v)
		return 0;
	auto_(js_free) struct js *own = js_copy(unwrap(v));
	js_del(own, "$metadata");
	js_del(own, "$version");
	if (js_twin_check(own, max, e))
		return err_wrap(e, "%s", what);
	js_dump(own, JS_AS_BUILT, out);
	return buf_check(out, what, e);
}

int
twin_json_parse(const struct js *o, struct buf *tags, struct buf *desired, struct err *e)
{
	const struct js *t = NULL, *p = NULL, *d = NULL;
	if (js_opt(o, "tags", JS_OBJECT, &t, e) ||
	    js_opt(o, "properties", JS_OBJECT, &p, e) ||
	    js_opt(p, "desired", JS_OBJECT, &d, e))
		return -1;
	if (write_section(t, "tags", TWIN_JSON_TAGS_MAX, tags, e))
		return -1;
	return write_section(d, "properties.desired", TWIN_JSON_DESIRED_MAX, desired, e);
}

/* What services add on the way out is dropped from a device's words as well: it may
 * report what it was sent. */
int
twin_json_report(struct span text, struct buf *patch, struct err *e)
{
	auto_(js_free) struct js *v = js_parse(text, CAP_TWIN, JS_TWIN_DEPTH + 2, e);
	if (!v)
		return -1;
	if (!js_is(v, JS_OBJECT))
		return err_set(e, ERR_PARSE, "a patch is an object");
	js_del(v, "$metadata");
	js_del(v, "$version");
	if (js_twin_check(v, TWIN_JSON_REPORTED_MAX, e))
		return -1;
	js_dump(v, JS_AS_BUILT, patch);
	return buf_check(patch, "reported", e);
}

/* The times of tree, which is what meta is about; around: the stamp of what tree is in.
 */
static struct js *
expand(const struct js *tree, const struct js *meta, const struct js *around)
{
	const struct js *own = js_is(meta, JS_ARRAY) ? meta : js_get(meta, "");
	const struct js *stamp = own ? own : around;
	struct js *o = js_object();
	json_put_time_or_never(o, "$lastUpdated", js_as_int(js_at(stamp, 0)));
	if (js_len(stamp) > 1)
		js_set_int(o, "$lastUpdatedVersion", js_as_int(js_at(stamp, 1)));
	struct js_iter it = js_members(tree);
	while (js_next(&it))
		js_set(o, it.key, expand(it.value, js_get(meta, it.key), stamp));
	return o;
}

struct js *
twin_json_section(struct span doc, struct span meta, int64_t version)
{
	struct js *o = json_doc(doc);
	auto_(js_free) struct js *times = json_doc(meta);
	struct js *metadata = expand(o, times, NULL);
	js_set(o, "$metadata", metadata);
	js_set_int(o, "$version", version);
	return o;
}

struct js *
twin_json_whole(const struct ipc_device *m)
{
	struct js *o = js_object();
	struct js *thumbs = js_object();
	struct js *properties = js_object();
	identity_put_common(o, m);
	json_put_etag(o, "etag", m->twin_etag);
	json_put_etag(o, "deviceEtag", m->etag);
	json_put_time_or_never(o, "statusUpdateTime", m->status_updated_ms);
	js_set_text(o, "authenticationType", identity_auth_name(m->auth));
	json_put_span(thumbs, "primaryThumbprint", m->primary_thumb);
	json_put_span(thumbs, "secondaryThumbprint", m->secondary_thumb);
	js_set(o, "x509Thumbprint", thumbs);
	js_set_text(o, "modelId", "");
	/* of the whole: the etag is the service's part of it, which a report leaves alone
	 */
	js_set_int(o, "version", m->twin_etag + m->reported_version);
	json_put_doc(o, "tags", m->tags);
	js_set(properties, "desired",
	    twin_json_section(m->desired, m->desired_meta, m->desired_version));
	js_set(properties, "reported",
	    twin_json_section(m->reported, m->reported_meta, m->reported_version));
	js_set(o, "properties", properties);
	return o;
}
