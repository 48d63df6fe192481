/*
 * Content of configurations: "properties.desired.a.b" and what is to be there.
 */
#include "proto/hub/configuration_content.h"

#include "codec/js.h"
#include "proto/hub/twin_json.h"

#define DESIRED "properties.desired"

static bool
has_null(const struct js *v)
{
	bool found = js_is(v, JS_NULL);
	for (struct js_iter it = js_members(v); !found && js_next(&it);)
		found = has_null(it.value);
	return found;
}

/* How deep a path leads; deeper than any twin is enough to know. */
static int
depth(struct span path)
{
	int n = 0;
	for (size_t i = 0; i < path.len && n <= JS_TWIN_DEPTH; i++)
		n += path.p[i] == '.';
	return n;
}

/* v (taken) under the names of a path, from its last: "a.b" is {"a":{"b":v}}. */
static struct js *
nest(struct span path, struct js *v, struct err *e)
{
	while (path.len) {
		size_t dot = path.len;
		while (dot && path.p[dot - 1] != '.')
			dot--;
		struct span name = span_skip(path, dot);
		char key[JS_TWIN_KEY_MAX + 1];
		struct js *o = js_object();
		if (!name.len || !span_to_str(name, key, sizeof(key))) {
			js_free(o);
			js_free(v);
			err_set(e, ERR_PARSE, "content: a path of " DESIRED);
			return NULL;
		}
		js_set(o, key, v);
		v = o;
		path = span_head(path, dot ? dot - 1 : 0);
	}
	return v;
}

/* A path and what is to be there, merged into *doc. */
static int
add_path(const char *key, const struct js *v, struct js **doc, struct err *e)
{
	struct span path = span_str(key);
	if (!span_starts(path, SPAN_LIT(DESIRED)))
		return err_set(e, ERR_PARSE, "content: paths begin with " DESIRED);
	path = span_skip(path, sizeof(DESIRED) - 1);
	bool whole = !path.len;
	if ((!whole && path.p[0] != '.') || (whole && !js_is(v, JS_OBJECT)) ||
	    depth(path) > JS_TWIN_DEPTH || has_null(v))
		return err_set(e, ERR_PARSE,
		    "content: %s is no path of desired properties with what is to be "
		    "there",
		    key);
	auto_(js_free) struct js *patch =
	    nest(whole ? path : span_skip(path, 1), js_copy(v), e);
	if (!patch)
		return -1;
	struct js *sum = js_merge(*doc, patch);
	js_free(*doc);
	*doc = sum;
	return 0;
}

static int
parse_paths(const struct js *paths, struct buf *desired, struct err *e)
{
	auto_(js_free) struct js *doc = js_object();
	for (struct js_iter it = js_members(paths); js_next(&it);)
		if (add_path(it.key, it.value, &doc, e))
			return -1;
	if (js_twin_check(doc, TWIN_JSON_DESIRED_MAX, e))
		return err_wrap(e, "content");
	js_dump(doc, JS_SORTED, desired);
	return buf_check(desired, "content", e);
}

int
configuration_content_parse(const struct js *content, struct buf *shown,
    struct buf *desired, bool *ret_modules, struct err *e)
{
	const struct js *device = NULL, *module = NULL, *modules = NULL;
	if (!content)
		return 0;
	if (js_opt(content, "deviceContent", JS_OBJECT, &device, e) ||
	    js_opt(content, "moduleContent", JS_OBJECT, &module, e) ||
	    js_opt(content, "modulesContent", JS_OBJECT, &modules, e))
		return -1;
	if (js_len(modules))
		return err_set(e, ERR_PARSE,
		    "modulesContent: deployments of IoT Edge are not served");
	if (!device == !module)
		return err_set(
		    e, ERR_PARSE, "content: either deviceContent or moduleContent");
	if (parse_paths(device ? device : module, desired, e))
		return -1;
	auto_(js_free) struct js *o = js_object();
	js_set(o, device ? "deviceContent" : "moduleContent",
	    js_copy(device ? device : module));
	js_dump(o, JS_SORTED, shown);
	*ret_modules = module != NULL;
	return buf_check(shown, "content", e);
}
