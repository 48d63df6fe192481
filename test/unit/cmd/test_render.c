/*
 * Tables, JSON and TSV.
 */
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/render.h"
#include "codec/js.h"

static const struct render_column columns[] = {
    {"NAME", "id|name", RENDER_TEXT, RENDER_CUT},
    {"STATE", "auth.state", RENDER_TEXT, 0},
    {"SEEN", "seen", RENDER_TIME, 0},
    {"AT", "atMs", RENDER_MS, RENDER_EXTRA},
    {"WHY", "why", RENDER_TEXT, RENDER_IF_ANY},
    {NULL, NULL, RENDER_TEXT, 0},
};

static struct js *
parse(const char *text)
{
	struct err e = {0};
	struct js *v = js_parse(span_str(text), 65536, 32, &e);
	assert_ok(v ? 0 : -1, &e);
	return v;
}

static void
assert_rows(enum render_form form, int width, const char *const *rows, const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	setenv("NO_COLOR", "1", 1);
	struct render *r = render_new(columns, form, out, width);
	size_t n = 0;
	for (; rows[n]; n++) {
		auto_(js_free) struct js *v = parse(rows[n]);
		render_row(r, v);
	}
	assert_int_equal(render_count(r), n);
	render_free(r);
	fclose(out);
	assert_string_equal(got, want);
	free(got);
}

static const char *const two[] = {"{\"id\":\"d1\",\"auth\":{\"state\":\"on\"},\"seen\":"
				  "\"2026-11-22T05:28:00.1230000Z\","
				  "\"atMs\":1000}",
    "{\"name\":\"a-long-name-of-a-device\",\"seen\":\"0001-01-01T00:00:00Z\",\"why\":"
    "null}",
    NULL};

static void
a_table_is_as_wide_as_what_is_in_it(void **state)
{
	assert_rows(RENDER_TABLE, 0, two,
	    "NAME                     STATE  SEEN                  AT\n"
	    "d1                       on     2026-11-22T05:28:00Z  1970-01-01T00:00:01Z\n"
	    "a-long-name-of-a-device  -      never                 -\n");
}

static void
a_narrow_terminal_loses_extras_then_gets_cells_cut(void **state)
{
	assert_rows(RENDER_TABLE, 60, two,
	    "NAME                     STATE  SEEN\n"
	    "d1                       on     2026-11-22T05:28:00Z\n"
	    "a-long-name-of-a-device  -      never\n");
	assert_rows(RENDER_TABLE, 45, two,
	    "NAME              STATE  SEEN\n"
	    "d1                on     2026-11-22T05:28:00Z\n"
	    "a-long-name-of-…  -      never\n");
}

static void
a_column_that_nobody_has_is_left_out(void **state)
{
	const char *const rows[] = {"{\"id\":\"d1\",\"why\":\"lost\"}", NULL};
	assert_rows(RENDER_TABLE, 0, rows,
	    "NAME  STATE  SEEN  AT  WHY\n"
	    "d1    -      -     -   lost\n");
}

static void
a_list_is_its_values(void **state)
{
	const char *const rows[] = {"{\"id\":[\"a\",\"b\",3,null],\"why\":{}}",
	    "{\"id\":[],\"why\":{\"x\":1}}", NULL};
	assert_rows(RENDER_TSV, 0, rows, "a, b, 3, null\t\t\t\t\n\t\t\t\t{\"x\":1}\n");
}

static void
nothing_prints_nothing(void **state)
{
	const char *const none[] = {NULL};
	assert_rows(RENDER_TABLE, 80, none, "");
	assert_rows(RENDER_JSON, 80, none, "");
	assert_rows(RENDER_TSV, 80, none, "");
}

static void
tsv_has_all_columns_and_no_heading(void **state)
{
	const char *const rows[] = {"{\"id\":\"a\\tb\\n\\\\\",\"auth\":{\"state\":true},"
				    "\"atMs\":1000,\"why\":[1,{}]}",
	    NULL};
	assert_rows(
	    RENDER_TSV, 10, rows, "a\\tb\\n\\\\\tyes\t\t1970-01-01T00:00:01Z\t[1,{}]\n");
}

static void
json_is_an_object_a_line(void **state)
{
	const char *const rows[] = {
	    "{\"id\":\"d1\"}", "{\"id\":\"d2\",\"x\":[1,{}]}", NULL};
	assert_rows(
	    RENDER_JSON, 80, rows, "{\"id\":\"d1\"}\n{\"id\":\"d2\",\"x\":[1,{}]}\n");
}

/* ESC, C1 CSI, a right-to-left override: a device must not write on the terminal. */
static void
what_drives_a_terminal_does_not_reach_it(void **state)
{
	const char *const rows[] = {
	    "{\"id\":\"a\\u001b[2Jb\\u009b1mc\\u202ed\\u2066e\\nf\\u00e9\"}", NULL};
	assert_rows(RENDER_TABLE, 0, rows,
	    "NAME               STATE  SEEN  AT\n"
	    "a?[2Jb?1mc?d?e f\xc3\xa9  -      -     -\n");
	assert_rows(RENDER_TSV, 0, rows,
	    "a\\u001b[2Jb\\u009b1mc\xe2\x80\xae"
	    "d\xe2\x81\xa6"
	    "e\\nf\xc3\xa9\t\t\t\t\n");
}

static void
blocks_after_the_first_keep_its_widths(void **state)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	struct render *r = render_new(columns, RENDER_TABLE, out, 0);
	auto_(js_free) struct js *a = parse("{\"id\":\"wide-one\"}");
	auto_(js_free) struct js *b = parse("{\"id\":\"b\"}");
	render_row(r, a);
	render_flush(r);
	render_row(r, b);
	render_free(r);
	fclose(out);
	assert_string_equal(got, "NAME      STATE  SEEN  AT\n"
				 "wide-one  -      -     -\n"
				 "b         -      -     -\n");
	free(got);
}

static void
a_column_that_comes_late_gets_its_place(void **state)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	struct render *r = render_new(columns, RENDER_TABLE, out, 0);
	auto_(js_free) struct js *a = parse("{\"id\":\"a\"}");
	auto_(js_free) struct js *b = parse("{\"id\":\"b\",\"why\":\"lost\"}");
	render_row(r, a);
	render_flush(r);
	render_row(r, b);
	render_flush(r);
	render_row(r, a);
	render_free(r);
	fclose(out);
	assert_string_equal(got, "NAME  STATE  SEEN  AT\n"
				 "a     -      -     -\n"
				 "NAME  STATE  SEEN  AT  WHY\n"
				 "b     -      -     -   lost\n"
				 "a     -      -     -   -\n");
	free(got);
}

/* Two columns a Chinese character, none an accent of its own. */
static void
a_character_takes_what_a_terminal_gives_it(void **state)
{
	const char *const rows[] = {
	    "{\"id\":\"\u6e29\u5ea6\u8ba1\",\"auth\":{\"state\":\"on\"}}",
	    "{\"id\":\"e\u0301a\",\"auth\":{\"state\":\"on\"}}", NULL};
	assert_rows(RENDER_TABLE, 0, rows,
	    "NAME    STATE  SEEN  AT\n"
	    "\xe6\xb8\xa9\xe5\xba\xa6\xe8\xae\xa1  on     -     -\n"
	    "e\xcc\x81"
	    "a      on     -     -\n");
	const char *const long_one[] = {
	    "{\"id\":\"\u6e29\u6e29\u6e29\u6e29\u6e29\u6e29\"}", NULL};
	/* eight columns: three of them and an ellipsis are seven */
	assert_rows(RENDER_TABLE, 21, long_one,
	    "NAME      STATE  SEEN\n"
	    "\xe6\xb8\xa9\xe6\xb8\xa9\xe6\xb8\xa9\xe2\x80\xa6   -      -\n");
}

static void
assert_one(enum render_form form, const char *text, const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	auto_(js_free) struct js *v = parse(text);
	render_one(columns, form, out, v);
	fclose(out);
	assert_string_equal(got, want);
	free(got);
}

static void
one_thing_is_a_line_a_column(void **state)
{
	const char *text = "{\"id\":\"d1\",\"auth\":{\"state\":7},\"x\":{\"y\":[]}}";
	assert_one(RENDER_TABLE, text, "NAME   d1\nSTATE  7\nSEEN   -\nAT     -\n");
	assert_one(RENDER_TSV, text, "d1\t7\t\t\t\n");
	assert_one(RENDER_JSON, text,
	    "{\n  \"id\": \"d1\",\n  \"auth\": {\n    \"state\": 7\n  },\n"
	    "  \"x\": {\n    \"y\": []\n  }\n}\n");
}

static void
assert_flat(const char *text, const char *want)
{
	char *got = NULL;
	size_t len;
	FILE *out = open_memstream(&got, &len);
	auto_(js_free) struct js *v = parse(text);
	render_flat(out, v, 2);
	fclose(out);
	assert_string_equal(got, want);
	free(got);
}

static void
a_section_is_its_paths(void **state)
{
	assert_flat("{\"a\":{\"b\":1,\"long\":\"x\"},\"c\":[true],\"$version\":3}",
	    "  a.b     1\n  a.long  x\n  c       [true]\n");
	assert_flat("{}", "  (none)\n");
	assert_flat("{\"$version\":1}", "  (none)\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_table_is_as_wide_as_what_is_in_it),
	    cmocka_unit_test(a_narrow_terminal_loses_extras_then_gets_cells_cut),
	    cmocka_unit_test(a_column_that_nobody_has_is_left_out),
	    cmocka_unit_test(a_list_is_its_values),
	    cmocka_unit_test(nothing_prints_nothing),
	    cmocka_unit_test(tsv_has_all_columns_and_no_heading),
	    cmocka_unit_test(json_is_an_object_a_line),
	    cmocka_unit_test(what_drives_a_terminal_does_not_reach_it),
	    cmocka_unit_test(blocks_after_the_first_keep_its_widths),
	    cmocka_unit_test(a_column_that_comes_late_gets_its_place),
	    cmocka_unit_test(a_character_takes_what_a_terminal_gives_it),
	    cmocka_unit_test(one_thing_is_a_line_a_column),
	    cmocka_unit_test(a_section_is_its_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
