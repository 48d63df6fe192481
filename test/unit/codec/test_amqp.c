/* AMQP's types, frames, messages and selectors. */
#include "../test.h"

#include "codec/amqp_msg.h"
#include "codec/amqp_selector.h"

static struct amqp_value
value_of(struct span bytes)
{
	struct cursor c = cursor_of(bytes);
	struct amqp_value v = {0};
	assert_true(amqp_next(&c, &v));
	assert_true(cursor_done(&c));
	return v;
}
#define VALUE(lit) value_of(SPAN_LIT(lit))

static void
integers_of_every_width_are_numbers(void **state)
{
	(void)state;
	assert_int_equal(VALUE("\x43").number, 0);
	assert_int_equal(VALUE("\x44").number, 0);
	assert_int_equal(VALUE("\x50\xff").number, 255);
	assert_int_equal(VALUE("\x51\xff").number, -1);
	assert_int_equal(VALUE("\x52\x07").number, 7);
	assert_int_equal(VALUE("\x53\x70").number, 0x70);
	assert_int_equal(VALUE("\x54\x80").number, -128);
	assert_int_equal(VALUE("\x55\x7f").number, 127);
	assert_int_equal(VALUE("\x60\x01\x00").number, 256);
	assert_int_equal(VALUE("\x61\xff\xfe").number, -2);
	assert_int_equal(VALUE("\x70\xff\xff\xff\xff").number, UINT32_MAX);
	assert_int_equal(VALUE("\x71\xff\xff\xff\xff").number, -1);
	assert_int_equal(VALUE("\x81\xff\xff\xff\xff\xff\xff\xff\xff").number, -1);
	assert_int_equal(VALUE("\x83\x00\x00\x00\x00\x00\x00\x01\x00").number, 256);
	assert_int_equal(VALUE("\x83\x00\x00\x00\x00\x00\x00\x01\x00").kind, AMQP_TIME);
	/* more than an int64_t holds is no number that we know */
	assert_int_equal(VALUE("\x80\xff\xff\xff\xff\xff\xff\xff\xff").kind, AMQP_OTHER);
	assert_int_equal(VALUE("\x41").number, 1);
	assert_int_equal(VALUE("\x56\x00").kind, AMQP_BOOL);
}

static void
what_is_written_is_read_back(void **state)
{
	(void)state;
	auto_buf b = BUF_INIT(4096);
	char longer[300];
	memset(longer, 'x', sizeof(longer));
	amqp_put_descriptor(&b, 0x24);
	size_t l = amqp_open_list(&b);
	amqp_put_null(&b);
	amqp_put_bool(&b, true);
	amqp_put_ubyte(&b, 200);
	amqp_put_ushort(&b, 65535);
	amqp_put_uint(&b, 4000000000u);
	amqp_put_ulong(&b, 5);
	amqp_put_int(&b, -5);
	amqp_put_long(&b, INT64_MIN);
	amqp_put_time(&b, 1767225600000);
	amqp_put_text(&b, span_of(longer, sizeof(longer)));
	amqp_put_symbol(&b, SPAN_LIT("sym"));
	amqp_put_binary(&b, SPAN_LIT("\x00\x01"));
	size_t m = amqp_open_map(&b);
	amqp_put_symbol(&b, SPAN_LIT("k"));
	amqp_put_text(&b, SPAN_LIT("v"));
	amqp_close(&b, m, 2);
	size_t a = amqp_open_texts(&b);
	amqp_put_item(&b, SPAN_LIT("0"));
	amqp_close(&b, a, 1);
	amqp_close(&b, l, 14);
	struct amqp_value v = value_of(buf_span(&b));
	assert_true(v.described);
	assert_int_equal(v.descriptor, 0x24);
	static const int64_t numbers[] = {
	    0, 1, 200, 65535, 4000000000, 5, -5, INT64_MIN, 1767225600000};
	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct amqp_value item = amqp_at(&v, i);
		assert_int_equal(amqp_number(&item, 0), numbers[i]);
	}
	struct amqp_value item = amqp_at(&v, 9);
	assert_int_equal(amqp_bytes(&item).len, sizeof(longer));
	item = amqp_at(&v, 11);
	assert_int_equal(item.kind, AMQP_BINARY);
	struct amqp_value map = amqp_at(&v, 12);
	item = amqp_get(&map, "k");
	assert_true(span_eq_str(amqp_bytes(&item), "v"));
	item = amqp_get(&map, "other");
	assert_int_equal(item.kind, AMQP_NULL);
	item = amqp_at(&v, 13);
	assert_true(span_eq(item.raw,
	    SPAN_LIT("\xf0\x00\x00\x00\x0a\x00\x00\x00\x01\xb1\x00\x00\x00\x01\x30")));
	item = amqp_at(&v, 14);
	assert_int_equal(item.kind, AMQP_NULL);
}

static void
what_is_cut_off_or_nonsense_is_refused(void **state)
{
	static const struct span bad[] = {SPAN_LIT("\x70\x00"),
	    SPAN_LIT("\xa1\x05"
		     "abc"),
	    SPAN_LIT("\xb1\xff\xff\xff\xff"), SPAN_LIT("\xc0\x00"),
	    SPAN_LIT("\xd0\x00\x00\x00\x03\x00\x00\x00"), SPAN_LIT("\x00"),
	    SPAN_LIT("\x00\x53"), SPAN_LIT("\x00\x53\x24"), SPAN_LIT("\x01"),
	    SPAN_LIT("\x00\x00\x53\x24\x45\x45"),
	    SPAN_LIT("\x00\x53\x24\x00\x53\x24\x45")};
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct cursor c = cursor_of(bad[i]);
		struct amqp_value v;
		assert_false(amqp_next(&c, &v));
		assert_true(c.bad);
	}
}

static void
frames_have_their_bounds(void **state)
{
	struct err e = {0};
	struct amqp_frame f;
	size_t len = 99;
	(void)state;
	assert_ok(amqp_frame_len(SPAN_LIT("\x00\x00"), 100, &len, &e), &e);
	assert_int_equal(len, 0);
	assert_ok(amqp_frame_len(SPAN_LIT("\x00\x00\x00\x09\x02"), 100, &len, &e), &e);
	assert_int_equal(len, 0);
	assert_fails(
	    amqp_frame_len(SPAN_LIT("\x00\x00\x00\x07"), 100, &len, &e), &e, PARSE);
	assert_fails(
	    amqp_frame_len(SPAN_LIT("\x00\x00\x00\x65"), 100, &len, &e), &e, LIMIT);
	assert_fails(
	    amqp_frame_len(SPAN_LIT("\xff\xff\xff\xff"), 65536, &len, &e), &e, LIMIT);
	assert_fails(
	    amqp_frame_parse(SPAN_LIT("\x00\x00\x00\x08\x01\x00\x00\x00"), &f, &e), &e,
	    PARSE);
	assert_fails(
	    amqp_frame_parse(SPAN_LIT("\x00\x00\x00\x08\xff\x00\x00\x00"), &f, &e), &e,
	    PARSE);
	assert_ok(
	    amqp_frame_parse(SPAN_LIT("\x00\x00\x00\x08\x02\x00\x00\x07"), &f, &e), &e);
	assert_false(f.performative.described);
	assert_int_equal(f.channel, 7);
	assert_fails(
	    amqp_frame_parse(SPAN_LIT("\x00\x00\x00\x09\x02\x00\x00\x00\x45"), &f, &e),
	    &e, PARSE);
	assert_ok(
	    amqp_frame_parse(SPAN_LIT("\x00\x00\x00\x0e\x02\x00\x00\x01\x00\x53\x10\x45"
				      "ab"),
		&f, &e),
	    &e);
	assert_int_equal(f.performative.descriptor, 0x10);
	assert_true(span_eq_str(f.payload, "ab"));
}

/* As uamqp sends it: header, annotations, properties, application properties, data. */
static void
a_message_falls_into_its_sections(void **state)
{
	struct amqp_msg m;
	struct err e = {0};
	(void)state;
	auto_buf b = BUF_INIT(256);
	buf_put_span(&b, SPAN_LIT("\x00\x53\x70\x45"));
	buf_put_span(&b, SPAN_LIT("\x00\x53\x73\xc0\x09\x03\x53\x05\x40\xa1\x03/to"));
	amqp_put_descriptor(&b, AMQP_MSG_APPLICATION);
	size_t map = amqp_open_map(&b);
	amqp_put_text(&b, SPAN_LIT("iothub-ack"));
	amqp_put_text(&b, SPAN_LIT("full"));
	amqp_close(&b, map, 2);
	buf_put_span(&b, SPAN_LIT("\x00\x53\x75\xa0\x02hi"));
	assert_ok(amqp_msg_parse(buf_span(&b), &m, &e), &e);
	struct amqp_value v = amqp_at(&m.properties, AMQP_MSG_ID);
	assert_int_equal(v.number, 5);
	assert_true(span_eq(v.raw, SPAN_LIT("\x53\x05")));
	v = amqp_at(&m.properties, AMQP_MSG_TO);
	assert_true(span_eq_str(amqp_bytes(&v), "/to"));
	v = amqp_get(&m.application, "iothub-ack");
	assert_true(span_eq_str(amqp_bytes(&v), "full"));
	assert_true(span_eq_str(amqp_bytes(&m.body), "hi"));
	buf_put_span(&b, SPAN_LIT("\x00\x53\x75\xa0\x02ho"));
	assert_fails(amqp_msg_parse(buf_span(&b), &m, &e), &e, UNSUPPORTED);
	assert_fails(amqp_msg_parse(SPAN_LIT("\x45"), &m, &e), &e, PARSE);
	assert_fails(amqp_msg_parse(SPAN_LIT("\x00\x53\x75\x45"), &m, &e), &e, PARSE);
	assert_fails(amqp_msg_parse(SPAN_LIT("\x00\x53\x99\x45"), &m, &e), &e, PARSE);
	assert_fails(
	    amqp_msg_parse(SPAN_LIT("\x00\x53\x75\xa0\x09hi"), &m, &e), &e, PARSE);
}

static void
a_selector_says_where_to_begin(void **state)
{
	static const struct {
		const char *text;
		int by;
		int64_t value;
	} rows[] = {
	    {"amqp.annotation.x-opt-offset > '-1'", AMQP_SELECTOR_AFTER, -1},
	    {"amqp.annotation.x-opt-offset > '@latest'", AMQP_SELECTOR_LATEST, 0},
	    {"amqp.annotation.x-opt-offset >= '17'", AMQP_SELECTOR_AFTER, 16},
	    {"amqp.annotation.x-opt-sequence-number > '4'", AMQP_SELECTOR_AFTER, 4},
	    {"amqp.annotation.x-opt-sequence-number >= 4", AMQP_SELECTOR_AFTER, 3},
	    {"amqp.annotation.x-opt-enqueuedtimeutc > 1795319457019", AMQP_SELECTOR_SINCE,
		1795319457020},
	    {"amqp.annotation.x-opt-enqueued-time >= '5'", AMQP_SELECTOR_SINCE, 5},
	};
	static const char *const bad[] = {"", ">", "amqp.annotation.x-opt-offset",
	    "amqp.annotation.x-opt-offset > ''", "amqp.annotation.x-opt-offset > 'x'",
	    "amqp.annotation.x-opt-offset < '1'", "x > 1",
	    "amqp.annotation.x-opt-enqueued-time > '@latest'",
	    "amqp.annotation.x-opt-offset > '9223372036854775807'"};
	struct amqp_selector s;
	struct err e = {0};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_ok(amqp_selector_parse(span_str(rows[i].text), &s, &e), &e);
		assert_int_equal(s.by, rows[i].by);
		if (s.by != AMQP_SELECTOR_LATEST)
			assert_int_equal(s.value, rows[i].value);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_fails(amqp_selector_parse(span_str(bad[i]), &s, &e), &e, PARSE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(integers_of_every_width_are_numbers),
	    cmocka_unit_test(what_is_written_is_read_back),
	    cmocka_unit_test(what_is_cut_off_or_nonsense_is_refused),
	    cmocka_unit_test(frames_have_their_bounds),
	    cmocka_unit_test(a_message_falls_into_its_sections),
	    cmocka_unit_test(a_selector_says_where_to_begin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
