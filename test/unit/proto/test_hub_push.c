/*
 * What is pushed to devices: direct methods and cloud-to-device messages, both peers
 * played.
 */
#include "rig.h"

#include "codec/topic.h"

#define HOST    "127.0.0.1"
#define USER    HOST "/dev-1/?api-version=2021-04-12&DeviceClientType=x"
#define SAS     TOKEN("127.0.0.1%2Fdevices%2Fdev-1")
#define SESSION 77
#define RES     "$iothub/methods/res/"
#define BOUND   "devices/dev-1/messages/devicebound/"
#define TO      "%24.to=%2Fdevices%2Fdev-1%2Fmessages%2Fdevicebound"

static const struct connect good = {
    .client_id = "dev-1", .user = USER, .password = SAS, .keep_alive = 60};

static void
open_session(struct peer *p, struct rig *r)
{
	struct ipc_hub_open m;
	peer_open(p, r, &r->mqtt_addr);
	peer_connect(p, &good);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	const struct ipc_hub_opened a = {.session = SESSION};
	rig_core_says(r, id, IPC_HUB_OPENED, &a);
	PEER_GETS(p, "\x20\x02\x00\x00");
}

static void
gets_publish(
    struct peer *p, int qos, uint16_t id, int extra, const char *topic, const char *body)
{
	auto_buf want = BUF_INIT(1 << 20);
	write_publish(&want, topic, span_str(body), qos, id, extra);
	peer_gets(p, buf_span(&want));
}

static void
puback(struct peer *p, uint8_t id)
{
	const uint8_t b[] = {0x40, 2, 0, id};
	peer_send(p, span_of(b, sizeof(b)));
}

/* ---- methods ---- */

static void
method_request_has_nothing_behind_its_rid(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_method_push m = {.session = SESSION,
	    .call = 0x5301f70f,
	    .method = SPAN_LIT("reboot"),
	    .payload = SPAN_LIT("{\"a\":1}")};
	open_session(&p, r);
	rig_core_says(r, 0, IPC_METHOD_PUSH, &m);
	gets_publish(
	    &p, 0, 0, 0, "$iothub/methods/POST/reboot/?$rid=5301f70f", "{\"a\":1}");
	m.qos = 1;
	m.method = SPAN_LIT("t1*report");
	rig_core_says(r, 0, IPC_METHOD_PUSH, &m);
	gets_publish(
	    &p, 1, 1024, 0, "$iothub/methods/POST/t1*report/?$rid=5301f70f", "{\"a\":1}");
	m.session = SESSION + 1; /* gone meanwhile */
	rig_core_says(r, 0, IPC_METHOD_PUSH, &m);
	peer_hears_nothing(&p);
	peer_close(&p);
}

static void
answer_is_told_and_acknowledged(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_method_answer a;
	open_session(&p, r);
	peer_publish(&p, RES "207/?$rid=5301f70f", "{ \"a\" : 1 }", 1, 9);
	PEER_GETS(&p, "\x40\x02\x00\x09");
	rig_core_gets(r, IPC_METHOD_ANSWER, &a);
	assert_int_equal(a.session, SESSION);
	assert_int_equal(a.call, 0x5301f70f);
	assert_int_equal(a.status, 207);
	assert_false(a.malformed);
	assert_true(span_eq_str(a.payload, "{\"a\":1}"));
	static const char *const none[] = {"", " "};
	for (size_t i = 0; i < 2; i++) {
		peer_publish(&p, RES "-1/?$rid=1", none[i], 0, 0);
		rig_core_gets(r, IPC_METHOD_ANSWER, &a);
		assert_int_equal(a.status, -1);
		assert_false(a.malformed);
		assert_int_equal(a.payload.len, 0);
	}
	peer_hears_nothing(&p);
	peer_publish(&p, RES "200/?$rid=1", "{", 0, 0);
	rig_core_gets(r, IPC_METHOD_ANSWER, &a);
	assert_true(a.malformed);
	assert_int_equal(a.payload.len, 0);
	peer_close(&p);
}

static void
rid_that_is_not_ours_is_acknowledged_and_no_more(void **state)
{
	struct rig *r = *state;
	static const char *const topics[] = {RES "200/?$rid=g", RES "200/?$rid=ABC",
	    RES "200/?$rid=11111111111111111", RES "200/?$rid=ffffffffffffffff"};
	struct peer p;
	open_session(&p, r);
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		peer_publish(&p, topics[i], "{}", 1, 5);
		PEER_GETS(&p, "\x40\x02\x00\x05");
		assert_true(rig_core_is_idle(r));
	}
	peer_close(&p);
}

/* ---- cloud-to-device messages ---- */

static void
push(struct rig *r, struct ipc_c2d m, uint8_t qos)
{
	const struct ipc_c2d_push push = {.session = SESSION, .qos = qos, .message = m};
	rig_core_says(r, 0, IPC_C2D_PUSH, &push);
}

static void
done(struct rig *r, int64_t seq)
{
	struct ipc_c2d_done m;
	rig_core_gets(r, IPC_C2D_DONE, &m);
	assert_int_equal(m.session, SESSION);
	assert_int_equal(m.seq, seq);
}

static void
message_has_its_bag_and_is_done_with_its_puback(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_session(&p, r);
	const struct ipc_c2d full = {.seq = 5,
	    .message_id = SPAN_LIT("m/1"),
	    .correlation_id = SPAN_LIT("c 1"),
	    .user_id = SPAN_LIT("u"),
	    .ack = IPC_ACK_NEGATIVE,
	    .props = SPAN_LIT("{\"application\":{\"a&b\":\"x=y\",\"none\":null,"
			      "\"void\":\"\"},\"system\":{\"content-type\":\"a/b\"}}"),
	    .body = SPAN_LIT("hello")};
	push(r, full, 1);
	gets_publish(&p, 1, 1, 0,
	    BOUND "%24.mid=m%2F1&" TO "&%24.cid=c%201&%24.uid=u&iothub-ack=negative&"
		  "%24.ct=a%2Fb&a%26b=x%3Dy",
	    "hello");
	assert_true(rig_core_is_idle(r));
	puback(&p, 1);
	done(r, 5);
	puback(&p, 1); /* twice */
	puback(&p, 9); /* of nothing */
	assert_true(rig_core_is_idle(r));
	const struct ipc_c2d again = {.seq = 6, .deliveries = 1};
	push(r, again, 1);
	gets_publish(&p, 1, 1, 8, BOUND TO, "");
	peer_close(&p);
}

static void
message_at_qos_0_is_done_when_it_has_left(void **state)
{
	struct rig *r = *state;
	struct peer p;
	const struct ipc_c2d m = {.seq = 5, .deliveries = 1, .body = SPAN_LIT("x")};
	open_session(&p, r);
	push(r, m, 0);
	gets_publish(&p, 0, 0, 0, BOUND TO, "x"); /* never DUP: row 8 */
	done(r, 5);
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
pubacks_settle_what_they_name(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_session(&p, r);
	for (int64_t i = 0; i < MQTT_DELIVER_MAX; i++) {
		push(r, (struct ipc_c2d){.seq = 100 + i}, 1);
		gets_publish(&p, 1, (uint16_t)(1 + i), 0, BOUND TO, "");
	}
	/* one too many, which the core does not send: logged, and kept by the core */
	push(r, (struct ipc_c2d){.seq = 99}, 1);
	struct ipc_refused m;
	rig_core_gets(r, IPC_REFUSED, &m);
	puback(&p, 7);
	done(r, 106);
	puback(&p, 2);
	done(r, 101);
	push(r, (struct ipc_c2d){.seq = 200}, 1);
	gets_publish(&p, 1, 2, 0, BOUND TO, "");
	puback(&p, 2);
	done(r, 200);
	peer_close(&p);
}

static void
message_whose_topic_is_too_long_is_named_in_the_log(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_refused m;
	static char value[40000];
	auto_buf props = BUF_INIT(CAP_C2D);
	memset(value, '%', sizeof(value) - 1);
	buf_printf(&props, "{\"application\":{\"a\":\"%s\"}}", value);
	open_session(&p, r);
	push(r, (struct ipc_c2d){.seq = 5, .props = buf_span(&props)}, 1);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_int_equal(m.code, 413001);
	peer_hears_nothing(&p);
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(method_request_has_nothing_behind_its_rid),
	    T(answer_is_told_and_acknowledged),
	    T(rid_that_is_not_ours_is_acknowledged_and_no_more),
	    T(message_has_its_bag_and_is_done_with_its_puback),
	    T(message_at_qos_0_is_done_when_it_has_left),
	    T(pubacks_settle_what_they_name),
	    T(message_whose_topic_is_too_long_is_named_in_the_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
