/*
 * Merges of twins, their limits, and the times of their properties.
 */
#include "domain/hub/twin.h"

#include <inttypes.h>

#include "codec/js.h"

#define TAGS_MAX     (8 * 1024)
#define DESIRED_MAX  (32 * 1024)
#define REPORTED_MAX (32 * 1024)
#define DOC_DEPTH    (JS_TWIN_DEPTH + 2)
#define META_DEPTH   (DOC_DEPTH + 1) /* a time is an array */

/* One of the trees of a twin. */
struct section {
	const char *what;
	size_t max;
	struct span *doc;
	struct span *meta; /* NULL: its times are not kept */
	int64_t version;   /* for the times; 0: they have none */
};

/* ---- times ------------------------------------------------------------------------- */

static struct js *
stamp(int64_t now_ms, int64_t version)
{
	struct js *a = js_array();
	js_append(a, js_int(now_ms));
	if (version)
		js_append(a, js_int(version));
	return a;
}

/* Writes into meta, an object, that what patch names changed. */
static void
mark(struct js *meta, const struct js *patch, const struct js *at)
{
	struct js_iter it = js_members(patch);
	js_set(meta, "", js_copy(at));
	while (js_next(&it)) {
		if (js_is(it.value, JS_NULL)) {
			js_del(meta, it.key);
			continue;
		}
		if (!js_is(it.value, JS_OBJECT)) {
			js_set(meta, it.key, js_copy(at));
			continue;
		}
		if (!js_is(js_get(meta, it.key), JS_OBJECT))
			js_set(meta, it.key, js_object());
		mark(js_get_mut(meta, it.key), it.value, at);
	}
}

/* ---- documents --------------------------------------------------------------------- */

static int
keep(struct domain *d, const struct js *v, const char *what, size_t max, struct span *ret,
    struct err *e)
{
	auto_buf text = BUF_INIT(max);
	js_dump(v, JS_AS_BUILT, &text);
	if (buf_check(&text, what, e))
		return -1;
	*ret = arena_span(d->arena, buf_span(&text));
	return 0;
}

static struct js *
stored(struct span text, size_t max, int depth, const char *what, struct err *e)
{
	struct js *v = js_parse(text, max, depth, e);
	if (!v)
		err_wrap(
		    e, "%s as stored", what); /* one twin's trouble, not the store's */
	return v;
}

/* What makes of was, by a merge, what is: the new one, and null for what is gone. SDKs
 * merge what they are told of a replaced twin into their copy of it as well. */
static struct js *
difference(const struct js *was, const struct js *is)
{
	struct js *out = js_object();
	for (struct js_iter it = js_members(is); js_next(&it);) {
		const struct js *before = js_get(was, it.key);
		bool both = js_is(before, JS_OBJECT) && js_is(it.value, JS_OBJECT);
		js_set(
		    out, it.key, both ? difference(before, it.value) : js_copy(it.value));
	}
	for (struct js_iter it = js_members(was); js_next(&it);)
		if (!js_get(is, it.key))
			js_set(out, it.key, js_null());
	return out;
}

static int
keep_times(struct domain *d, const struct section *s, const struct js *patch,
    bool replace, struct err *e)
{
	if (!s->meta)
		return 0;
	auto_(js_free) struct js *at = stamp(domain_now(d), s->version);
	auto_(js_free) struct js *meta =
	    replace ? js_object() : stored(*s->meta, CAP_META, META_DEPTH, s->what, e);
	if (!meta)
		return -1;
	mark(meta, patch, at);
	return keep(d, meta, s->what, CAP_META, s->meta, e);
}

static int
merge(struct domain *d, const struct section *s, struct span given, struct err *e)
{
	auto_(js_free) struct js *patch = js_parse(given, CAP_TWIN, DOC_DEPTH, e);
	if (!patch)
		return -1;
	auto_(js_free) struct js *was = stored(*s->doc, CAP_TWIN, DOC_DEPTH, s->what, e);
	if (!was)
		return -1;
	auto_(js_free) struct js *is = js_twin_merge(was, patch, s->max, e);
	if (!is || keep_times(d, s, patch, false, e))
		return -1;
	return keep(d, is, s->what, CAP_TWIN, s->doc, e);
}

static int
replace(struct domain *d, const struct section *s, struct span given,
    struct span *ret_change, struct err *e)
{
	auto_(js_free) struct js *nothing = js_object();
	auto_(js_free) struct js *new = js_parse(given, CAP_TWIN, DOC_DEPTH, e);
	if (!new)
		return -1;
	auto_(js_free) struct js *was = stored(*s->doc, CAP_TWIN, DOC_DEPTH, s->what, e);
	if (!was)
		return -1;
	auto_(js_free) struct js *is = js_twin_merge(nothing, new, s->max, e);
	if (!is || keep_times(d, s, is, true, e))
		return -1;
	auto_(js_free) struct js *change = difference(was, is);
	if (keep(d, change, s->what, CAP_TWIN_CHANGE, ret_change, e))
		return -1;
	return keep(d, is, s->what, CAP_TWIN, s->doc, e);
}

/* Without a section given, nothing. */
static int
change(struct domain *d, const struct section *s, struct span given, bool whole,
    struct span *ret_change, struct err *e)
{
	if (!given.len)
		return 0;
	*ret_change = given;
	if (whole ? replace(d, s, given, ret_change, e) : merge(d, s, given, e))
		return err_wrap(e, "%s", s->what);
	return 0;
}

/* ---- what becomes of a twin -------------------------------------------------------- */

void
twin_drop_reported(struct domain *d, struct store_device *dev)
{
	dev->reported = SPAN_LIT("{}");
	dev->reported_version++;
	dev->reported_meta =
	    span_str(arena_printf(d->arena, "{\"\":[%" PRId64 "]}", domain_now(d)));
}

void
twin_begin(struct domain *d, struct store_device *dev)
{
	dev->reported_version = 0;
	twin_drop_reported(d, dev);
	dev->tags = dev->desired = SPAN_LIT("{}");
	dev->desired_version = dev->twin_etag = 1;
	dev->desired_meta =
	    span_str(arena_printf(d->arena, "{\"\":[%" PRId64 ",1]}", domain_now(d)));
}

/* Tags and desired properties, either of which may be absent. */
static int
change_service(struct domain *d, struct span tags, struct span desired, bool whole,
    struct store_device *dev, struct span *ret_change, struct err *e)
{
	struct span unused;
	const struct section t = {.what = "tags", .max = TAGS_MAX, .doc = &dev->tags};
	const struct section p = {.what = "desired",
	    .max = DESIRED_MAX,
	    .doc = &dev->desired,
	    .meta = &dev->desired_meta,
	    .version = dev->desired_version + 1};
	if (change(d, &t, tags, whole, &unused, e) ||
	    change(d, &p, desired, whole, ret_change, e))
		return -1;
	dev->desired_version += desired.len != 0;
	dev->twin_etag++;
	return 0;
}

int
twin_initial(struct domain *d, struct span tags, struct span desired,
    struct store_device *dev, struct span *ret_change, struct err *e)
{
	struct span patch = SPAN_NONE;
	if (change_service(d, tags, desired, true, dev, &patch, e))
		return -1;
	*ret_change = patch;
	return 0;
}

int
twin_change(struct domain *d, const struct ipc_twin_patch *m, struct store_device *dev,
    struct span *ret_change, struct err *e)
{
	struct span patch = SPAN_NONE;
	if (change_service(d, m->tags, m->desired, m->replace != 0, dev, &patch, e) ||
	    store_twin_put(d->store, dev, e))
		return -1;
	*ret_change = patch;
	return 0;
}

int
twin_report(struct domain *d, const char *name, const struct ipc_hub_twin_report *m,
    int64_t *ret_version, struct err *e)
{
	struct store_device dev;
	struct span unused;
	if (store_device_get(d->store, name, d->arena, &dev, e))
		return -1;
	/* no twin is at 0: Java says it where it knows of no version (device.md 3.12) */
	if (m->version > 0 && m->version != dev.reported_version)
		return err_set(e, ERR_CONFLICT, "reported is at version %" PRId64,
		    dev.reported_version);
	const struct section s = {.what = "reported",
	    .max = REPORTED_MAX,
	    .doc = &dev.reported,
	    .meta = &dev.reported_meta};
	if (change(d, &s, m->patch, false, &unused, e))
		return -1;
	dev.reported_version++;
	if (store_twin_put(d->store, &dev, e))
		return -1;
	*ret_version = dev.reported_version;
	return 0;
}
