/*
 * Inventories, good and odd.
 */
#include "../test.h"

#include <stdio.h>

#include "base/buf.h"
#include "codec/csv.h"

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
assert_row(struct csv *c, size_t line, const char *id, const char *address,
    const char *user, const char *host_key)
{
	struct err e = {0};
	struct csv_row r;
	assert_ok(csv_next(c, a, &r, &e), &e);
	assert_int_equal(r.line, line);
	if (!line)
		return;
	assert_true(span_eq_str(r.device_id, id));
	assert_true(span_eq_str(r.address, address));
	assert_true(span_eq_str(r.user, user));
	assert_true(span_eq_str(r.host_key, host_key));
}

static void
rows_are_read_behind_header_and_comments(void **state)
{
	struct csv c =
	    csv_of(SPAN_LIT("\xef\xbb\xbf# fleet\r\n"
			    "device_id,address,user\r\n"
			    "\r\n"
			    "sensor-001,10.0.0.1,iot\r\n"
			    " sensor-002 , [fe80::1]:22 , root , ssh-ed25519 AAAA\n"
			    "sensor-003,h,u,"));
	assert_row(&c, 4, "sensor-001", "10.0.0.1", "iot", "");
	assert_row(&c, 5, "sensor-002", "[fe80::1]:22", "root", "ssh-ed25519 AAAA");
	assert_row(&c, 6, "sensor-003", "h", "u", "");
	assert_row(&c, 0, "", "", "", "");
}

static void
quotes_follow_rfc_4180(void **state)
{
	struct csv c = csv_of(SPAN_LIT("\"d,1\",\"h\" ,u,\"k \"\"q\"\", x\"\n"));
	assert_row(&c, 1, "d,1", "h", "u", "k \"q\", x");
	assert_row(&c, 0, "", "", "", "");
}

static void
header_counts_only_as_the_first_record(void **state)
{
	struct csv c = csv_of(SPAN_LIT("d,a,u\ndevice_id,address,user\n"));
	assert_row(&c, 1, "d", "a", "u", "");
	assert_row(&c, 2, "device_id", "address", "user", "");
}

static void
bad_lines_are_named_and_do_not_stop_the_reader(void **state)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
	    {"d,a", "too few"},
	    {"d,a,u,k,x", "too many"},
	    {"d#1,a,u", "'d#1' is not a device ID"},
	    {",a,u", "not a device ID"},
	    {"d,,u", "not an address"},
	    {"d,-oProxyCommand=x,u", "not an address"},
	    {"d,a,-l", "not a user name"},
	    {"d,a,", "not a user name"},
	    {"d,\"a,u", "not closed"},
	    {"d,\"a\"b,u", "behind a closing quote"},
	    {"d,a\"b\",u", "quote inside"},
	    {"d,a\x01,u", "plain text"},
	    {"d,\xff,u", "plain text"},
	};
	auto_buf text = BUF_INIT(4096);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		buf_printf(&text, "%s\n", rows[i].line);
	buf_str(&text, "d,a,u\n");
	struct csv c = csv_of(buf_span(&text));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err e = {0};
		struct csv_row r;
		char place[32];
		assert_fails(csv_next(&c, a, &r, &e), &e, PARSE);
		snprintf(place, sizeof(place), "line %zu: ", i + 1);
		assert_true(span_starts(span_str(e.text), span_str(place)));
		if (!strstr(e.text, rows[i].why))
			fail_msg("'%s' does not say '%s'", e.text, rows[i].why);
	}
	assert_row(&c, 14, "d", "a", "u", "");
}

static void
long_lines_are_limits(void **state)
{
	struct err e = {0};
	struct csv_row r;
	auto_buf text = BUF_INIT(2 * CSV_LINE_MAX);
	buf_str(&text, "d,a,u,");
	while (text.len <= CSV_LINE_MAX)
		buf_u8(&text, 'k');
	struct csv c = csv_of(buf_span(&text));
	assert_fails(csv_next(&c, a, &r, &e), &e, LIMIT);
	assert_row(&c, 0, "", "", "", "");
}

#define fresh(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    fresh(rows_are_read_behind_header_and_comments),
	    fresh(quotes_follow_rfc_4180),
	    fresh(header_counts_only_as_the_first_record),
	    fresh(bad_lines_are_named_and_do_not_stop_the_reader),
	    fresh(long_lines_are_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
