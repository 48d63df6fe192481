/*
 * JSON: what is refused, what is built, and the rules of twins (protocol/device.md 3.12).
 */
#include "../test.h"

#include <stdio.h>

#include "codec/js.h"

static struct js *
parse(const char *text)
{
	struct err e = {0};
	struct js *v = js_parse(span_str(text), 1 << 20, 64, &e);
	if (!v)
		fail_msg("%s: %s", text, e.text);
	return v;
}

static void
assert_dump(const struct js *v, const char *want)
{
	auto_buf b = BUF_INIT(1 << 16);
	js_dump(v, JS_AS_BUILT, &b);
	assert_string_equal(buf_text(&b), want);
}

static void
malformed_texts_are_refused_with_their_place(void **state)
{
	static const char *const bad[] = {"", "{", "{\"a\":1,\"a\":2}", "[1,]", "01",
	    "NaN", "1e999", "\"\\u0000\"", "\"\\ud800\"", "\"\xff\"", "{} x",
	    "99999999999999999999", "'a'", "[1] [2]", "{\"a\" 1}"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct err e = {0};
		assert_null(js_parse(span_str(bad[i]), 100, 10, &e));
		assert_int_equal(e.code, ERR_PARSE);
		assert_non_null(strstr(e.text, "line 1"));
	}
}

static void
errors_do_not_quote_the_text(void **state)
{
	struct err e = {0};
	assert_null(js_parse(SPAN_LIT("{\"primaryKey\": hunter2}"), 100, 10, &e));
	assert_null(strstr(e.text, "hunter2"));
}

static void
size_and_depth_are_capped(void **state)
{
	struct err e = {0};
	assert_null(js_parse(SPAN_LIT("[1,2]"), 4, 10, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	assert_null(js_parse(SPAN_LIT("[[[1]]]"), 100, 2, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	/* brackets inside strings do not nest */
	auto_(js_free) struct js *v =
	    js_parse(SPAN_LIT("[[\"[[{{\\\"[[\"]]"), 100, 2, &e);
	assert_non_null(v);
	auto_buf deep = BUF_INIT(200000);
	while (deep.len < 200000)
		buf_u8(&deep, '[');
	assert_null(js_parse(buf_span(&deep), 200000, 64, &e));
	assert_int_equal(e.code, ERR_LIMIT);
}

static void
members_are_typed_and_bounded(void **state)
{
	auto_(js_free) struct js *o = parse(
	    "{\"s\":\"x\",\"i\":5,\"b\":true,\"n\":null,\"o\":{\"k\":1},\"r\":1.5}");
	struct err e = {0};
	struct span s = SPAN_LIT("was");
	int64_t i = -1;
	bool b = false;
	const struct js *sub = NULL;
	assert_ok(js_need_str(o, "s", &s, &e), &e);
	assert_true(span_eq_str(s, "x"));
	assert_ok(js_need_int(o, "i", 0, 5, &i, &e), &e);
	assert_int_equal(i, 5);
	assert_ok(js_need_bool(o, "b", &b, &e), &e);
	assert_true(b);
	assert_ok(js_need(o, "o", JS_OBJECT, &sub, &e), &e);
	assert_int_equal(js_as_int(js_get(sub, "k")), 1);
	assert_fails(js_need_int(o, "i", 0, 4, &i, &e), &e, PARSE);
	assert_fails(js_need_int(o, "r", 0, 4, &i, &e), &e, PARSE);
	assert_fails(js_need_str(o, "i", &s, &e), &e, PARSE);
	assert_string_equal(e.text, "member i is not a string");
	assert_fails(js_need_str(o, "none", &s, &e), &e, PARSE);
	assert_fails(js_need_str(o, "n", &s, &e), &e, PARSE);
	assert_ok(js_opt_str(o, "none", &s, &e), &e);
	assert_ok(js_opt_str(o, "n", &s, &e), &e);
	assert_true(span_eq_str(s, "x")); /* as it was */
	assert_fails(js_opt_bool(o, "s", &b, &e), &e, PARSE);
	assert_null(js_get(NULL, "s"));
	assert_null(js_get(js_get(o, "s"), "s"));
	assert_int_equal(js_as_str(js_get(o, "i")).len, 0);
	assert_string_equal(js_as_text(NULL), "");
}

static void
members_come_in_their_order(void **state)
{
	auto_(js_free) struct js *o = parse("{\"z\":1,\"a\":2,\"m\":3}");
	static const char *const want[] = {"z", "a", "m"};
	struct js_iter it = js_members(o);
	size_t n = 0;
	for (; js_next(&it); n++)
		assert_string_equal(it.key, want[n]);
	assert_int_equal(n, 3);
	it = js_members(js_get(o, "z"));
	assert_false(js_next(&it));
}

static void
output_is_compact_ascii_in_either_order(void **state)
{
	struct err e = {0};
	auto_(js_free) struct js *o = js_object();
	assert_ok(js_set_str(o, "z", SPAN_LIT("\xc3\xa9\xf0\x9f\x98\x80/\"\n"), &e), &e);
	js_set_int(o, "a", -1);
	js_set_bool(o, "b", false);
	js_set_text(o, "n", NULL);
	struct js *list = js_array();
	js_append(list, js_null());
	js_append(list, js_text("x"));
	js_set(o, "l", list);
	assert_dump(o,
	    "{\"z\":\"\\u00E9\\uD83D\\uDE00/\\\"\\n\",\"a\":-1,\"b\":false,\"n\":null,"
	    "\"l\":[null,\"x\"]}");
	auto_buf b = BUF_INIT(1024);
	js_dump(o, JS_SORTED, &b);
	assert_string_equal(buf_text(&b),
	    "{\"a\":-1,\"b\":false,\"l\":[null,\"x\"],\"n\":null,"
	    "\"z\":\"\\u00E9\\uD83D\\uDE00/\\\"\\n\"}");
}

static void
dump_over_the_cap_turns_the_buffer_bad(void **state)
{
	auto_(js_free) struct js *o = parse("[1,2,3]");
	auto_buf b = BUF_INIT(6);
	js_dump(o, JS_SORTED, &b);
	assert_true(b.bad);
}

static void
strings_from_peers_must_be_utf8(void **state)
{
	struct err e = {0};
	assert_null(js_str(SPAN_LIT("\xff"), &e));
	assert_int_equal(e.code, ERR_PARSE);
	assert_null(js_str(SPAN_LIT("a\0b"), &e));
	auto_(js_free) struct js *o = js_object();
	assert_fails(js_set_str(o, "k", SPAN_LIT("\xed\xa0\x80"), &e), &e, PARSE);
	assert_int_equal(js_len(o), 0);
}

static void
copies_do_not_share(void **state)
{
	auto_(js_free) struct js *a = parse("{\"x\":{\"y\":1}}");
	auto_(js_free) struct js *b = js_copy(a);
	assert_true(js_equal(a, b));
	js_set_int(js_get_mut(b, "x"), "y", 2);
	assert_false(js_equal(a, b));
	assert_int_equal(js_as_int(js_get(js_get(a, "x"), "y")), 1);
}

static void
merge_passes_the_table_of_rfc_7386(void **state)
{
	/* appendix A */
	static const char *const rows[][3] = {
	    {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	    {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
	    {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
	    {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
	    {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
	    {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
	    {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
		"{\"a\":{\"b\":\"d\"}}"},
	    {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
	    {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
	    {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
	    {"{\"a\":\"foo\"}", "null", "null"},
	    {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
	    {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
	    {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
	    {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_(js_free) struct js *doc = parse(rows[i][0]);
		auto_(js_free) struct js *patch = parse(rows[i][1]);
		auto_(js_free) struct js *got = js_merge(doc, patch);
		assert_dump(got, rows[i][2]);
		assert_dump(doc, rows[i][0]); /* untouched */
	}
}

static void
twin_rules_hold_for_keys_depth_and_values(void **state)
{
	static const struct {
		const char *text, *code;
	} rows[] = {
	    {"{\"a\":{\"b\":[1,{\"c\":\"d\"}]},\"e\":null}", "OK"},
	    {"{\"one\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{\"9\":{\"ten\":{"
	     "\"p\":1}}}}"
	     "}}}}}}}",
		"OK"},
	    {"{\"one\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":{\"7\":{\"8\":{\"9\":{\"ten\":{"
	     "\"11\":{}}}"
	     "}}}}}}}}}",
		"LIMIT"},
	    {"{\"a.b\":1}", "PARSE"},
	    {"{\"$a\":1}", "PARSE"},
	    {"{\"a b\":1}", "PARSE"},
	    {"{\"a\\u0001\":1}", "PARSE"},
	    {"{\"a\\u0085\":1}", "PARSE"},
	    {"{\"\":1}", "PARSE"},
	    {"{\"x\":[{\"a.b\":1}]}", "PARSE"},
	    {"{\"\\u00e9\":1}", "OK"},
	    {"{\"n\":4503599627370496}", "OK"},
	    {"{\"n\":4503599627370497}", "PARSE"},
	    {"{\"n\":-4503599627370497}", "PARSE"},
	    {"[1]", "PARSE"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		auto_(js_free) struct js *v = parse(rows[i].text);
		struct err e = {0};
		int rc = js_twin_check(v, 32768, &e);
		if (strcmp(err_row(e.code)->name, rows[i].code) != 0)
			fail_msg("%s: %s", rows[i].text, e.text);
		assert_int_equal(rc, e.code == ERR_OK ? 0 : -1);
	}
}

static void
twin_strings_keys_and_sections_have_sizes(void **state)
{
	struct err e = {0};
	static char text[JS_TWIN_STRING_MAX + 2];
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = 'x';
	auto_(js_free) struct js *v = js_object();
	assert_ok(js_set_str(v, "k", span_of(text, JS_TWIN_STRING_MAX), &e), &e);
	assert_int_equal(js_twin_size(v), JS_TWIN_STRING_MAX + 1);
	assert_ok(js_twin_check(v, JS_TWIN_STRING_MAX + 1, &e), &e);
	assert_fails(js_twin_check(v, JS_TWIN_STRING_MAX, &e), &e, LIMIT);
	assert_ok(js_set_str(v, "k", span_of(text, JS_TWIN_STRING_MAX + 1), &e), &e);
	assert_fails(js_twin_check(v, 32768, &e), &e, LIMIT);
	auto_(js_free) struct js *keyed = js_object();
	text[JS_TWIN_KEY_MAX + 1] = '\0';
	js_set_int(keyed, text, 1);
	assert_fails(js_twin_check(keyed, 32768, &e), &e, LIMIT);
	auto_(js_free) struct js *mixed = parse("{\"ab\":[1,2.5,true,null,\"xyz\"]}");
	assert_int_equal(js_twin_size(mixed), 2 + 8 + 8 + 4 + 0 + 3);
}

static void
twin_merge_checks_the_result_and_leaves_the_old(void **state)
{
	struct err e = {0};
	auto_(js_free) struct js *doc = parse("{\"a\":\"1234567890\"}");
	auto_(js_free) struct js *more = parse("{\"b\":\"1234567890\"}");
	auto_(js_free) struct js *swap = parse("{\"a\":null,\"b\":\"1234567890\"}");
	assert_null(js_twin_merge(doc, more, 20, &e));
	assert_int_equal(e.code, ERR_LIMIT);
	auto_(js_free) struct js *got = js_twin_merge(doc, swap, 20, &e);
	assert_dump(got, "{\"b\":\"1234567890\"}");
	assert_dump(doc, "{\"a\":\"1234567890\"}");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(malformed_texts_are_refused_with_their_place),
	    cmocka_unit_test(errors_do_not_quote_the_text),
	    cmocka_unit_test(size_and_depth_are_capped),
	    cmocka_unit_test(members_are_typed_and_bounded),
	    cmocka_unit_test(members_come_in_their_order),
	    cmocka_unit_test(output_is_compact_ascii_in_either_order),
	    cmocka_unit_test(dump_over_the_cap_turns_the_buffer_bad),
	    cmocka_unit_test(strings_from_peers_must_be_utf8),
	    cmocka_unit_test(copies_do_not_share),
	    cmocka_unit_test(merge_passes_the_table_of_rfc_7386),
	    cmocka_unit_test(twin_rules_hold_for_keys_depth_and_values),
	    cmocka_unit_test(twin_strings_keys_and_sections_have_sizes),
	    cmocka_unit_test(twin_merge_checks_the_result_and_leaves_the_old),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
