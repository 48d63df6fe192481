/*
 * MQTT 3.1.1 on the wire: bytes as recorded from the SDKs (protocol/clients.md), and
 * every reserved bit that must not be set.
 */
#include "../test.h"

#include "base/hex.h"
#include "codec/mqtt.h"

/* Bytes from hex; the test's scratch. */
static struct span
bytes(const char *hex)
{
	static uint8_t out[4][1024];
	static int turn;
	struct err e = {0};
	uint8_t *p = out[turn++ % 4];
	size_t n = strlen(hex) / 2;
	assert_true(n <= sizeof(out[0]));
	assert_ok(hex_parse(span_str(hex), p, n, &e), &e);
	return span_of(p, n);
}

static void
assert_hex(struct buf *b, const char *want)
{
	auto_buf got = BUF_INIT(4096);
	hex_put(&got, buf_span(b));
	assert_string_equal(buf_text(&got), want);
	buf_reset(b);
}

static void
refused(const char *hex, const char *why)
{
	struct mqtt_packet p = {.type = 99};
	struct err e = {0};
	assert_fails(mqtt_parse(bytes(hex), &p, &e), &e, PARSE);
	assert_non_null(strstr(e.text, why));
	assert_int_equal(p.type, 99); /* untouched */
}

static void
frame_waits_for_the_whole_packet(void **state)
{
	struct err e = {0};
	struct span all = bytes("32080001610001010203c000");
	size_t n = 99;
	for (size_t len = 0; len < 10; len++) {
		assert_ok(mqtt_frame(span_head(all, len), 100, &n, &e), &e);
		assert_int_equal(n, 0);
	}
	assert_ok(mqtt_frame(all, 100, &n, &e), &e);
	assert_int_equal(n, 10);
	assert_ok(mqtt_frame(span_skip(all, 10), 100, &n, &e), &e);
	assert_int_equal(n, 2);
}

static void
frame_refuses_an_announced_length_before_it_arrives(void **state)
{
	struct err e = {0};
	size_t n = 99;
	assert_fails(mqtt_frame(bytes("10ffffff7f"), 4096, &n, &e), &e, LIMIT);
	assert_fails(mqtt_frame(bytes("10ffffffff"), 4096, &n, &e), &e, PARSE);
	assert_fails(mqtt_frame(bytes("108000"), 4096, &n, &e), &e, PARSE);
	assert_int_equal(n, 99);
	assert_ok(mqtt_frame(bytes("10fe1f"), 4097, &n, &e), &e); /* 4,094 + 3 */
	assert_int_equal(n, 0);
	assert_fails(mqtt_frame(bytes("10ff1f"), 4097, &n, &e), &e, LIMIT);
}

static void
connect_of_the_node_sdk_is_read(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	/* protocol/clients.md section 3: level 4, flags 0x82, keepalive 180 */
	struct span in = bytes("1025"
			       "00044d5154540482"
			       "00b4"
			       "000a73656e736f722d303031"
			       "000d306e652f726567732f642f613d");
	assert_ok(mqtt_parse(in, &p, &e), &e);
	assert_int_equal(p.type, MQTT_CONNECT);
	assert_true(p.connect.clean && p.connect.has_user);
	assert_false(p.connect.has_password || p.connect.has_will);
	assert_int_equal(p.connect.keep_alive_s, 180);
	assert_true(span_eq_str(p.connect.client_id, "sensor-001"));
	assert_true(span_eq_str(p.connect.user, "0ne/regs/d/a="));
	assert_int_equal(p.connect.password.len, 0);
}

static void
connect_with_will_and_empty_password_is_read(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	/* will QoS 1, retained; password flag with length 0 counts as sent */
	assert_ok(
	    mqtt_parse(
		bytes("101900044d51545404ec0000000164000174000201ff0001750000"), &p, &e),
	    &e);
	assert_true(
	    p.connect.has_will && p.connect.will_retain && p.connect.has_password);
	assert_int_equal(p.connect.will_qos, 1);
	assert_true(span_eq_str(p.connect.will_topic, "t"));
	assert_int_equal(p.connect.will_payload.len, 2);
	assert_true(p.connect.password.p && p.connect.password.len == 0);
}

static void
connect_of_another_level_is_unsupported_not_malformed(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	/* level 5, with properties that 3.1.1 cannot read */
	assert_fails(mqtt_parse(bytes("100e00044d5154540502003c00000164"), &p, &e), &e,
	    UNSUPPORTED);
	assert_fails(mqtt_parse(bytes("100f00064d51497364700302003c000164"), &p, &e), &e,
	    UNSUPPORTED);
	refused("100d00044d5155540402003c000164", "another protocol");
}

static void
connect_refuses_flags_that_contradict(void **state)
{
	refused("100d00044d5154540403003c000164", "reserved flag");
	refused("100d00044d515454040a003c000164", "will flags");
	refused("100d00044d5154540422003c000164", "will flags");
	refused("100d00044d515454041e003c000164", "will flags");
	refused("100d00044d5154540442003c000164", "password and no user");
	refused("100d00044d5154540482003c000164", "do not fit"); /* user name missing */
	refused("100e00044d5154540402003c00016400", "do not fit");
	refused(
	    "100d00044d5154540402003c000100", "do not fit"); /* NUL in the client ID */
	refused("110d00044d5154540402003c000164", "reserved flags");
}

static void
strings_must_be_well_formed_utf8(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	static const char *const bad[] = {"3003000180", "30040002c080", "30050003eda080",
	    "30050003e08080", "30060004f4908080", "30040002c328", "3003000100"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(bad[i], "PUBLISH");
	assert_ok(mqtt_parse(bytes("30060004f09f9880"), &p, &e), &e);
}

static void
publish_is_read_with_its_flags(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	assert_ok(mqtt_parse(bytes("3b0800016101020a0b0c"), &p, &e), &e);
	assert_true(p.publish.dup && p.publish.retain && p.publish.qos == 1);
	assert_int_equal(p.publish.id, 0x0102);
	assert_true(span_eq_str(p.publish.topic, "a"));
	assert_int_equal(p.publish.payload.len, 3);
	assert_ok(mqtt_parse(bytes("3003000161"), &p, &e), &e);
	assert_int_equal(p.publish.payload.len, 0);
	assert_ok(mqtt_parse(bytes("34050001610001"), &p, &e), &e);
	assert_int_equal(p.publish.qos, 2);
	refused("36050001610001", "both QoS bits");
	refused("3803000161", "DUP at QoS 0");
	refused("32050001610000", "packet ID 0");
	refused("30020000", "empty topic");
	/* property values of the C SDK stand in topics as they are: device.md row 31 */
	assert_ok(mqtt_parse(bytes("30050003612b23"), &p, &e), &e);
	assert_true(span_eq_str(p.publish.topic, "a+#"));
	refused("3003000261", "ends early");
}

static void
subscribe_lends_its_checked_filters(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	struct mqtt_filter f;
	assert_ok(mqtt_parse(bytes("820c00070003612f230100012300"), &p, &e), &e);
	assert_int_equal(p.subscribe.id, 7);
	assert_int_equal(p.subscribe.n, 2);
	assert_true(mqtt_filter_next(&p.subscribe, &f));
	assert_true(span_eq_str(f.filter, "a/#") && f.qos == 1);
	assert_true(mqtt_filter_next(&p.subscribe, &f));
	assert_true(span_eq_str(f.filter, "#") && f.qos == 0);
	assert_false(mqtt_filter_next(&p.subscribe, &f));
	refused("8006000100016100", "reserved flags");
	refused("82020001", "no whole list");
	refused("8206000000016100", "without a packet ID");
	refused("8206000100016103", "QoS that does not exist");
	refused("820700010002612300", "misplaces");
	refused("82050001000161", "no whole list");
}

static void
unsubscribe_has_no_qos_bytes(void **state)
{
	struct err e = {0};
	struct mqtt_packet p;
	struct mqtt_filter f;
	assert_ok(mqtt_parse(bytes("a2080009000161000162"), &p, &e), &e);
	assert_int_equal(p.type, MQTT_UNSUBSCRIBE);
	assert_int_equal(p.subscribe.n, 2);
	assert_true(mqtt_filter_next(&p.subscribe, &f) && span_eq_str(f.filter, "a"));
	assert_true(mqtt_filter_next(&p.subscribe, &f) && span_eq_str(f.filter, "b"));
}

static void
wildcards_stand_alone_and_hash_stands_last(void **state)
{
	static const char *const good[] = {
	    "#", "+", "a/+/b", "+/+/#", "/", "a//b", "$iothub/#"};
	static const char *const bad[] = {"", "a#", "#/a", "a/#/b", "a+", "+a/b", "##"};
	for (size_t i = 0; i < 7; i++) {
		assert_true(mqtt_is_filter(span_str(good[i])));
		assert_false(mqtt_is_filter(span_str(bad[i])));
	}
}

static void
packets_of_servers_and_of_qos_2_are_refused(void **state)
{
	refused("20020000", "not a client's");
	refused("50020001", "not a client's");
	refused("60020001", "not a client's");
	refused("62020001", "reserved flags");
	refused("70020001", "not a client's");
	refused("9003000100", "not a client's");
	refused("d000", "not a client's");
	refused("0000", "not a client's");
	refused("f000", "not a client's");
	refused("c00100", "without fields");
	refused("e10100", "reserved flags");
	refused("4003000100", "PUBACK");
	refused("c0", "packet length");
}

static void
answers_are_exact(void **state)
{
	auto_buf b = BUF_INIT(4096);
	mqtt_write_connack(&b, true, 0);
	assert_hex(&b, "20020100");
	mqtt_write_connack(&b, true, 5); /* no session present with a refusal, 3.2.2.2 */
	assert_hex(&b, "20020005");
	mqtt_write_puback(&b, 0x1234);
	assert_hex(&b, "40021234");
	mqtt_write_suback(&b, 7, (const uint8_t[]){1, 0, MQTT_SUBACK_FAILURE}, 3);
	assert_hex(&b, "90050007010080");
	mqtt_write_unsuback(&b, 9);
	assert_hex(&b, "b0020009");
	mqtt_write_pingresp(&b);
	assert_hex(&b, "d000");
}

static void
publish_writes_only_the_three_flags_umqtt_survives(void **state)
{
	auto_buf b = BUF_INIT(4096);
	mqtt_write_publish(&b, SPAN_LIT("a"), SPAN_LIT("xy"), 0, false, 0);
	assert_hex(&b, "30050001617879");
	mqtt_write_publish(&b, SPAN_LIT("a"), SPAN_LIT("x"), 1, false, 3);
	assert_hex(&b, "3206000161000378");
	mqtt_write_publish(&b, SPAN_LIT("a"), SPAN_NONE, 1, true, 3);
	assert_hex(&b, "3a050001610003");
}

static void
publish_of_200_bytes_has_two_length_bytes(void **state)
{
	uint8_t payload[197] = {0};
	auto_buf b = BUF_INIT(4096);
	mqtt_write_publish(&b, SPAN_LIT("a"), span_of(payload, 197), 0, false, 0);
	assert_int_equal(b.len, 203);
	assert_memory_equal(b.p,
	    "\x30\xc8\x01\x00\x01"
	    "a",
	    6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(frame_waits_for_the_whole_packet),
	    cmocka_unit_test(frame_refuses_an_announced_length_before_it_arrives),
	    cmocka_unit_test(connect_of_the_node_sdk_is_read),
	    cmocka_unit_test(connect_with_will_and_empty_password_is_read),
	    cmocka_unit_test(connect_of_another_level_is_unsupported_not_malformed),
	    cmocka_unit_test(connect_refuses_flags_that_contradict),
	    cmocka_unit_test(strings_must_be_well_formed_utf8),
	    cmocka_unit_test(publish_is_read_with_its_flags),
	    cmocka_unit_test(subscribe_lends_its_checked_filters),
	    cmocka_unit_test(unsubscribe_has_no_qos_bytes),
	    cmocka_unit_test(wildcards_stand_alone_and_hash_stands_last),
	    cmocka_unit_test(packets_of_servers_and_of_qos_2_are_refused),
	    cmocka_unit_test(answers_are_exact),
	    cmocka_unit_test(publish_writes_only_the_three_flags_umqtt_survives),
	    cmocka_unit_test(publish_of_200_bytes_has_two_length_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
