/*
 * The ground floor, through its headers.
 */
#include "../test.h"

#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/base64.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/num.h"
#include "base/rand.h"
#include "base/sm.h"
#include "base/span.h"

static void
err_wrap_keeps_code_and_place_of_the_cause(void **state)
{
	struct err e = {0};
	assert_int_equal(err_set(&e, ERR_PARSE, "line %d", 3), -1);
	const char *where = e.where;
	err_wrap(&e, "reading %s", "x.conf");
	assert_string_equal(e.text, "reading x.conf: line 3");
	assert_int_equal(e.code, ERR_PARSE);
	assert_ptr_equal(e.where, where);
}

static void
err_text_lets_no_control_character_through(void **state)
{
	struct err e;
	err_set(&e, ERR_PARSE, "'%s'", "a\x1b[2J\nb\x7f");
	assert_string_equal(e.text, "'a?[2J?b?'");
	err_wrap(&e, "line %s", "\t1");
	assert_string_equal(e.text, "line ?1: 'a?[2J?b?'");
	err_set(&e, ERR_PARSE, "%s",
	    "\xc2\x9b"
	    "2J\xc3\xa9"); /* CSI of one character */
	assert_string_equal(e.text, "??2J\xc3\xa9");
}

static void
err_text_longer_than_its_room_is_cut_not_overrun(void **state)
{
	struct err e = {0};
	char big[2000];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	err_set(&e, ERR_IO, "%s", big);
	err_wrap(&e, "%s", big);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void
cursor_stays_bad_after_the_first_read_past_the_end(void **state)
{
	struct cursor c = cursor_of(SPAN_LIT("\x01\x02\x03"));
	assert_int_equal(cursor_u16(&c), 0x0102);
	assert_int_equal(cursor_u16(&c), 0);
	assert_true(c.bad);
	assert_int_equal(cursor_u8(&c), 0);
	assert_false(cursor_done(&c));
}

static void
span_split_tells_an_empty_rest_from_none(void **state)
{
	struct span rest = SPAN_LIT("a=");
	assert_true(span_eq_str(span_split(&rest, '='), "a"));
	assert_non_null(rest.p);
	assert_int_equal(rest.len, 0);
	rest = SPAN_LIT("a");
	span_split(&rest, '=');
	assert_null(rest.p);
}

static void
span_to_str_refuses_nul_and_overlong(void **state)
{
	char out[4];
	assert_true(span_to_str(SPAN_LIT("abc"), out, sizeof(out)));
	assert_false(span_to_str(SPAN_LIT("abcd"), out, sizeof(out)));
	assert_false(span_to_str(SPAN_LIT("a\0b"), out, sizeof(out)));
}

static void
buf_refuses_past_its_cap_and_keeps_what_it_had(void **state)
{
	struct err e = {0};
	auto_buf b = BUF_INIT(4);
	buf_str(&b, "abc");
	buf_str(&b, "de");
	assert_true(b.bad);
	assert_string_equal(buf_text(&b), "abc");
	assert_fails(buf_check(&b, "x", &e), &e, LIMIT);
}

static void
arena_gives_zeroed_memory_up_to_its_cap(void **state)
{
	auto_(arena_free) struct arena *a = arena_new(10000);
	char *s = arena_str(a, SPAN_LIT("hello"));
	assert_string_equal(s, "hello");
	unsigned char *z = arena_alloc(a, 6000);
	for (int i = 0; i < 6000; i++)
		assert_int_equal(z[i], 0);
	assert_true(arena_left(a) < 4000);
}

static void
num_is_strict_about_every_character(void **state)
{
	int64_t v = 7;
	assert_true(num_ok(SPAN_LIT("9223372036854775807"), 0, INT64_MAX, &v));
	assert_false(num_ok(SPAN_LIT("9223372036854775808"), 0, INT64_MAX, &v));
	assert_true(num_ok(SPAN_LIT("-9223372036854775808"), INT64_MIN, 0, &v));
	static const char *const bad[] = {
	    "", "-", " 1", "1 ", "+1", "0x10", "1e3", "--1"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(num_ok(span_str(bad[i]), -100, 100, &v));
}

static void
num_durations_and_sizes_know_their_units(void **state)
{
	struct err e = {0};
	int64_t v;
	assert_ok(num_parse_duration_ms(SPAN_LIT("90d"), 0, INT64_MAX, &v, &e), &e);
	assert_int_equal(v, INT64_C(7776000000));
	assert_ok(num_parse_size(SPAN_LIT("64K"), 0, INT64_MAX, &v, &e), &e);
	assert_int_equal(v, 65536);
	assert_fails(num_parse_duration_ms(SPAN_LIT("90"), 0, 10, &v, &e), &e, PARSE);
	assert_fails(
	    num_parse_duration_ms(SPAN_LIT("99999999999999y"), 0, INT64_MAX, &v, &e), &e,
	    PARSE);
}

static void
hex_and_base64_round_trip_and_refuse_junk(void **state)
{
	struct err e = {0};
	for (size_t n = 0; n < 70; n++) {
		uint8_t raw[70], back[70];
		char hex[141];
		rand_bytes(raw, sizeof(raw));
		hex_write(span_of(raw, n), hex);
		assert_ok(hex_parse(span_str(hex), back, n, &e), &e);
		assert_memory_equal(raw, back, n);
		auto_buf b = BUF_INIT(200), d = BUF_INIT(200);
		base64_put(&b, span_of(raw, n));
		assert_int_equal(b.len, BASE64_LEN(n));
		assert_ok(base64_parse(buf_span(&b), &d, &e), &e);
		assert_true(span_eq(buf_span(&d), span_of(raw, n)));
	}
	static const char *const bad[] = {
	    "A", "AB", "AB=", "AB===", "A===", "AB=C", "AA\n==", "AB==", "AAB=", "A-_A"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		auto_buf d = BUF_INIT(200);
		assert_fails(base64_parse(span_str(bad[i]), &d, &e), &e, PARSE);
	}
	auto_buf d = BUF_INIT(200);
	assert_ok(base64_parse_folded(SPAN_LIT("QUJD\r\nREVG\n"), &d, &e), &e);
	assert_string_equal(buf_text(&d), "ABCDEF");
}

static void
clock_writes_both_forms_and_survives_the_edges_of_time(void **state)
{
	char out[CLOCK_TEXT];
	clock_iso(INT64_C(1795319096123), 7, out);
	assert_string_equal(out, "2026-11-22T03:44:56.1230000Z");
	clock_iso(INT64_C(1795319096123), 0, out);
	assert_string_equal(out, "2026-11-22T03:44:56Z");
	clock_rfc1123(INT64_C(1795319096123), out);
	assert_string_equal(out, "Sun, 22 Nov 2026 03:44:56 GMT");
	clock_iso(-1, 3, out);
	assert_string_equal(out, "1969-12-31T23:59:59.999Z");
	clock_iso(INT64_C(253402300799999), 3, out);
	assert_string_equal(out, "9999-12-31T23:59:59.999Z");
}

struct item {
	char key[8];
	struct list node;
	UT_hash_handle hh;
};

static void
map_and_list_hold_what_is_put_in(void **state)
{
	struct item items[100], *table = NULL, *hit;
	struct list all;
	list_init(&all);
	for (int i = 0; i < 100; i++) {
		snprintf(items[i].key, sizeof(items[i].key), "k%d", i);
		HASH_ADD_STR(table, key, &items[i]);
		list_push(&all, &items[i].node);
	}
	HASH_FIND_STR(table, "k57", hit);
	assert_ptr_equal(hit, &items[57]);
	int n = 0;
	list_each_safe (it, &all) {
		if (n++ % 2)
			list_del(it);
	}
	n = 0;
	list_each (it, &all) {
		assert_int_equal(list_of(it, struct item, node) - items, 2 * n);
		n++;
	}
	assert_int_equal(n, 50);
	HASH_CLEAR(hh, table);
}

static void
log_escapes_what_a_peer_could_forge(void **state)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	log_fd(fds[1]);
	log_event(LOG_INFO, "x", LOG_STR("id", "a\n<3>ts=now \"q\""), LOG_INT("n", -4));
	log_fd(STDERR_FILENO);
	char line[1000] = "";
	assert_true(read(fds[0], line, sizeof(line) - 1) > 0);
	assert_non_null(strstr(line, "id=\"a\\u000a<3>ts=now \\\"q\\\"\" n=-4\n"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	close(fds[0]);
	close(fds[1]);
}

static void
sm_knows_only_declared_successors(void **state)
{
	static const struct sm_state states[] = {
	    {"new", SM_TO(1)}, {"open", SM_TO(2)}, {"dead", 0}};
	static const struct sm m = {"t", states, 3};
	int st = 0;
	sm_move(&m, &st, 1);
	assert_int_equal(st, 1);
	assert_false(sm_allows(&m, 2, 0));
	assert_false(sm_allows(&m, 0, 2));
	assert_false(sm_allows(&m, 0, 63));
	assert_int_equal(sm_find(&m, "dead"), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(err_wrap_keeps_code_and_place_of_the_cause),
	    cmocka_unit_test(err_text_lets_no_control_character_through),
	    cmocka_unit_test(err_text_longer_than_its_room_is_cut_not_overrun),
	    cmocka_unit_test(cursor_stays_bad_after_the_first_read_past_the_end),
	    cmocka_unit_test(span_split_tells_an_empty_rest_from_none),
	    cmocka_unit_test(span_to_str_refuses_nul_and_overlong),
	    cmocka_unit_test(buf_refuses_past_its_cap_and_keeps_what_it_had),
	    cmocka_unit_test(arena_gives_zeroed_memory_up_to_its_cap),
	    cmocka_unit_test(num_is_strict_about_every_character),
	    cmocka_unit_test(num_durations_and_sizes_know_their_units),
	    cmocka_unit_test(hex_and_base64_round_trip_and_refuse_junk),
	    cmocka_unit_test(clock_writes_both_forms_and_survives_the_edges_of_time),
	    cmocka_unit_test(map_and_list_hold_what_is_put_in),
	    cmocka_unit_test(log_escapes_what_a_peer_could_forge),
	    cmocka_unit_test(sm_knows_only_declared_successors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
