/*
 * Percent-encoding, targets, queries, paths; and the character sets of IDs.
 */
#include "../test.h"

#include "codec/id.h"
#include "codec/uri.h"
#include "codec/utf8.h"

static struct arena *a;

static int
set_up(void **state)
{
	a = arena_new(65536);
	return 0;
}

static int
tear_down(void **state)
{
	arena_free(a);
	return 0;
}

static void
strict_decoding_refuses_what_lenient_takes_literally(void **state)
{
	static const char *const odd[] = {"100%", "%4", "%zz", "a%g0", "%"};
	struct err e = {0};
	for (size_t i = 0; i < 5; i++) {
		auto_buf b = BUF_INIT(64);
		assert_fails(uri_decode(span_str(odd[i]), &b, &e), &e, PARSE);
		uri_decode_lenient(span_str(odd[i]), &b);
		assert_string_equal(buf_text(&b), odd[i]);
	}
	auto_buf b = BUF_INIT(64);
	assert_ok(uri_decode(SPAN_LIT("a%2fb%2Fc+d%20e"), &b, &e), &e);
	assert_string_equal(buf_text(&b), "a/b/c+d e"); /* '+' is a plus */
	assert_fails(uri_decode(SPAN_LIT("a%00"), &b, &e), &e, PARSE);
}

static void
encoding_keeps_only_unreserved(void **state)
{
	auto_buf b = BUF_INIT(64);
	uri_encode(&b, SPAN_LIT("aZ09-._~ /$\xc3\xa9"));
	assert_string_equal(buf_text(&b), "aZ09-._~%20%2F%24%C3%A9");
}

static void
target_is_split_into_path_and_query(void **state)
{
	struct err e = {0};
	struct uri_target t;
	assert_ok(uri_target_parse(SPAN_LIT("/a/b?x=1?2"), &t, &e), &e);
	assert_true(span_eq_str(t.path, "/a/b") && span_eq_str(t.query, "x=1?2"));
	assert_ok(uri_target_parse(SPAN_LIT("/a"), &t, &e), &e);
	assert_null(t.query.p);
	assert_ok(uri_target_parse(SPAN_LIT("HTTPS://h:443/a?b"), &t, &e), &e);
	assert_true(span_eq_str(t.path, "/a") && span_eq_str(t.query, "b"));
	assert_ok(uri_target_parse(SPAN_LIT("http://h"), &t, &e), &e);
	assert_true(span_eq_str(t.path, "/"));
	static const char *const bad[] = {
	    "", "*", "a/b", "/a b", "/a#b", "/a\r\n", "/\xc3\xa9"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(uri_target_parse(span_str(bad[i]), &t, &e), &e, PARSE);
}

static void
query_parameter_is_decoded_once_and_must_be_single(void **state)
{
	struct err e = {0};
	struct span v = SPAN_LIT("was");
	assert_ok(uri_query_get(SPAN_LIT("a=1&&b=x%252f&c"), "d", a, &v, &e), &e);
	assert_true(span_eq_str(v, "was"));
	assert_ok(uri_query_get(SPAN_LIT("a=1&&%62=x%252f&c"), "b", a, &v, &e), &e);
	assert_true(span_eq_str(v, "x%2f"));
	assert_ok(uri_query_get(SPAN_LIT("a=1&c"), "c", a, &v, &e), &e);
	assert_int_equal(v.len, 0);
	assert_fails(uri_query_get(SPAN_LIT("a=1&a=2"), "a", a, &v, &e), &e, PARSE);
	assert_fails(uri_query_get(SPAN_LIT("a=%"), "a", a, &v, &e), &e, PARSE);
}

static void
path_is_split_before_it_is_decoded(void **state)
{
	struct err e = {0};
	struct uri_path p;
	assert_ok(uri_path_parse(SPAN_LIT("/s/a%2Fb%3a/../"), false, a, &p, &e), &e);
	assert_int_equal(p.n, 3);
	assert_true(span_eq_str(p.seg[1], "a/b:"));
	assert_true(span_eq_str(p.seg[2], ".."));
	assert_ok(uri_path_parse(SPAN_LIT("/"), false, a, &p, &e), &e);
	assert_int_equal(p.n, 0);
}

static void
empty_segments_collapse_only_when_asked(void **state)
{
	struct err e = {0};
	struct uri_path p;
	struct span arm = SPAN_LIT("/providers/Microsoft.Devices//IotHubs/n/");
	assert_ok(uri_path_parse(arm, true, a, &p, &e), &e);
	assert_int_equal(p.n, 4);
	assert_fails(uri_path_parse(arm, false, a, &p, &e), &e, PARSE);
	assert_fails(uri_path_parse(SPAN_LIT("//"), false, a, &p, &e), &e, PARSE);
	assert_fails(uri_path_parse(SPAN_LIT("/a//"), false, a, &p, &e), &e, PARSE);
}

static void
path_limits_are_refusals(void **state)
{
	struct err e = {0};
	struct uri_path p;
	char deep[2 * (URI_SEGMENTS_MAX + 1) + 1];
	for (size_t i = 0; i < sizeof(deep) - 1; i++)
		deep[i] = i % 2 ? 'a' : '/';
	deep[sizeof(deep) - 1] = '\0';
	assert_fails(uri_path_parse(span_str(deep), true, a, &p, &e), &e, LIMIT);
	auto_(arena_free) struct arena *small = arena_new(4);
	assert_fails(uri_path_parse(SPAN_LIT("/abcde"), true, small, &p, &e), &e, LIMIT);
}

static void
registration_ids_end_in_letter_digit_or_dash(void **state)
{
	assert_true(id_is_registration(SPAN_LIT("sn-007.A_b:c-")));
	assert_true(id_is_registration(SPAN_LIT("x")));
	static const char *const bad[] = {
	    "", "a.", "a_", "a:", "a b", "a/b", "a#", "\xc3\xa9"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_is_registration(span_str(bad[i])));
	char name[ID_MAX + 1];
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = 'a';
	assert_true(id_is_registration(span_of(name, ID_MAX)));
	assert_false(id_is_registration(span_of(name, ID_MAX + 1)));
}

static void
device_ids_never_hold_wildcards_or_separators(void **state)
{
	assert_true(id_is_device(SPAN_LIT("a-:.%_*?!(),=@;$'9")));
	static const char *const bad[] = {
	    "", "#", "+", "a/b", "a b", "a\n", "a\"", "\\", "\x7f"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(id_is_device(span_str(bad[i])));
	assert_false(id_is_device(SPAN_LIT("a\0b")));
}

static void
host_names_follow_rfc_1123(void **state)
{
	static const char *const good[] = {
	    "localhost", "127.0.0.1", "a-b.example.com", "::1"};
	static const char *const bad[] = {"", "-a", "a-", "a..b", "a b", "a/b", "a."};
	for (size_t i = 0; i < 4; i++)
		assert_true(id_is_host(span_str(good[i])));
	for (size_t i = 0; i < 7; i++)
		assert_false(id_is_host(span_str(bad[i])));
}

static void
utf8_is_shortest_form_without_surrogates(void **state)
{
	assert_true(
	    utf8_ok(SPAN_LIT("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf")));
	static const char *const bad[] = {"\x80", "\xc1\xbf", "\xe0\x9f\xbf",
	    "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
	    "\xe2\x82", "\xff"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(utf8_ok(span_str(bad[i])));
	assert_true(utf8_ok(SPAN_LIT("a\0")));
	assert_false(utf8_ok_no_nul(SPAN_LIT("a\0")));
}

#define with_arena(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(strict_decoding_refuses_what_lenient_takes_literally),
	    cmocka_unit_test(encoding_keeps_only_unreserved),
	    cmocka_unit_test(target_is_split_into_path_and_query),
	    with_arena(query_parameter_is_decoded_once_and_must_be_single),
	    with_arena(path_is_split_before_it_is_decoded),
	    with_arena(empty_segments_collapse_only_when_asked),
	    with_arena(path_limits_are_refusals),
	    cmocka_unit_test(registration_ids_end_in_letter_digit_or_dash),
	    cmocka_unit_test(device_ids_never_hold_wildcards_or_separators),
	    cmocka_unit_test(host_names_follow_rfc_1123),
	    cmocka_unit_test(utf8_is_shortest_form_without_surrogates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
