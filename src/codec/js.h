#ifndef CODEC_JS_H
#define CODEC_JS_H
/*
 * JSON (RFC 8259) behind an opaque value; jansson stays in js.c. A value is owned by
 * whoever made it until it is put into another with js_set or js_append, which take it.
 * Getters lend: what they return lives as long as the value it was found in stays
 * unchanged.
 */
#include "base/buf.h"

struct js; /* opaque */

void js_free(struct js *v);
own_define(struct js, js_free);

/* Any JSON value. ERR_LIMIT when text is longer than max_len or nests deeper than
 * max_depth; ERR_PARSE (with line and column) on anything RFC 8259 forbids, duplicate
 * names, lone surrogates, NUL and numbers out of range included. */
must_check struct js *js_parse(
    struct span text, size_t max_len, int max_depth, struct err *e);

enum js_type { JS_NULL, JS_BOOL, JS_INT, JS_REAL, JS_STRING, JS_ARRAY, JS_OBJECT };

enum js_type js_type(const struct js *v);
/* False for NULL too, as all predicates here. */
bool js_is(const struct js *v, enum js_type type);
bool js_equal(const struct js *a, const struct js *b);
struct js *js_copy(const struct js *v); /* deep */

/* The value itself: SPAN_NONE, 0 or false where it is of another type. */
struct span js_as_str(const struct js *v);  /* UTF-8, terminated behind its end */
const char *js_as_text(const struct js *v); /* the same; "" where it is no string */
int64_t js_as_int(const struct js *v);
double js_as_number(const struct js *v); /* whole or not */
bool js_as_bool(const struct js *v);

/* A member or element, or NULL. o and a may be NULL or of another type. */
const struct js *js_get(const struct js *o, const char *key);
const struct js *js_at(const struct js *a, size_t i);
struct js *js_get_mut(struct js *o, const char *key);
size_t js_len(const struct js *v); /* members or elements; 0 for others */

/* Members with their type checked. js_need_*: ERR_PARSE where absent. js_opt_*: absent or
 * null leaves *ret as it was. Both: ERR_PARSE, naming the member, on another type or out
 * of bounds. */
must_check int js_need_str(
    const struct js *o, const char *key, struct span *ret, struct err *e);
must_check int js_need_int(const struct js *o, const char *key, int64_t min, int64_t max,
    int64_t *ret, struct err *e);
must_check int js_need_bool(
    const struct js *o, const char *key, bool *ret, struct err *e);
must_check int js_need(const struct js *o, const char *key, enum js_type type,
    const struct js **ret, struct err *e);
must_check int js_opt_str(
    const struct js *o, const char *key, struct span *ret, struct err *e);
must_check int js_opt_int(const struct js *o, const char *key, int64_t min, int64_t max,
    int64_t *ret, struct err *e);
must_check int js_opt_bool(const struct js *o, const char *key, bool *ret, struct err *e);
must_check int js_opt(const struct js *o, const char *key, enum js_type type,
    const struct js **ret, struct err *e);

/* Members in the order they came: struct js_iter it = js_members(o); while (js_next(&it))
 */
struct js_iter {
	const struct js *o;
	void *at;
	const char *key; /* current member; NUL cannot occur in it */
	const struct js *value;
};
struct js_iter js_members(
    const struct js *o); /* o may be NULL or no object: no members */
bool js_next(struct js_iter *it);

/* Builders. They return a new value the caller owns. */
struct js *js_object(void);
struct js *js_array(void);
struct js *js_int(int64_t v);
struct js *js_real(double v); /* null where v is no finite number */
struct js *js_bool(bool v);
struct js *js_null(void);
/* ERR_PARSE where s is not UTF-8 or holds a NUL. */
must_check struct js *js_str(struct span s, struct err *e);
/* Text of this program, known to be UTF-8. */
struct js *js_text(const char *s);

/* Put v into o under key (replacing), or behind a's elements. v is taken, always; v ==
 * NULL stores null. */
void js_set(struct js *o, const char *key, struct js *v);
void js_append(struct js *a, struct js *v);
void js_del(struct js *o, const char *key);
/* The usual members in one call. */
void js_set_text(
    struct js *o, const char *key, const char *s); /* as js_text; NULL = null */
void js_set_int(struct js *o, const char *key, int64_t v);
void js_set_bool(struct js *o, const char *key, bool v);
must_check int js_set_str(struct js *o, const char *key, struct span s, struct err *e);

enum js_order { JS_AS_BUILT, JS_SORTED };

/* Appends v compactly, pure ASCII (\uXXXX): Node reads DPS answers as ASCII
 * (protocol/device.md 1.7). Sorted output of equal values is equal byte for byte. */
void js_dump(const struct js *v, enum js_order order, struct buf *b);

/* RFC 7386: a new value, doc with patch merged in. Neither is changed; doc may be NULL.
 */
must_check struct js *js_merge(const struct js *doc, const struct js *patch);

#define JS_TWIN_DEPTH      10
#define JS_TWIN_KEY_MAX    1024
#define JS_TWIN_STRING_MAX 4096
#define JS_TWIN_INT_MAX    (INT64_C(1) << 52)

/* Azure's rules for one section of a twin (protocol/device.md 3.12): an object; depth;
 * keys without '$', '.', space or control characters; strings, keys and integers within
 * bounds; and js_twin_size at most max_size. ERR_PARSE or ERR_LIMIT, naming the key. */
must_check int js_twin_check(const struct js *v, size_t max_size, struct err *e);
/* What counts: bytes of keys and strings, 8 a number, 4 a boolean. */
size_t js_twin_size(const struct js *v);
/* Checks patch, merges, checks the result: the new section, doc untouched. */
must_check struct js *js_twin_merge(
    const struct js *doc, const struct js *patch, size_t max_size, struct err *e);

#endif
