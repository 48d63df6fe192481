/*
 * Checked copies of twin sections.
 */
#include "proto/twin_json.h"

#include "codec/js.h"

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
