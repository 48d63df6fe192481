/*
 * The hub over MQTT and the session underneath, both peers played.
 */
#include "rig.h"

#define HOST       "127.0.0.1"
#define USER       HOST "/dev-1/?api-version=2021-04-12&DeviceClientType=x"
#define SAS        TOKEN("127.0.0.1%2Fdevices%2Fdev-1")
#define EVENTS     "devices/dev-1/messages/events/"
#define CONNACK(n) "\x20\x02\x00" n

static const struct connect good = {
    .client_id = "dev-1", .user = USER, .password = SAS, .keep_alive = 60};

/* CONNECT as c, opened by the core as session number. */
static void
open_as(struct peer *p, struct rig *r, const struct connect *c, int64_t session,
    int64_t close_ms)
{
	struct ipc_hub_open m;
	peer_open(p, r, &r->mqtt_addr);
	peer_connect(p, c);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	const struct ipc_hub_opened a = {.session = session, .close_ms = close_ms};
	rig_core_says(r, id, IPC_HUB_OPENED, &a);
	PEER_GETS(p, CONNACK("\x00"));
}

static void
open_session(struct peer *p, struct rig *r)
{
	open_as(p, r, &good, 77, 0);
}

static void
closed_with(struct rig *r, int64_t session, uint32_t code, const char *why)
{
	struct ipc_hub_closed m;
	char reason[201];
	rig_core_gets(r, IPC_HUB_CLOSED, &m);
	assert_int_equal(m.session, session);
	assert_int_equal(m.code, code);
	assert_true(span_to_str(m.reason, reason, sizeof(reason)));
	if (!strstr(reason, why))
		fail_msg("reason is \"%s\"", reason);
}

static void
connect_asks_the_core_and_hands_on_its_code(void **state)
{
	struct rig *r = *state;
	static const char *const want[] = {CONNACK("\x00"), CONNACK("\x01"),
	    CONNACK("\x03"), CONNACK("\x03"), CONNACK("\x03"), CONNACK("\x05")};
	for (uint8_t code = 0; code < 6; code++) {
		struct peer p;
		struct ipc_hub_open m;
		peer_open(&p, r, &r->mqtt_addr);
		peer_connect(&p, &good);
		uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
		assert_true(span_eq_str(m.device_id, "dev-1"));
		assert_true(span_eq_str(m.host, HOST));
		assert_int_equal(m.module_id.len, 0);
		assert_int_equal(m.cred.kind, CRED_SAS);
		const struct ipc_hub_opened a = {.connack = code, .session = 100 + code};
		rig_core_says(r, id, IPC_HUB_OPENED, &a);
		/* 2 and 4 never leave: they stop the C SDK for ever */
		peer_gets(&p, span_of(want[code], 4));
		if (code)
			peer_is_closed(&p);
		peer_close(&p);
		if (!code)
			closed_with(r, 100, 404104, "");
	}
}

static void
core_in_trouble_is_3_never_5(void **state)
{
	struct rig *r = *state;
	struct peer p, q;
	struct ipc_hub_open m;
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, &good);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	rig_core_done(r, id, ERR_FULL, 0);
	PEER_GETS(&p, CONNACK("\x03"));
	peer_is_closed(&p);
	peer_close(&p);
	rig_core_dies(r, false);
	peer_open(&q, r, &r->mqtt_addr);
	peer_connect(&q, &good);
	PEER_GETS(&q, CONNACK("\x03"));
	peer_is_closed(&q);
	peer_close(&q);
}

static void
core_that_never_answers_is_3_after_25_seconds(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_open m;
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, &good);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	rig_advance(r, 24000);
	peer_hears_nothing(&p);
	rig_advance(r, 2000);
	PEER_GETS(&p, CONNACK("\x03"));
	peer_is_closed(&p);
	peer_close(&p);
	/* the session it opens at last has nobody and is given back */
	const struct ipc_hub_opened a = {.session = 5};
	rig_core_says(r, id, IPC_HUB_OPENED, &a);
	closed_with(r, 5, 0, "peer left");
}

static void
refused(struct rig *r, const struct connect *c, const char *why)
{
	struct peer p;
	struct ipc_refused m;
	char reason[301];
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, c);
	PEER_GETS(&p, CONNACK("\x05"));
	peer_is_closed(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_to_str(m.reason, reason, sizeof(reason)));
	if (!strstr(reason, why))
		fail_msg("reason is \"%s\"", reason);
	peer_close(&p);
}

static void
connect_refuses_foreign_client_ids_names_and_wills(void **state)
{
	struct rig *r = *state;
	struct connect c = good;
	c.client_id = "dev-2";
	refused(r, &c, "client ID");
	c.client_id = "DEV-1";
	refused(r, &c, "client ID");
	c.client_id = "dev-1/mod";
	refused(r, &c, "client ID");
	c.client_id = "#";
	refused(r, &c, "client ID");
	c = good;
	c.user = NULL;
	c.password = NULL;
	refused(r, &c, "user name");
	c = good;
	c.user = HOST;
	refused(r, &c, "");
	c = good;
	c.password = "x";
	refused(r, &c, "");
	c = good;
	c.will_topic = "devices/dev-2/messages/events/";
	c.will_payload = "gone";
	refused(r, &c, "will");
	c.will_topic = "$iothub/twin/GET/?$rid=1";
	refused(r, &c, "will");
	assert_true(rig_core_is_idle(r));
}

static void
telemetry_is_stored_before_its_puback(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	open_session(&p, r);
	peer_publish(&p, EVENTS "$.ct=application%2Fjson&alert=true&%24.mid=m1",
	    "{\"t\":1}", 1, 5);
	uint64_t id = rig_core_gets(r, IPC_HUB_EVENT, &m);
	assert_int_equal(m.session, 77);
	assert_true(span_eq_str(m.body, "{\"t\":1}"));
	assert_true(span_eq_str(m.props,
	    "{\"application\":{\"alert\":\"true\"},"
	    "\"system\":{\"content-type\":\"application/json\",\"message-id\":\"m1\"}}"));
	peer_hears_nothing(&p);
	rig_core_done(r, id, ERR_OK, 0);
	PEER_GETS(&p, "\x40\x02\x00\x05");
	peer_close(&p);
	closed_with(r, 77, 404104, "without DISCONNECT");
}

static void
devices_cannot_set_the_hubs_stamps(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	auto_buf b = BUF_INIT(4096);
	open_session(&p, r);
	write_publish(&b,
	    EVENTS "iothub-connection-device-id=other&IoTHub-Connection-Auth-Method=x&"
		   "iothub-enqueuedtime=1&iothub-message-source=y&%24.cdid=z&"
		   "iothub-MessageType=Will&a&b=&&c=%zz&d=%ff",
	    SPAN_LIT("x"), 0, 0, 1 /* RETAIN */);
	peer_send(&p, buf_span(&b));
	rig_core_gets(r, IPC_HUB_EVENT, &m);
	assert_true(span_eq_str(m.props,
	    "{\"application\":{\"a\":null,\"b\":\"\",\"c\":\"%zz\",\"d\":\"%ff\","
	    "\"mqtt-retain\":\"true\"},\"system\":{}}"));
	peer_close(&p);
}

static void
pubacks_leave_in_the_order_of_their_publishes(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	uint64_t id[3];
	open_session(&p, r);
	for (uint16_t i = 0; i < 3; i++) {
		peer_publish(&p, EVENTS, "x", 1, (uint16_t)(i + 1));
		id[i] = rig_core_gets(r, IPC_HUB_EVENT, &m);
	}
	rig_core_done(r, id[2], ERR_OK, 0);
	rig_core_done(r, id[1], ERR_OK, 0);
	peer_hears_nothing(&p);
	rig_core_done(r, id[0], ERR_OK, 0);
	PEER_GETS(&p, "\x40\x02\x00\x01\x40\x02\x00\x02\x40\x02\x00\x03");
	peer_close(&p);
}

static void
message_that_is_not_stored_closes_without_a_puback(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	open_session(&p, r);
	peer_publish(&p, EVENTS, "x", 1, 1);
	uint64_t id = rig_core_gets(r, IPC_HUB_EVENT, &m);
	rig_core_done(r, id, ERR_FULL, 0);
	peer_is_closed(&p);
	closed_with(r, 77, 500001, "no space left");
	peer_close(&p);
}

/* 64 wait at most; the 65th is not even read before one of them is done. */
static void
publishes_beyond_the_cap_wait_unread(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	uint64_t id[64];
	open_session(&p, r);
	for (uint16_t i = 0; i < 100; i++)
		peer_publish(&p, EVENTS, "x", 1, (uint16_t)(i + 1));
	for (int i = 0; i < 64; i++)
		id[i] = rig_core_gets(r, IPC_HUB_EVENT, &m);
	assert_true(rig_core_is_idle(r));
	for (int i = 0; i < 31; i++)
		rig_core_done(r, id[i], ERR_OK, 0);
	assert_true(rig_core_is_idle(r));
	rig_core_done(r, id[31], ERR_OK, 0);
	for (int i = 0; i < 32; i++)
		rig_core_gets(r, IPC_HUB_EVENT, &m);
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
pressure_of_the_core_stops_the_reading_of_all(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	open_session(&p, r);
	mqtt_server_pause(r->mqtt, true);
	peer_publish(&p, EVENTS, "x", 1, 1);
	assert_true(rig_core_is_idle(r));
	mqtt_server_pause(r->mqtt, false);
	rig_core_gets(r, IPC_HUB_EVENT, &m);
	peer_close(&p);
}

static void
session_close_of_the_core_ends_the_session_and_its_will_is_told_first(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	struct connect c = good;
	c.will_topic = EVENTS "a=b";
	c.will_payload = "gone";
	open_as(&p, r, &c, 8, 0);
	const struct ipc_session_close close = {
	    .session = 8, .reason = SPAN_LIT("closed by a newer connection")};
	rig_core_says(r, 0, IPC_SESSION_CLOSE, &close);
	peer_is_closed(&p);
	peer_close(&p);
	rig_core_gets(r, IPC_HUB_EVENT, &m);
	assert_true(span_eq_str(m.body, "gone"));
	assert_true(span_eq_str(m.props, "{\"application\":{\"a\":\"b\",\"iothub-"
					 "MessageType\":\"Will\"},\"system\":{}}"));
	closed_with(r, 8, 0, "newer connection");
	assert_int_equal(hub_mqtt_sessions(r->hub), 0);
}

static void
disconnect_forgets_the_will(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct connect c = good;
	c.will_topic = EVENTS;
	c.will_payload = "gone";
	open_as(&p, r, &c, 8, 0);
	PEER_SEND(&p, "\xe0\x00");
	peer_is_closed(&p);
	peer_close(&p);
	closed_with(r, 8, 0, "client disconnected");
}

static void
lost_core_ends_all_sessions_and_a_new_one_hears_nothing_of_them(void **state)
{
	struct rig *r = *state;
	struct peer p, q;
	struct connect c = good;
	c.will_topic = EVENTS;
	c.will_payload = "gone";
	open_as(&p, r, &c, 8, 0);
	rig_core_dies(r, true);
	peer_is_closed(&p);
	peer_close(&p);
	assert_true(rig_core_is_idle(r));
	assert_int_equal(r->lost, 1);
	assert_int_equal(hub_mqtt_sessions(r->hub), 0);
	open_session(&q, r);
	peer_close(&q);
}

static void
session_ends_when_its_token_is_over_with_up_to_a_minute_of_jitter(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_as(&p, r, &good, 9, RIG_NOW_MS + 600000);
	rig_advance(r, 599000);
	peer_hears_nothing(&p);
	rig_advance(r, 62000);
	peer_is_closed(&p);
	peer_close(&p);
	closed_with(r, 9, 401003, "expired");
}

static void
peer_that_leaves_before_connack_gives_its_session_back(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_open m;
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, &good);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	peer_close(&p);
	const struct ipc_hub_opened a = {.session = 12};
	rig_core_says(r, id, IPC_HUB_OPENED, &a);
	struct ipc_hub_closed closed;
	rig_core_gets(r, IPC_HUB_CLOSED, &closed);
	assert_int_equal(closed.session, 12);
}

static void
foreign_topics_and_oversize_close_and_are_logged(void **state)
{
	struct rig *r = *state;
	static const char *const topics[] = {"devices/dev-2/messages/events/",
	    "devices/dev-1/modules/m/messages/events/",
	    "devices/dev-1/messages/devicebound/", "$SYS/x",
	    "$dps/registrations/PUT/iotdps-register/?$rid=1", "x"};
	for (size_t i = 0; i < sizeof(topics) / sizeof(topics[0]); i++) {
		struct peer p;
		struct ipc_refused m;
		char reason[301];
		open_session(&p, r);
		peer_publish(&p, topics[i], "x", 1, 1);
		peer_is_closed(&p);
		rig_core_gets(r, IPC_REFUSED, &m);
		assert_true(span_to_str(m.reason, reason, sizeof(reason)));
		assert_non_null(strstr(reason, topics[i]));
		assert_true(span_eq_str(m.device_id, "dev-1"));
		peer_close(&p);
		closed_with(r, 77, 400004, "");
	}
}

static void
body_at_the_cap_is_taken_and_one_more_byte_closes(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event ev;
	struct ipc_refused m;
	static uint8_t body[256 * 1024 + 1];
	auto_buf b = BUF_INIT(1 << 20);
	open_session(&p, r);
	write_publish(&b, EVENTS, span_of(body, sizeof(body) - 1), 0, 0, 0);
	peer_send(&p, buf_span(&b));
	rig_core_gets(r, IPC_HUB_EVENT, &ev);
	assert_int_equal(ev.body.len, 256 * 1024);
	buf_reset(&b);
	write_publish(&b, EVENTS, span_of(body, sizeof(body)), 0, 0, 0);
	peer_send(&p, buf_span(&b));
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_int_equal(m.code, 413001);
	peer_close(&p);
}

static void
subscriptions_that_are_not_served_get_0x80_each(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_buf b = BUF_INIT(1024);
	static const char *const filters[] = {
	    "devices/dev-2/messages/devicebound/#", "$iothub/methods/#", "$iothub/#"};
	open_session(&p, r);
	size_t len = 2;
	for (int i = 0; i < 3; i++)
		len += 3 + strlen(filters[i]);
	buf_u8(&b, 0x82);
	buf_u8(&b, (uint8_t)len);
	buf_u16(&b, 4);
	for (int i = 0; i < 3; i++) {
		buf_u16(&b, (uint16_t)strlen(filters[i]));
		buf_str(&b, filters[i]);
		buf_u8(&b, 1);
	}
	peer_send(&p, buf_span(&b));
	PEER_GETS(&p, "\x90\x05\x00\x04\x80\x80\x80");
	struct ipc_refused m;
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_int_equal(m.code, 400003);
	assert_true(rig_core_is_idle(r)); /* named once */
	peer_close(&p);
}

static void
ping_is_answered_while_publishes_wait(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_event m;
	open_session(&p, r);
	peer_publish(&p, EVENTS, "x", 1, 1);
	rig_core_gets(r, IPC_HUB_EVENT, &m);
	PEER_SEND(&p, "\xc0\x00");
	PEER_GETS(&p, "\xd0\x00");
	peer_close(&p);
}

static void
second_connect_and_qos_2_close(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_session(&p, r);
	peer_connect(&p, &good);
	peer_is_closed(&p);
	peer_close(&p);
	closed_with(r, 77, 400006, "second CONNECT");
	open_session(&p, r);
	peer_publish(&p, EVENTS, "x", 2, 1);
	peer_is_closed(&p);
	peer_close(&p);
	closed_with(r, 77, 400006, "QoS 2");
}

static void
other_protocol_levels_get_connack_1(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *bytes;
		size_t len;
	} connects[] = {
	    {"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00", 15},
	    {"\x10\x0e\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x00", 16},
	};
	for (size_t i = 0; i < 2; i++) {
		struct peer p;
		struct ipc_refused m;
		peer_open(&p, r, &r->mqtt_addr);
		peer_send(&p, span_of(connects[i].bytes, connects[i].len));
		PEER_GETS(&p, CONNACK("\x01"));
		peer_is_closed(&p);
		peer_close(&p);
		rig_core_gets(r, IPC_REFUSED, &m);
		assert_int_equal(m.code, 400001);
	}
}

static void
packet_that_announces_too_much_before_connect_closes_at_its_length(void **state)
{
	struct rig *r = *state;
	struct peer p;
	peer_open(&p, r, &r->mqtt_addr);
	PEER_SEND(&p, "\x10\xff\xff\xff\x7f");
	peer_is_closed(&p);
	peer_close(&p);
	peer_open(&p, r, &r->mqtt_addr);
	PEER_SEND(&p, "\x10\xff\xff\xff\xff\x7f");
	peer_is_closed(&p);
	peer_close(&p);
}

static void
connect_must_come_within_a_minute(void **state)
{
	struct rig *r = *state;
	struct peer p, q;
	struct ipc_refused m;
	peer_open(&p, r, &r->mqtt_addr);
	PEER_SEND(&p, "\x10\x20\x00\x04");
	rig_advance(r, 30000);
	peer_open(&q, r, &r->mqtt_addr);
	rig_advance(r, 29000);
	peer_hears_nothing(&p);
	rig_advance(r, 2000);
	peer_is_closed(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.plane, "mqtt"));
	assert_true(span_eq_str(m.reason, "no CONNECT in time"));
	peer_hears_nothing(&q);
	rig_advance(r, 30000);
	peer_is_closed(&q);
	peer_close(&p);
	peer_close(&q);
	assert_int_equal(mqtt_server_count(r->mqtt), 0);
}

static void
of_nameless_peers_a_few_a_minute_are_logged(void **state)
{
	struct rig *r = *state;
	struct ipc_refused m;
	for (int i = 0; i < 30; i++) {
		struct peer p;
		peer_open(&p, r, &r->mqtt_addr);
		PEER_SEND(&p, "\xc0\x00");
		peer_is_closed(&p);
		peer_close(&p);
	}
	for (int i = 0; i < 20; i++)
		rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.reason, "packet out of place"));
	assert_true(rig_core_is_idle(r));
	rig_advance(r, 61000);
	struct peer p;
	peer_open(&p, r, &r->mqtt_addr);
	PEER_SEND(&p, "\xc0\x00");
	peer_is_closed(&p);
	peer_close(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.reason,
	    "packet out of place (10 like it were not logged before this one)"));
}

static void
idle_limit_is_one_and_a_half_keep_alives_capped(void **state)
{
	assert_int_equal(mqtt_session_idle_ms(60, 1767), 90000);
	assert_int_equal(mqtt_session_idle_ms(1177, 1767), 1765500);
	assert_int_equal(mqtt_session_idle_ms(1178, 1767), 1767000);
	assert_int_equal(mqtt_session_idle_ms(65535, 1767), 1767000);
	assert_int_equal(mqtt_session_idle_ms(0, 1767), 1767000);
}

static void
silent_device_is_closed_at_one_and_a_half_keep_alives(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct connect c = good;
	c.keep_alive = 1; /* 1.5 s of real time: streams run on the machine's clock */
	open_as(&p, r, &c, 3, 0);
	struct ipc_hub_closed m;
	rig_core_gets(r, IPC_HUB_CLOSED, &m);
	assert_true(span_eq_str(m.reason, "silent for too long"));
	peer_close(&p);
}

enum { AWAIT, AUTHORIZING, UP, STATES };

/* What a client may send once it is up, with the flags it must carry. */
static bool
may_stay(int type, int flags, size_t len)
{
	switch (type) {
	case 3: /* a topic of length 0 is none, and longer ones are not ours */
		return false;
	case 4:
		return flags == 0 && len == 2;
	case 12:
		return flags == 0 && len == 0;
	default:
		return false;
	}
}

static void
drain_core(struct rig *r)
{
	struct err e = {0};
	struct ipc_frame f;
	rig_settle(r);
	while (ipc_sync_recv(r->peer, 0, &f, &e) == 0)
		;
}

/* reliability: 16 packet types x 16 flags x each state, three lengths each. */
static void
one_packet(struct rig *r, int state, int type, int flags, size_t len)
{
	struct peer p;
	struct ipc_hub_open m;
	uint8_t bytes[16] = {(uint8_t)(type << 4 | flags), (uint8_t)len, 0, 1};
	if (state == UP) {
		open_session(&p, r);
	} else {
		peer_open(&p, r, &r->mqtt_addr);
	}
	if (state == AUTHORIZING) {
		peer_connect(&p, &good);
		rig_core_gets(r, IPC_HUB_OPEN, &m);
	}
	peer_send(&p, span_of(bytes, len + 2));
	rig_settle(r);
	if (state == AUTHORIZING)
		peer_hears_nothing(&p); /* not read before the core has spoken */
	else if (state == AWAIT || !may_stay(type, flags, len))
		peer_is_closed(&p);
	else if (type == 12)
		PEER_GETS(&p, "\xd0\x00");
	else
		peer_hears_nothing(&p);
	peer_close(&p);
	drain_core(r);
}

static void
any_packet_in_any_state_is_survived(void **state)
{
	struct rig *r = *state;
	static const size_t lens[] = {0, 2, 10};
	for (int st = 0; st < STATES; st++)
		for (int i = 0; i < 256; i++)
			for (int k = 0; k < 3; k++)
				one_packet(r, st, i >> 4, i & 15, lens[k]);
	struct peer p;
	open_session(&p, r);
	peer_close(&p);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(connect_asks_the_core_and_hands_on_its_code),
	    T(core_in_trouble_is_3_never_5),
	    T(core_that_never_answers_is_3_after_25_seconds),
	    T(connect_refuses_foreign_client_ids_names_and_wills),
	    T(telemetry_is_stored_before_its_puback),
	    T(devices_cannot_set_the_hubs_stamps),
	    T(pubacks_leave_in_the_order_of_their_publishes),
	    T(message_that_is_not_stored_closes_without_a_puback),
	    T(publishes_beyond_the_cap_wait_unread),
	    T(pressure_of_the_core_stops_the_reading_of_all),
	    T(session_close_of_the_core_ends_the_session_and_its_will_is_told_first),
	    T(disconnect_forgets_the_will),
	    T(lost_core_ends_all_sessions_and_a_new_one_hears_nothing_of_them),
	    T(session_ends_when_its_token_is_over_with_up_to_a_minute_of_jitter),
	    T(peer_that_leaves_before_connack_gives_its_session_back),
	    T(foreign_topics_and_oversize_close_and_are_logged),
	    T(body_at_the_cap_is_taken_and_one_more_byte_closes),
	    T(subscriptions_that_are_not_served_get_0x80_each),
	    T(ping_is_answered_while_publishes_wait),
	    T(second_connect_and_qos_2_close),
	    T(other_protocol_levels_get_connack_1),
	    T(packet_that_announces_too_much_before_connect_closes_at_its_length),
	    T(connect_must_come_within_a_minute),
	    T(of_nameless_peers_a_few_a_minute_are_logged),
	    T(idle_limit_is_one_and_a_half_keep_alives_capped),
	    T(silent_device_is_closed_at_one_and_a_half_keep_alives),
	    T(any_packet_in_any_state_is_survived),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
