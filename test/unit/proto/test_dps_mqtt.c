/*
 * DPS over MQTT, both peers played.
 */
#include "rig.h"

#define SCOPE         "0ne00000001"
#define USER          SCOPE "/registrations/dev-1/api-version=2019-03-31&ClientVersion=x%2F1"
#define SAS           TOKEN("0ne00000001%2Fregistrations%2Fdev-1") "&skn=registration"
#define REGISTER(rid) "$dps/registrations/PUT/iotdps-register/?$rid=" rid
#define POLL(rid, op)                                                                    \
	"$dps/registrations/GET/iotdps-get-operationstatus/?$rid=" rid "&operationId"    \
	"=" op
#define CONNACK_OK "\x20\x02\x00\x00"
#define CONNACK_5  "\x20\x02\x00\x05"

static const struct connect good = {
    .client_id = "dev-1", .user = USER, .password = SAS, .clean = true};

static void
open_session(struct peer *p, struct rig *r)
{
	auto_buf b = BUF_INIT(256);
	peer_open(p, r, &r->mqtt_addr);
	peer_connect(p, &good);
	PEER_GETS(p, CONNACK_OK);
	buf_u8(&b, 0x82);
	buf_u8(&b, 2 + 2 + 24 + 1);
	buf_u16(&b, 1);
	buf_u16(&b, 24);
	buf_str(&b, "$dps/registrations/res/#");
	buf_u8(&b, 1);
	peer_send(p, buf_span(&b));
	PEER_GETS(p, "\x90\x03\x00\x01\x01");
}

/* A PUBLISH at QoS 0 on topic whose body holds each of the texts. */
static void
gets_response(struct peer *p, const char *topic, const char *const *texts)
{
	rig_settle(p->rig);
	peer_gets(p, SPAN_LIT("\x30"));
	size_t len = 0, shift = 0;
	uint8_t one;
	do {
		peer_gets(p, SPAN_NONE);
		one = p->in.p[0];
		buf_drop(&p->in, 1);
		len |= (size_t)(one & 127) << shift;
		shift += 7;
	} while (one & 128);
	assert_int_equal(p->in.len, len);
	struct cursor c = cursor_of(buf_span(&p->in));
	struct span name = cursor_take(&c, cursor_u16(&c));
	char body[16384];
	assert_true(span_to_str(name, body, sizeof(body)));
	assert_string_equal(body, topic);
	struct span json = cursor_take(&c, c.left);
	assert_true(span_to_str(json, body, sizeof(body)));
	for (; *texts; texts++)
		if (!strstr(body, *texts))
			fail_msg("no %s in %s", *texts, body);
	for (size_t i = 0; i < json.len; i++)
		assert_in_range(json.p[i], 0x20, 0x7e);
	buf_reset(&p->in);
}
#define GETS_RESPONSE(p, topic, ...)                                                     \
	gets_response(p, topic, (const char *const[]){__VA_ARGS__, NULL})

static void
refused(struct rig *r, const struct connect *c, const char *why)
{
	struct peer p;
	struct ipc_refused m;
	char reason[301];
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, c);
	PEER_GETS(&p, CONNACK_5);
	peer_is_closed(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_to_str(m.reason, reason, sizeof(reason)));
	if (!strstr(reason, why))
		fail_msg("reason is \"%s\"", reason);
	assert_true(span_eq_str(m.plane, "dps"));
	assert_int_equal(m.code, 401002);
	assert_null(strstr(reason, "AQEB")); /* never any of the token */
	peer_close(&p);
}

static void
connect_refuses_with_5_what_is_wrong_for_ever_and_logs_why(void **state)
{
	struct connect c = good;
	c.password = NULL;
	refused(*state, &c, "neither a token nor a certificate");
	c.password = "";
	refused(*state, &c, "neither a token nor a certificate");
	c.password = "SharedAccessSignature sr=x&sig=AQEB&se=1";
	refused(*state, &c, "");
	c = good;
	c.user = SCOPE "/registrations/dev%20one/api-version=1";
	refused(*state, &c, "");
}

static void
connect_accepts_a_token_of_another_scope_and_leaves_it_to_the_core(void **state)
{
	struct peer p;
	struct connect c = good;
	c.user = "0neOTHER/registrations/dev-1/api-version=2019-03-31";
	peer_open(&p, *state, &((struct rig *)*state)->mqtt_addr);
	peer_connect(&p, &c);
	PEER_GETS(&p, CONNACK_OK);
	peer_close(&p);
}

static void
register_goes_to_the_core_with_the_token_split(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("7"),
	    "{\"registrationId\":\"DEV-1\",\"payload\":{\"a\":\"\xc3\xa9\"}}", 1, 9);
	PEER_GETS(&p, "\x40\x02\x00\x09");
	rig_core_gets(r, IPC_DPS_REGISTER, &m);
	assert_true(span_eq_str(m.id_scope, SCOPE));
	assert_true(span_eq_str(m.registration_id, "dev-1"));
	assert_true(span_eq_str(m.payload, "{\"a\":\"\\u00e9\"}") ||
		    span_eq_str(m.payload, "{\"a\":\"\\u00E9\"}"));
	assert_int_equal(m.cred.kind, CRED_SAS);
	assert_true(span_eq_str(m.cred.sas_sr, "0ne00000001%2Fregistrations%2Fdev-1"));
	assert_true(span_eq_str(m.cred.sas_resource, "0ne00000001/registrations/dev-1"));
	assert_true(span_eq_str(m.cred.sas_se, "1900000000"));
	assert_int_equal(m.cred.sas_expiry_s, 1900000000);
	assert_int_equal(m.cred.sas_sig.len, 32);
	assert_true(span_eq_str(m.cred.sas_policy, "registration"));
	assert_true(span_eq_str(m.peer.proto, "mqtt"));
	assert_true(span_eq_str(m.peer.api_version, "2019-03-31"));
	peer_close(&p);
}

static void
puback_leaves_before_the_response(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("abc"), "", 1, 2);
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	const struct ipc_dps_state st = {.operation_id = SPAN_LIT("4.ab.cd"),
	    .status = SPAN_LIT("assigned"),
	    .substatus = SPAN_LIT("initialAssignment"),
	    .registration_id = SPAN_LIT("dev-1"),
	    .device_id = SPAN_LIT("dev-1"),
	    .hub = SPAN_LIT("hub.example.net"),
	    .attestation = SPAN_LIT("x509"),
	    .etag = 3,
	    .created_ms = RIG_NOW_MS,
	    .updated_ms = RIG_NOW_MS};
	rig_core_says(r, id, IPC_DPS_STATE, &st);
	PEER_GETS(&p, "\x40\x02\x00\x02");
	GETS_RESPONSE(&p, "$dps/registrations/res/200/?$rid=abc",
	    "\"operationId\":\"4.ab.cd\"", "\"status\":\"assigned\"",
	    "\"assignedHub\":\"hub.example.net\"", "\"x509\":{}",
	    "\"substatus\":\"initialAssignment\"",
	    "\"createdDateTimeUtc\":\"2026-01-01T00:00:00.0000000Z\"",
	    "\"etag\":\"\\\"Mw==\\\"\"");
	peer_close(&p);
}

static void
assigning_is_202_with_retry_after(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_poll m;
	open_session(&p, r);
	peer_publish(&p, POLL("1", "4.ab.cd"), " ", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_DPS_POLL, &m);
	assert_true(span_eq_str(m.operation_id, "4.ab.cd"));
	const struct ipc_dps_state st = {.operation_id = SPAN_LIT("4.ab.cd"),
	    .status = SPAN_LIT("assigning"),
	    .registration_id = SPAN_LIT("dev-1")};
	rig_core_says(r, id, IPC_DPS_STATE, &st);
	GETS_RESPONSE(&p, "$dps/registrations/res/202/?$rid=1&retry-after=3",
	    "\"registrationState\":{\"registrationId\":\"dev-1\",\"status\":"
	    "\"assigning\"}");
	peer_close(&p);
}

static void
disabled_is_200_with_error_code_and_message(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("1"), "", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	const struct ipc_dps_state st = {.operation_id = SPAN_LIT("o"),
	    .status = SPAN_LIT("disabled"),
	    .error = 403003,
	    .error_text = SPAN_LIT("Enrollment is disabled"),
	    .registration_id = SPAN_LIT("dev-1")};
	rig_core_says(r, id, IPC_DPS_STATE, &st);
	GETS_RESPONSE(&p, "$dps/registrations/res/200/?$rid=1", "\"errorCode\":403003",
	    "\"errorMessage\":\"Enrollment is disabled\"", "\"status\":\"disabled\"");
	peer_close(&p);
}

static void
core_refusal_is_a_message_without_the_operators_text(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("1"), "", 1, 1);
	PEER_GETS(&p, "\x40\x02\x00\x01");
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	const struct ipc_done d = {
	    .code = ERR_DENIED, .error = 401002, .text = SPAN_LIT("secret reason")};
	rig_core_says(r, id, IPC_DONE, &d);
	rig_settle(r);
	GETS_RESPONSE(&p, "$dps/registrations/res/401/?$rid=1", "\"errorCode\":401002",
	    "\"message\":\"Unauthorized\"", "\"trackingId\"", "\"timestampUtc\"");
	peer_publish(&p, REGISTER("2"), "", 0, 0);
	id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	rig_core_done(r, id, ERR_BUSY, 429001);
	GETS_RESPONSE(&p, "$dps/registrations/res/429/?$rid=2&retry-after=3", "429001");
	peer_close(&p);
}

static void
core_that_is_gone_makes_503_with_retry_after(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("1"), "", 0, 0);
	rig_core_gets(r, IPC_DPS_REGISTER, &m);
	rig_core_dies(r, false);
	GETS_RESPONSE(&p, "$dps/registrations/res/503/?$rid=1&retry-after=3", "503001");
	peer_publish(&p, REGISTER("2"), "", 0, 0);
	GETS_RESPONSE(&p, "$dps/registrations/res/503/?$rid=2&retry-after=3", "503001");
	peer_close(&p);
}

static void
malformed_register_is_400_and_never_reaches_the_core(void **state)
{
	struct rig *r = *state;
	struct peer p;
	static const char *const bodies[] = {"{", "[]", "7",
	    "{\"registrationId\":\"dev-2\"}", "{\"registrationId\":1}",
	    "{\"a\":1,\"a\":2}"};
	open_session(&p, r);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		peer_publish(&p, REGISTER("1"), bodies[i], 0, 0);
		GETS_RESPONSE(
		    &p, "$dps/registrations/res/400/?$rid=1", "\"errorCode\":400004");
	}
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
payload_null_as_python_sends_it_is_no_payload(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("1"),
	    "{\"payload\": null, \"registrationId\": \"dev-1\"}", 0, 0);
	rig_core_gets(r, IPC_DPS_REGISTER, &m);
	assert_int_equal(m.payload.len, 0);
	peer_close(&p);
}

static void
ninth_question_at_once_is_429(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	for (int i = 0; i < 8; i++) {
		peer_publish(&p, REGISTER("1"), "", 0, 0);
		rig_core_gets(r, IPC_DPS_REGISTER, &m);
	}
	peer_publish(&p, REGISTER("9"), "", 0, 0);
	GETS_RESPONSE(&p, "$dps/registrations/res/429/?$rid=9&retry-after=3", "429001");
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
foreign_topic_closes_and_is_logged_with_the_topic(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_refused m;
	open_session(&p, r);
	peer_publish(&p, "devices/dev-1/messages/events/", "x", 1, 1);
	peer_is_closed(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	char reason[301];
	assert_true(span_to_str(m.reason, reason, sizeof(reason)));
	assert_non_null(strstr(reason, "devices/dev-1/messages/events/"));
	peer_close(&p);
}

static void
unsubscribed_client_gets_no_response(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	peer_open(&p, r, &r->mqtt_addr);
	peer_connect(&p, &good);
	PEER_GETS(&p, CONNACK_OK);
	peer_publish(&p, REGISTER("1"), "", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	rig_core_done(r, id, ERR_DENIED, 401002);
	peer_hears_nothing(&p);
	peer_close(&p);
}

static void
unknown_filter_is_refused_and_unsubscribe_is_always_answered(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_session(&p, r);
	PEER_SEND(&p, "\x82\x06\x00\x05\x00\x01#\x01");
	PEER_GETS(&p, "\x90\x03\x00\x05\x80");
	PEER_SEND(&p, "\xa2\x05\x00\x06\x00\x01#");
	PEER_GETS(&p, "\xb0\x02\x00\x06");
	peer_close(&p);
}

static void
client_that_leaves_drops_its_questions(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	peer_publish(&p, REGISTER("1"), "", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	assert_int_equal(core_link_pending(r->core), 1);
	peer_close(&p);
	rig_settle(r);
	assert_int_equal(core_link_pending(r->core), 0);
	rig_core_done(r, id, ERR_OK, 0);
	assert_int_equal(r->orphans, 1);
}

static void
who_registers_nothing_is_closed_and_logged(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_refused m;
	open_session(&p, r);
	rig_advance(r, 120000);
	PEER_SEND(&p, "\xc0\x00"); /* alive is not enough */
	PEER_GETS(&p, "\xd0\x00");
	rig_advance(r, (r->config.dps.retry_after_s + 1) * 1000);
	peer_is_closed(&p);
	rig_core_gets(r, IPC_REFUSED, &m);
	assert_true(span_eq_str(m.device_id, "dev-1"));
	assert_true(span_eq_str(m.reason, "connected, and registered nothing in time"));
	peer_close(&p);
}

static void
who_was_answered_about_its_registration_may_stay(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_dps_register m;
	open_session(&p, r);
	rig_advance(r, 60000);
	peer_publish(&p, REGISTER("1"), "", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	const struct ipc_dps_state a = {.status = SPAN_LIT("assigning"),
	    .registration_id = SPAN_LIT("dev-1"),
	    .operation_id = SPAN_LIT("4.op")};
	rig_core_says(r, id, IPC_DPS_STATE, &a);
	peer_pull(&p);
	buf_reset(&p.in);
	rig_advance(r, 600000);
	PEER_SEND(&p, "\xc0\x00");
	PEER_GETS(&p, "\xd0\x00");
	peer_close(&p);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(connect_refuses_with_5_what_is_wrong_for_ever_and_logs_why),
	    T(connect_accepts_a_token_of_another_scope_and_leaves_it_to_the_core),
	    T(register_goes_to_the_core_with_the_token_split),
	    T(puback_leaves_before_the_response),
	    T(assigning_is_202_with_retry_after),
	    T(disabled_is_200_with_error_code_and_message),
	    T(core_refusal_is_a_message_without_the_operators_text),
	    T(core_that_is_gone_makes_503_with_retry_after),
	    T(malformed_register_is_400_and_never_reaches_the_core),
	    T(payload_null_as_python_sends_it_is_no_payload),
	    T(ninth_question_at_once_is_429),
	    T(foreign_topic_closes_and_is_logged_with_the_topic),
	    T(unsubscribed_client_gets_no_response),
	    T(unknown_filter_is_refused_and_unsubscribe_is_always_answered),
	    T(client_that_leaves_drops_its_questions),
	    T(who_registers_nothing_is_closed_and_logged),
	    T(who_was_answered_about_its_registration_may_stay),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
