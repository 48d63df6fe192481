/*
 * JSON: the only file that knows jansson. Its allocator is ours, so a value is never half
 * made for want of memory, and its hash seed is drawn without opening a file, which a
 * jailed process could not.
 */
#include "codec/js.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>

#include "base/rand.h"
#include "codec/utf8.h"

static json_t *
mut(const struct js *v)
{
	return (json_t *)(uintptr_t)v;
}

static struct js *
wrap(json_t *v)
{
	return (struct js *)v;
}

static void
set_up(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	json_set_alloc_funcs(own_alloc, free);
	json_object_seed(
	    (size_t)rand_u64() | 1); /* 0 would ask jansson to find its own */
}

void
js_free(struct js *v)
{
	json_decref(mut(v));
}

/* Nesting of text, counted without recursion before a recursive parser sees it. */
static int
depth_of(struct span text)
{
	int depth = 0, deepest = 0;
	bool in_string = false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];
		if (c == '"')
			in_string = !in_string;
		if (in_string) {
			i += c == '\\';
			continue;
		}
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		deepest = depth > deepest ? depth : deepest;
	}
	return deepest;
}

struct js *
js_parse(struct span text, size_t max_len, int max_depth, struct err *e)
{
	set_up();
	if (text.len > max_len) {
		err_set(e, ERR_LIMIT, "JSON of %zu bytes, %zu are allowed", text.len,
		    max_len);
		return NULL;
	}
	if (depth_of(text) > max_depth) {
		err_set(e, ERR_LIMIT, "JSON nests deeper than %d levels", max_depth);
		return NULL;
	}
	json_error_t cause;
	json_t *v = json_loadb((const char *)(text.p ? text.p : (const uint8_t *)""),
	    text.len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &cause);
	if (v)
		return wrap(v);
	/* what stands behind " near " is the peer's text, maybe a secret */
	char *near = strstr(cause.text, " near ");
	err_set(e, ERR_PARSE, "JSON line %d column %d: %.*s", cause.line, cause.column,
	    near ? (int)(near - cause.text) : (int)strlen(cause.text), cause.text);
	return NULL;
}

enum js_type
js_type(const struct js *v)
{
	static const enum js_type types[] = {
	    [JSON_OBJECT] = JS_OBJECT,
	    [JSON_ARRAY] = JS_ARRAY,
	    [JSON_STRING] = JS_STRING,
	    [JSON_INTEGER] = JS_INT,
	    [JSON_REAL] = JS_REAL,
	    [JSON_TRUE] = JS_BOOL,
	    [JSON_FALSE] = JS_BOOL,
	    [JSON_NULL] = JS_NULL,
	};
	return types[json_typeof(mut(v))];
}

bool
js_is(const struct js *v, enum js_type type)
{
	return v && js_type(v) == type;
}

bool
js_equal(const struct js *a, const struct js *b)
{
	return a && b && json_equal(mut(a), mut(b));
}

struct js *
js_copy(const struct js *v)
{
	return wrap(json_deep_copy(mut(v)));
}

struct span
js_as_str(const struct js *v)
{
	if (!js_is(v, JS_STRING))
		return SPAN_NONE;
	return span_of(json_string_value(mut(v)), json_string_length(mut(v)));
}

const char *
js_as_text(const struct js *v)
{
	return js_is(v, JS_STRING) ? json_string_value(mut(v)) : "";
}

int64_t
js_as_int(const struct js *v)
{
	return js_is(v, JS_INT) ? json_integer_value(mut(v)) : 0;
}

double
js_as_number(const struct js *v)
{
	return v ? json_number_value(mut(v)) : 0;
}

bool
js_as_bool(const struct js *v)
{
	return v && json_is_true(mut(v));
}

const struct js *
js_get(const struct js *o, const char *key)
{
	return wrap(json_object_get(mut(o), key));
}

const struct js *
js_at(const struct js *a, size_t i)
{
	return wrap(json_array_get(mut(a), i));
}

struct js *
js_get_mut(struct js *o, const char *key)
{
	return wrap(json_object_get(mut(o), key));
}

size_t
js_len(const struct js *v)
{
	return js_is(v, JS_ARRAY) ? json_array_size(mut(v)) : json_object_size(mut(v));
}

static const char *const type_words[] = {
    [JS_NULL] = "null",
    [JS_BOOL] = "true or false",
    [JS_INT] = "a whole number",
    [JS_REAL] = "a number",
    [JS_STRING] = "a string",
    [JS_ARRAY] = "an array",
    [JS_OBJECT] = "an object",
};

/* The member of that type; *ret is NULL where it is absent or null and need not be there.
 */
static int
member(const struct js *o, const char *key, enum js_type type, bool needed,
    const struct js **ret, struct err *e)
{
	const struct js *v = js_get(o, key);
	*ret = NULL;
	if (!needed && (!v || js_is(v, JS_NULL)))
		return 0;
	if (!v)
		return err_set(e, ERR_PARSE, "member %s is missing", key);
	if (!js_is(v, type))
		return err_set(
		    e, ERR_PARSE, "member %s is not %s", key, type_words[type]);
	*ret = v;
	return 0;
}

int
js_need(const struct js *o, const char *key, enum js_type type, const struct js **ret,
    struct err *e)
{
	const struct js *v;
	if (member(o, key, type, true, &v, e) != 0)
		return -1;
	*ret = v;
	return 0;
}

int
js_opt(const struct js *o, const char *key, enum js_type type, const struct js **ret,
    struct err *e)
{
	const struct js *v;
	if (member(o, key, type, false, &v, e) != 0)
		return -1;
	if (v)
		*ret = v;
	return 0;
}

static int
get_str(const struct js *o, const char *key, bool needed, struct span *ret, struct err *e)
{
	const struct js *v;
	if (member(o, key, JS_STRING, needed, &v, e) != 0)
		return -1;
	if (v)
		*ret = js_as_str(v);
	return 0;
}

static int
get_int(const struct js *o, const char *key, bool needed, int64_t min, int64_t max,
    int64_t *ret, struct err *e)
{
	const struct js *v;
	if (member(o, key, JS_INT, needed, &v, e) != 0)
		return -1;
	if (!v)
		return 0;
	int64_t n = js_as_int(v);
	if (n < min || n > max)
		return err_set(e, ERR_PARSE,
		    "member %s is not from %" PRId64 " to %" PRId64, key, min, max);
	*ret = n;
	return 0;
}

static int
get_bool(const struct js *o, const char *key, bool needed, bool *ret, struct err *e)
{
	const struct js *v;
	if (member(o, key, JS_BOOL, needed, &v, e) != 0)
		return -1;
	if (v)
		*ret = js_as_bool(v);
	return 0;
}

int
js_need_str(const struct js *o, const char *key, struct span *ret, struct err *e)
{
	return get_str(o, key, true, ret, e);
}

int
js_opt_str(const struct js *o, const char *key, struct span *ret, struct err *e)
{
	return get_str(o, key, false, ret, e);
}

int
js_need_int(const struct js *o, const char *key, int64_t min, int64_t max, int64_t *ret,
    struct err *e)
{
	return get_int(o, key, true, min, max, ret, e);
}

int
js_opt_int(const struct js *o, const char *key, int64_t min, int64_t max, int64_t *ret,
    struct err *e)
{
	return get_int(o, key, false, min, max, ret, e);
}

int
js_need_bool(const struct js *o, const char *key, bool *ret, struct err *e)
{
	return get_bool(o, key, true, ret, e);
}

int
js_opt_bool(const struct js *o, const char *key, bool *ret, struct err *e)
{
	return get_bool(o, key, false, ret, e);
}

struct js_iter
js_members(const struct js *o)
{
	return (struct js_iter){.o = o, .at = json_object_iter(mut(o))};
}

bool
js_next(struct js_iter *it)
{
	if (!it->at)
		return false;
	it->key = json_object_iter_key(it->at);
	it->value = wrap(json_object_iter_value(it->at));
	it->at = json_object_iter_next(mut(it->o), it->at);
	return true;
}

struct js *
js_object(void)
{
	set_up();
	return wrap(json_object());
}

struct js *
js_array(void)
{
	set_up();
	return wrap(json_array());
}

struct js *
js_int(int64_t v)
{
	set_up();
	return wrap(json_integer(v));
}

struct js *
js_real(double v)
{
	set_up();
	json_t *n = json_real(v);
	return wrap(n ? n : json_null());
}

struct js *
js_bool(bool v)
{
	return wrap(json_boolean(v));
}

struct js *
js_null(void)
{
	return wrap(json_null());
}

struct js *
js_str(struct span s, struct err *e)
{
	set_up();
	if (utf8_ok_no_nul(s))
		return wrap(json_stringn(s.p ? (const char *)s.p : "", s.len));
	err_set(e, ERR_PARSE, "text is not UTF-8, or holds a NUL");
	return NULL;
}

struct js *
js_text(const char *s)
{
	set_up();
	json_t *v = json_string(s);
	assert(v); /* not UTF-8: what peers choose goes through js_str */
	return wrap(v);
}

void
js_set(struct js *o, const char *key, struct js *v)
{
	int rc = json_object_set_new(mut(o), key, v ? mut(v) : json_null());
	assert(rc == 0); /* o is no object, or key is not UTF-8 */
}

void
js_append(struct js *a, struct js *v)
{
	int rc = json_array_append_new(mut(a), v ? mut(v) : json_null());
	assert(rc == 0);
}

void
js_del(struct js *o, const char *key)
{
	json_object_del(mut(o), key);
}

void
js_set_text(struct js *o, const char *key, const char *s)
{
	js_set(o, key, s ? js_text(s) : NULL);
}

void
js_set_int(struct js *o, const char *key, int64_t v)
{
	js_set(o, key, js_int(v));
}

void
js_set_bool(struct js *o, const char *key, bool v)
{
	js_set(o, key, js_bool(v));
}

int
js_set_str(struct js *o, const char *key, struct span s, struct err *e)
{
	struct js *v = js_str(s, e);
	if (!v)
		return err_wrap(e, "member %s", key);
	js_set(o, key, v);
	return 0;
}

static int
on_dump(const char *p, size_t n, void *b)
{
	buf_put(b, p, n);
	return 0;
}

void
js_dump(const struct js *v, enum js_order order, struct buf *b)
{
	size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
	if (order == JS_SORTED)
		flags |= JSON_SORT_KEYS;
	if (json_dump_callback(mut(v), on_dump, b, flags) != 0)
		b->bad = true;
}

struct js *
js_merge(const struct js *doc, const struct js *patch)
{
	if (!js_is(patch, JS_OBJECT))
		return js_copy(patch);
	struct js *out = js_is(doc, JS_OBJECT) ? js_copy(doc) : js_object();
	struct js_iter it = js_members(patch);
	while (js_next(&it)) {
		if (js_is(it.value, JS_NULL))
			js_del(out, it.key);
		else
			js_set(out, it.key, js_merge(js_get(out, it.key), it.value));
	}
	return out;
}

static bool
is_twin_key(struct span key)
{
	for (size_t i = 0; i < key.len; i++) {
		uint8_t c = key.p[i];
		bool c1 = c == 0xc2 && i + 1 < key.len && key.p[i + 1] <= 0x9f;
		if (c <= ' ' || c == 0x7f || c == '.' || c == '$' || c1)
			return false;
	}
	return key.len > 0;
}

static int
check_key(const char *key, struct err *e)
{
	struct span s = span_str(key);
	if (s.len > JS_TWIN_KEY_MAX)
		return err_set(e, ERR_LIMIT, "twin key %.*s... is over %d bytes",
		    SPAN_FMT(span_head(s, 40)), JS_TWIN_KEY_MAX);
	if (!is_twin_key(s))
		return err_set(e, ERR_PARSE,
		    "twin key %.*s is empty or holds '$', '.', space or a control "
		    "character",
		    SPAN_FMT(span_head(s, 80)));
	return 0;
}

static int
check_scalar(const struct js *v, struct err *e)
{
	if (js_as_str(v).len > JS_TWIN_STRING_MAX)
		return err_set(
		    e, ERR_LIMIT, "twin string is over %d bytes", JS_TWIN_STRING_MAX);
	int64_t n = js_as_int(v);
	if (n < -JS_TWIN_INT_MAX || n > JS_TWIN_INT_MAX)
		return err_set(e, ERR_PARSE, "twin number is past 2^52");
	return 0;
}

static int
check_tree(const struct js *v, int depth, struct err *e)
{
	if (check_scalar(v, e) != 0)
		return -1;
	bool nests = js_is(v, JS_OBJECT) || js_is(v, JS_ARRAY);
	if (nests && depth > JS_TWIN_DEPTH)
		return err_set(
		    e, ERR_LIMIT, "twin nests deeper than %d levels", JS_TWIN_DEPTH);
	for (size_t i = 0; js_is(v, JS_ARRAY) && i < js_len(v); i++)
		if (check_tree(js_at(v, i), depth + 1, e) != 0)
			return -1;
	struct js_iter it = js_members(v);
	while (js_next(&it)) {
		if (check_key(it.key, e) != 0)
			return -1;
		if (check_tree(it.value, depth + 1, e) != 0)
			return err_wrap(e, "%.40s", it.key);
	}
	return 0;
}

size_t
js_twin_size(const struct js *v)
{
	size_t size = js_as_str(v).len;
	if (js_is(v, JS_INT) || js_is(v, JS_REAL))
		size = 8;
	if (js_is(v, JS_BOOL))
		size = 4;
	for (size_t i = 0; js_is(v, JS_ARRAY) && i < js_len(v); i++)
		size += js_twin_size(js_at(v, i));
	struct js_iter it = js_members(v);
	while (js_next(&it))
		size += strlen(it.key) + js_twin_size(it.value);
	return size;
}

int
js_twin_check(const struct js *v, size_t max_size, struct err *e)
{
	if (!js_is(v, JS_OBJECT))
		return err_set(e, ERR_PARSE, "twin section is not an object");
	if (check_tree(v, 0, e) != 0)
		return -1;
	size_t size = js_twin_size(v);
	if (size > max_size)
		return err_set(e, ERR_LIMIT, "twin section of %zu bytes, %zu are allowed",
		    size, max_size);
	return 0;
}

struct js *
js_twin_merge(
    const struct js *doc, const struct js *patch, size_t max_size, struct err *e)
{
	if (js_twin_check(patch, SIZE_MAX, e) != 0)
		return NULL;
	auto_(js_free) struct js *merged = js_merge(doc, patch);
	if (js_twin_check(merged, max_size, e) != 0)
		return NULL;
	return TAKE(merged);
}
