/*
 * Containers of Azure Storage: their URLs, and shared access signatures. And the lists in
 * which messages go to the core.
 */
#include "../test.h"

#include "codec/blob_sas.h"
#include "codec/blob_url.h"
#include "codec/event_list.h"

static void
is(struct span s, const char *want)
{
	if (!span_eq_str(s, want))
		fail_msg("\"%.*s\", wanted \"%s\"", SPAN_FMT(s), want);
}

static void
urls_of_the_cloud_and_of_an_emulator(void **state)
{
	struct blob_url u;
	struct err e;
	assert_ok(
	    blob_url_parse(SPAN_LIT("https://acct.blob.core.windows.net/up/ "), &u, &e),
	    &e);
	assert_true(u.is_https);
	is(u.base, "https://acct.blob.core.windows.net");
	is(u.host, "acct.blob.core.windows.net");
	is(u.path, "/up");
	is(u.account, "acct");
	is(u.container, "up");
	assert_ok(blob_url_parse(SPAN_LIT("http://127.0.0.1:10000/dev1/up"), &u, &e), &e);
	assert_false(u.is_https);
	is(u.host, "127.0.0.1:10000");
	is(u.path, "/dev1/up");
	is(u.account, "dev1");
	is(u.container, "up");
}

static void
what_is_no_container_is_refused(void **state)
{
	static const char *const texts[] = {"", "acct/up", "ftp://a/b", "https://",
	    "https://acct.blob.core.windows.net", "https://acct.blob.core.windows.net/",
	    "https:///up"};
	struct blob_url u;
	struct err e;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_fails(blob_url_parse(span_str(texts[i]), &u, &e), &e, USAGE);
}

/* The sixteen lines of a service SAS, version 2020-12-06 and later. */
static void
signed_text_has_its_sixteen_lines(void **state)
{
	const struct blob_sas s = {.account = SPAN_LIT("acct"),
	    .container = SPAN_LIT("up"),
	    .blob = SPAN_LIT("d1/a b"),
	    .rights = "rw",
	    .expires_ms = INT64_C(1767225600999)};
	static const uint8_t sig[BLOB_SAS_SIG_LEN] = {0xfb, 0xff};
	auto_buf text = BUF_INIT(1024), query = BUF_INIT(1024);
	blob_sas_to_sign(&text, &s);
	assert_string_equal(buf_text(&text),
	    "rw\n\n2026-01-01T00:00:00Z\n/blob/acct/up/d1/a "
	    "b\n\n\nhttps\n" BLOB_SAS_VERSION "\nb\n\n\n\n\n\n\n");
	blob_sas_write(&query, &s, sig);
	assert_string_equal(buf_text(&query),
	    "sv=" BLOB_SAS_VERSION "&sr=b&spr=https&sp=rw&se=2026-01-01T00%3A00%3A00Z"
	    "&sig=%2B%2F8AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D");
}

static void
lists_give_back_what_was_put_in(void **state)
{
	struct err e;
	struct span rest, props, body;
	auto_buf list = BUF_INIT(1024);
	event_list_put(&list, SPAN_LIT("{}"), SPAN_LIT("a\0b"));
	event_list_put(&list, SPAN_NONE, SPAN_NONE);
	rest = buf_span(&list);
	assert_int_equal(event_list_next(&rest, &props, &body, &e), 1);
	is(props, "{}");
	assert_true(span_eq(body, SPAN_LIT("a\0b")));
	assert_int_equal(event_list_next(&rest, &props, &body, &e), 1);
	assert_int_equal(props.len + body.len, 0);
	assert_int_equal(event_list_next(&rest, &props, &body, &e), 0);
}

static void
lists_cut_short_are_refused_at_every_byte(void **state)
{
	struct err e;
	struct span props, body;
	auto_buf list = BUF_INIT(1024);
	event_list_put(&list, SPAN_LIT("{}"), SPAN_LIT("ab"));
	for (size_t n = 1; n < list.len; n++) {
		struct span rest = span_head(buf_span(&list), n);
		assert_fails(event_list_next(&rest, &props, &body, &e), &e, PARSE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_of_the_cloud_and_of_an_emulator),
	    cmocka_unit_test(what_is_no_container_is_refused),
	    cmocka_unit_test(signed_text_has_its_sixteen_lines),
	    cmocka_unit_test(lists_give_back_what_was_put_in),
	    cmocka_unit_test(lists_cut_short_are_refused_at_every_byte),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
