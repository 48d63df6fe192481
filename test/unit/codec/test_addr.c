/*
 * IP addresses and prefixes in text.
 */
#include "../test.h"

#include "codec/addr.h"

static bool
is_address(const char *text)
{
	uint8_t ip[ADDR_LEN];
	struct err e;
	return addr_parse(span_str(text), ip, &e) == 0;
}

static void
assert_same(const char *a, const char *b)
{
	uint8_t x[ADDR_LEN], y[ADDR_LEN];
	struct err e = {0};
	assert_ok(addr_parse(span_str(a), x, &e), &e);
	assert_ok(addr_parse(span_str(b), y, &e), &e);
	assert_memory_equal(x, y, ADDR_LEN);
}

static void
addresses_of_every_form_are_read(void **state)
{
	(void)state;
	assert_same("192.0.2.7", "::ffff:192.0.2.7");
	assert_same("192.0.2.7", "::FFFF:c000:207");
	assert_same("2001:db8::7", "2001:0db8:0:0:0:0:0:7");
	assert_same("::", "0:0:0:0:0:0:0:0");
	assert_same("1::", "1:0:0:0:0:0:0:0");
	assert_same("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0");
	assert_same("64:ff9b::192.0.2.33", "64:ff9b::c000:221");
}

static void
what_is_no_address_is_refused(void **state)
{
	static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256",
	    "01.2.3.4", "1.2.3.4.", ".1.2.3.4", "1.2.3.4 ", " 1.2.3.4", "1.2.-3.4", ":",
	    ":::", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3",
	    "12345::", "g::", "1:", ":1", "1:2:3:4:5:6:7:8::", "::1%eth0", "[::1]",
	    "1.2.3.4::", "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "hub.example"};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (is_address(bad[i]))
			fail_msg("'%s' was taken", bad[i]);
}

static void
peers_come_with_their_port(void **state)
{
	uint8_t a[ADDR_LEN], b[ADDR_LEN];
	struct err e = {0};
	(void)state;
	assert_ok(addr_parse_peer(SPAN_LIT("[2001:db8::7]:49152"), a, &e), &e);
	assert_ok(addr_parse(SPAN_LIT("2001:db8::7"), b, &e), &e);
	assert_memory_equal(a, b, ADDR_LEN);
	assert_ok(addr_parse_peer(SPAN_LIT("192.0.2.7:1"), a, &e), &e);
	assert_ok(addr_parse(SPAN_LIT("192.0.2.7"), b, &e), &e);
	assert_memory_equal(a, b, ADDR_LEN);
	assert_fails(addr_parse_peer(SPAN_LIT(""), a, &e), &e, PARSE);
}

static bool
lies_in(const char *address, const char *prefix)
{
	uint8_t ip[ADDR_LEN];
	struct addr_prefix p;
	struct err e = {0};
	assert_ok(addr_parse(span_str(address), ip, &e), &e);
	assert_ok(addr_parse_prefix(span_str(prefix), &p, &e), &e);
	return addr_within(ip, &p);
}

static void
prefixes_hold_what_begins_with_them(void **state)
{
	(void)state;
	assert_true(lies_in("192.0.2.7", "192.0.2.0/24"));
	assert_true(lies_in("192.0.2.7", "192.0.2.7/32"));
	assert_true(lies_in("192.0.2.7", "0.0.0.0/0"));
	assert_true(lies_in("192.0.2.7", "192.0.2.4/30"));
	assert_false(lies_in("192.0.2.8", "192.0.2.4/30"));
	assert_false(lies_in("192.0.3.7", "192.0.2.0/24"));
	assert_false(lies_in("2001:db8::7", "0.0.0.0/0"));
	assert_true(lies_in("2001:db8::7", "2001:db8::/32"));
	assert_true(lies_in("192.0.2.7", "::/0"));
	assert_false(lies_in("2001:db9::7", "2001:db8::/32"));
}

static void
prefixes_that_say_nothing_or_too_much_are_refused(void **state)
{
	static const char *const bad[] = {"192.0.2.0", "192.0.2.0/", "192.0.2.0/33",
	    "192.0.2.0/-1", "192.0.2.1/24", "/24", "2001:db8::/129", "2001:db8::1/32"};
	struct addr_prefix p;
	struct err e;
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(addr_parse_prefix(span_str(bad[i]), &p, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses_of_every_form_are_read),
	    cmocka_unit_test(what_is_no_address_is_refused),
	    cmocka_unit_test(peers_come_with_their_port),
	    cmocka_unit_test(prefixes_hold_what_begins_with_them),
	    cmocka_unit_test(prefixes_that_say_nothing_or_too_much_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
