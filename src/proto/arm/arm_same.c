/*
 * Comparing documents leaf by leaf.
 */
#include "proto/arm/arm_same.h"

#include "codec/js.h"

#define PATH_MAX_LEN 300

struct walk {
	const char *const *skip;
	struct buf path; /* of the member in hand, dotted */
};

static int same(
    struct walk *w, const struct js *is, const struct js *wanted, struct err *e);

/* What is not there is also off, empty, or made of nothing else. */
static bool
is_nothing(const struct js *v)
{
	struct js_iter it = js_members(v);
	switch (js_type(v)) {
	case JS_NULL:
		return true;
	case JS_BOOL:
		return !js_as_bool(v);
	case JS_ARRAY:
		return js_len(v) == 0;
	case JS_STRING:
		return js_as_str(v).len == 0;
	case JS_OBJECT:
		while (js_next(&it))
			if (!is_nothing(it.value))
				return false;
		return true;
	default:
		return false;
	}
}

static bool
is_skipped(const struct walk *w)
{
	for (const char *const *s = w->skip; *s; s++)
		if (strcmp(*s, buf_text(&w->path)) == 0)
			return true;
	return false;
}

static int
differs(const struct walk *w, struct err *e)
{
	return err_set(e, ERR_UNSUPPORTED,
	    "%s: cannot be changed here; left out, it stays what it is",
	    buf_text(&w->path));
}

static void
cut(struct buf *path, size_t len)
{
	path->len = len;
	path->p[len] = '\0';
}

static int
same_object(struct walk *w, const struct js *is, const struct js *wanted, struct err *e)
{
	struct js_iter it = js_members(wanted);
	size_t len = w->path.len;
	while (js_next(&it)) {
		buf_printf(&w->path, "%s%s", len ? "." : "", it.key);
		if (buf_check(&w->path, "a member's name", e))
			return -1;
		if (!is_skipped(w) && same(w, js_get(is, it.key), it.value, e))
			return -1;
		cut(&w->path, len);
	}
	return 0;
}

static int
same_array(struct walk *w, const struct js *is, const struct js *wanted, struct err *e)
{
	if (js_len(is) != js_len(wanted))
		return differs(w, e);
	for (size_t i = 0; i < js_len(wanted); i++)
		if (same(w, js_at(is, i), js_at(wanted, i), e))
			return -1;
	return 0;
}

static int
same(struct walk *w, const struct js *is, const struct js *wanted, struct err *e)
{
	if (!is || js_is(is, JS_NULL))
		return is_nothing(wanted) ? 0 : differs(w, e);
	if (js_is(wanted, JS_NULL))
		return 0; /* SDKs write what they do not know so */
	if (js_type(is) != js_type(wanted))
		return differs(w, e);
	if (js_is(is, JS_OBJECT))
		return same_object(w, is, wanted, e);
	if (js_is(is, JS_ARRAY))
		return same_array(w, is, wanted, e);
	return js_equal(is, wanted) ? 0 : differs(w, e);
}

int
arm_same_check(
    const struct js *is, const struct js *wanted, const char *const *skip, struct err *e)
{
	struct walk w = {.skip = skip, .path = BUF_INIT(PATH_MAX_LEN)};
	buf_str(&w.path, "");
	int rc = same(&w, is, wanted, e);
	buf_done(&w.path);
	return rc;
}
