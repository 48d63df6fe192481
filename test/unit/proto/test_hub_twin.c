/*
 * Subscriptions and twins over MQTT, both peers played: quirks of protocol/device.md
 * section 7 by their rows.
 */
#include "rig.h"

#include "codec/topic.h"

#define HOST "127.0.0.1"
#define USER HOST "/dev-1/?api-version=2021-04-12&DeviceClientType=x"
#define SAS  TOKEN("127.0.0.1%2Fdevices%2Fdev-1")
#define RES  "$iothub/twin/res/#"
#define WANT "$iothub/twin/PATCH/properties/desired/#"
#define GET  "$iothub/twin/GET/?$rid="
#define PUT  "$iothub/twin/PATCH/properties/reported/?$rid="

static const struct connect good = {
    .client_id = "dev-1", .user = USER, .password = SAS, .keep_alive = 60};

/* A session 77 with these subscriptions of old. */
static void
open_with(struct peer *p, struct rig *r, uint32_t subs, bool clean)
{
	struct ipc_hub_open m;
	struct connect c = good;
	c.clean = clean;
	peer_open(p, r, &r->mqtt_addr);
	peer_connect(p, &c);
	uint64_t id = rig_core_gets(r, IPC_HUB_OPEN, &m);
	assert_int_equal(m.clean, clean);
	const struct ipc_hub_opened a = {
	    .session = 77, .present = subs != 0, .subs = subs};
	rig_core_says(r, id, IPC_HUB_OPENED, &a);
	if (subs)
		PEER_GETS(p, "\x20\x02\x01\x00");
	else
		PEER_GETS(p, "\x20\x02\x00\x00");
}

static uint32_t
subscribed(int res_qos, int desired_qos)
{
	uint32_t subs = topic_subs_with(0, TOPIC_SUB_TWIN_RES, res_qos);
	return topic_subs_with(subs, TOPIC_SUB_TWIN_DESIRED, desired_qos);
}

/* SUBSCRIBE (or UNSUBSCRIBE) number 4 of those filters. */
static void
send_filters(struct peer *p, const char *const *filters, const char *qos, bool un)
{
	auto_buf v = BUF_INIT(4096), b = BUF_INIT(4096);
	buf_u16(&v, 4);
	for (size_t i = 0; filters[i]; i++) {
		buf_u16(&v, (uint16_t)strlen(filters[i]));
		buf_str(&v, filters[i]);
		if (!un)
			buf_u8(&v, (uint8_t)(qos[i] - '0'));
	}
	buf_u8(&b, un ? 0xa2 : 0x82);
	assert_in_range(v.len, 1, 127);
	buf_u8(&b, (uint8_t)v.len);
	buf_put_span(&b, buf_span(&v));
	peer_send(p, buf_span(&b));
}

/* The next PUBLISH is this one, its packet ID aside. */
static void
gets_publish(struct peer *p, int qos, const char *topic, const char *body)
{
	auto_buf want = BUF_INIT(1 << 20);
	write_publish(&want, topic, span_str(body), qos, 1024, 0);
	peer_gets(p, buf_span(&want));
}

/* The next PUBLISH is an error of that status; its body is JSON with what Node reads. */
static void
gets_error(struct rig *r, struct peer *p, const char *topic, const char *code)
{
	rig_settle(r);
	peer_pull(p);
	assert_in_range(p->in.len, 5 + strlen(topic), 4096);
	const char *text = buf_text(&p->in) + 5; /* behind the lengths */
	assert_ptr_equal(strstr(text, topic), text);
	assert_non_null(strstr(text, code));
	assert_non_null(strstr(text, "\"message\":\""));
	assert_non_null(strstr(text, "\"trackingId\":\""));
	assert_non_null(strstr(text, "\"timestampUtc\":\"2026-01-01T"));
	buf_reset(&p->in);
}

/* ---- subscriptions ----------------------------------------------------------------- */

/* Row 13: one SUBSCRIBE with several filters, one SUBACK, codes in order; row 10: what
 * was asked for and no more; 3.7: an unknown one is refused and the rest granted. */
static void
suback_has_a_code_a_filter_and_waits_until_they_are_kept(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_subscribe m;
	struct ipc_refused no;
	open_with(&p, r, 0, false);
	send_filters(&p, (const char *[]){RES, "#", WANT, NULL}, "012", false);
	rig_core_gets(r, IPC_REFUSED, &no);
	assert_non_null(memmem(no.reason.p, no.reason.len, "subscribe to #", 14));
	uint64_t id = rig_core_gets(r, IPC_HUB_SUBSCRIBE, &m);
	assert_int_equal(m.session, 77);
	assert_int_equal(m.subs, subscribed(0, 1));
	peer_hears_nothing(&p);
	rig_core_done(r, id, ERR_OK, 0);
	PEER_GETS(&p, "\x90\x05\x00\x04\x00\x80\x01");
	peer_close(&p);
}

static void
subscriptions_that_stand_are_granted_at_once(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_with(&p, r, subscribed(0, 1), false);
	send_filters(&p, (const char *[]){RES, WANT, NULL}, "01", false);
	PEER_GETS(&p, "\x90\x04\x00\x04\x00\x01");
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
suback_does_not_overtake_what_is_still_being_kept(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_subscribe m;
	open_with(&p, r, 0, false);
	send_filters(&p, (const char *[]){RES, NULL}, "1", false);
	send_filters(&p, (const char *[]){RES, NULL}, "1", false);
	uint64_t id = rig_core_gets(r, IPC_HUB_SUBSCRIBE, &m);
	assert_true(rig_core_is_idle(r));
	peer_hears_nothing(&p);
	rig_core_done(r, id, ERR_OK, 0);
	PEER_GETS(&p, "\x90\x03\x00\x04\x01\x90\x03\x00\x04\x01");
	peer_close(&p);
}

static void
subscriptions_that_cannot_be_kept_close(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_subscribe m;
	open_with(&p, r, 0, false);
	send_filters(&p, (const char *[]){RES, NULL}, "1", false);
	uint64_t id = rig_core_gets(r, IPC_HUB_SUBSCRIBE, &m);
	rig_core_done(r, id, ERR_FULL, 0);
	peer_is_closed(&p);
	peer_close(&p);
}

/* Always an UNSUBACK, known filter or not (3.7). */
static void
unsubscribe_takes_back_and_always_answers(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_subscribe m;
	open_with(&p, r, subscribed(0, 1), false);
	send_filters(&p, (const char *[]){WANT, NULL}, "", true);
	uint64_t id = rig_core_gets(r, IPC_HUB_SUBSCRIBE, &m);
	assert_int_equal(m.subs, subscribed(0, -1));
	peer_hears_nothing(&p);
	rig_core_done(r, id, ERR_OK, 0);
	PEER_GETS(&p, "\xb0\x02\x00\x04");
	send_filters(&p, (const char *[]){"unknown", NULL}, "", true);
	PEER_GETS(&p, "\xb0\x02\x00\x04");
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
}

static void
clean_session_is_told_to_the_core(void **state)
{
	struct peer p;
	open_with(&p, *state, 0, true);
	peer_close(&p);
}

/* ---- GET --------------------------------------------------------------------------- */

/* Row 12: both trees, each with its $version, also of an empty twin; no $metadata. Rows 1
 * and 2: the subscription is an old connection's. */
static void
get_is_answered_with_both_trees_at_the_qos_granted(void **state)
{
	struct rig *r = *state;
	struct ipc_hub_twin_get m;
	for (int qos = 0; qos < 2; qos++) {
		struct peer p;
		open_with(&p, r, subscribed(qos, -1), false);
		peer_publish(&p, GET "a%20b", qos ? "" : " ", qos, 9);
		uint64_t id = rig_core_gets(r, IPC_HUB_TWIN_GET, &m);
		assert_int_equal(m.session, 77);
		peer_hears_nothing(&p);
		const struct ipc_hub_twin a = {.desired = SPAN_LIT("{}"),
		    .desired_version = 1,
		    .reported = SPAN_LIT("{\"a\":{\"b\":1}}"),
		    .reported_version = 12};
		rig_core_says(r, id, IPC_HUB_TWIN, &a);
		if (qos) /* .NET: the PUBACK first */
			PEER_GETS(&p, "\x40\x02\x00\x09");
		gets_publish(&p, qos, "$iothub/twin/res/200/?$rid=a%20b",
		    "{\"desired\":{\"$version\":1},"
		    "\"reported\":{\"a\":{\"b\":1},\"$version\":12}}");
		peer_close(&p);
		struct ipc_hub_closed closed;
		rig_core_gets(r, IPC_HUB_CLOSED, &closed);
	}
}

static void
answers_go_to_nobody_who_has_not_subscribed(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_get m;
	open_with(&p, r, 0, false);
	peer_publish(&p, GET "1", "", 0, 0);
	const struct ipc_hub_twin a = {
	    .desired = SPAN_LIT("{}"), .reported = SPAN_LIT("{}")};
	rig_core_says(r, rig_core_gets(r, IPC_HUB_TWIN_GET, &m), IPC_HUB_TWIN, &a);
	peer_hears_nothing(&p);
	peer_close(&p);
}

/* Row 3: Python repeats a failed GET at once. Closing makes it wait. */
static void
get_that_fails_closes_instead_of_a_fast_error(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_get m;
	open_with(&p, r, subscribed(1, 1), false);
	peer_publish(&p, GET "1", " ", 1, 3);
	rig_core_done(r, rig_core_gets(r, IPC_HUB_TWIN_GET, &m), ERR_BUSY, 0);
	peer_is_closed(&p);
	peer_close(&p);
}

/* ---- reports ----------------------------------------------------------------------- */

/* Row 15: 204, the new version, nothing in the body; row 14 and 3.12: the rid as it came.
 */
static void
report_is_written_anew_and_answered_with_204(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_report m;
	open_with(&p, r, subscribed(0, -1), false);
	peer_publish(
	    &p, PUT "7", " { \"a\" : [ 1 , {\"b\":null} ], \"$version\": 3 } ", 0, 0);
	uint64_t id = rig_core_gets(r, IPC_HUB_TWIN_REPORT, &m);
	assert_int_equal(m.session, 77);
	assert_int_equal(m.version, -1);
	assert_true(span_eq_str(m.patch, "{\"a\":[1,{\"b\":null}]}"));
	peer_hears_nothing(&p);
	const struct ipc_done d = {.number = 5};
	rig_core_says(r, id, IPC_DONE, &d);
	gets_publish(&p, 0, "$iothub/twin/res/204/?$rid=7&$version=5", "");
	peer_publish(&p, PUT "7&$version=5", "{}", 0, 0);
	id = rig_core_gets(r, IPC_HUB_TWIN_REPORT, &m);
	assert_int_equal(m.version, 5);
	const struct ipc_done late = {
	    .code = ERR_CONFLICT, .text = SPAN_LIT("reported is at version 6")};
	rig_core_says(r, id, IPC_DONE, &late);
	gets_error(r, &p, "$iothub/twin/res/412/?$rid=7{", "\"errorCode\":412001");
	peer_close(&p);
}

/* Row 16: Node finds errors in a JSON body with an errorCode and nowhere else. */
static void
report_that_is_none_is_refused_in_words_and_keeps_the_connection(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *body, *topic, *code;
	} bad[] = {
	    {"", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {" ", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {"{", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {"[1]", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {"null", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {"{\"a.b\":1}", "$iothub/twin/res/400/?$rid=1{", "\"errorCode\":400004"},
	    {"{\"a\":{\"$b\":1}}", "$iothub/twin/res/400/?$rid=1{",
		"\"errorCode\":400004"},
	    {"{\"a\":4503599627370497}", "$iothub/twin/res/400/?$rid=1{",
		"\"errorCode\":400004"},
	    {"{\"a\":[[[[[[[[[[[1]]]]]]]]]]]}", "$iothub/twin/res/413/?$rid=1{",
		"\"errorCode\":413001"},
	};
	struct peer p;
	open_with(&p, r, subscribed(0, -1), false);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		peer_publish(&p, PUT "1", bad[i].body, 0, 0);
		gets_error(r, &p, bad[i].topic, bad[i].code);
	}
	assert_true(rig_core_is_idle(r));
	PEER_SEND(&p, "\xc0\x00");
	PEER_GETS(&p, "\xd0\x00");
	peer_close(&p);
}

static void
report_at_the_cap_passes_and_one_byte_more_is_413(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_report m;
	auto_buf body = BUF_INIT(1 << 20);
	open_with(&p, r, subscribed(0, -1), false);
	for (int over = 0; over < 2; over++) {
		buf_reset(&body);
		buf_str(&body, over ? "{\"more\":\"" : "{\"mor\":\"");
		for (int i = 0; i < 1021; i++)
			buf_u8(&body, 'x');
		buf_str(&body, "\"");
		for (int k = 1; k < 32; k++) {
			buf_printf(&body, ",\"k%03d\":\"", k);
			for (int i = 0; i < 1020; i++)
				buf_u8(&body, 'x');
			buf_str(&body, "\"");
		}
		buf_str(&body, "}");
		peer_publish(&p, PUT "1", buf_text(&body), 0, 0);
		if (!over)
			rig_core_gets(r, IPC_HUB_TWIN_REPORT, &m);
	}
	gets_error(r, &p, "$iothub/twin/res/413/?$rid=1{", "\"errorCode\":413001");
	peer_close(&p);
}

static void
report_that_is_not_stored_closes(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_report m;
	open_with(&p, r, subscribed(1, -1), false);
	peer_publish(&p, PUT "1", "{}", 1, 3);
	rig_core_done(r, rig_core_gets(r, IPC_HUB_TWIN_REPORT, &m), ERR_IO, 0);
	peer_is_closed(&p);
	peer_close(&p);
}

/* What waits is forgotten with its connection; an answer that comes late finds nobody. */
static void
device_may_leave_while_it_is_served(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_hub_twin_get m;
	struct ipc_hub_closed closed;
	open_with(&p, r, subscribed(1, 1), false);
	peer_publish(&p, GET "1", " ", 1, 3);
	uint64_t id = rig_core_gets(r, IPC_HUB_TWIN_GET, &m);
	peer_publish(&p, GET "2", " ", 1, 4);
	rig_core_gets(r, IPC_HUB_TWIN_GET, &m);
	peer_close(&p);
	rig_core_gets(r, IPC_HUB_CLOSED, &closed);
	const struct ipc_hub_twin a = {
	    .desired = SPAN_LIT("{}"), .reported = SPAN_LIT("{}")};
	rig_core_says(r, id, IPC_HUB_TWIN, &a);
	rig_settle(r);
	assert_int_equal(hub_mqtt_sessions(r->hub), 0);
}

/* ---- desired ----------------------------------------------------------------------- */

static void
desired_changes_reach_those_who_subscribed_at_their_qos(void **state)
{
	struct rig *r = *state;
	const struct ipc_hub_desired m = {
	    .session = 77, .version = 8, .patch = SPAN_LIT("{\"a\":null}")};
	for (int qos = -1; qos < 2; qos++) {
		struct peer p;
		open_with(&p, r, subscribed(0, qos), false);
		hub_twin_on_desired(r->hub, &m);
		if (qos < 0)
			peer_hears_nothing(&p);
		else
			gets_publish(&p, qos,
			    "$iothub/twin/PATCH/properties/desired/?$version=8",
			    "{\"a\":null,\"$version\":8}");
		peer_close(&p);
		struct ipc_hub_closed closed;
		rig_core_gets(r, IPC_HUB_CLOSED, &closed);
	}
	hub_twin_on_desired(r->hub, &m); /* nobody there: nothing */
}

/* Row 10: the C SDK never acknowledges; more than any window must go out. */
static void
desired_changes_wait_for_no_acknowledgement(void **state)
{
	struct rig *r = *state;
	struct peer p;
	open_with(&p, r, subscribed(-1, 1), false);
	for (int i = 0; i < 200; i++) {
		const struct ipc_hub_desired m = {
		    .session = 77, .version = 5, .patch = SPAN_LIT("{}")};
		hub_twin_on_desired(r->hub, &m);
	}
	rig_settle(r);
	peer_pull(&p);
	size_t one = 2 + 2 + strlen("$iothub/twin/PATCH/properties/desired/?$version=5") +
		     2 + strlen("{\"$version\":5}");
	assert_int_equal(p.in.len, 200 * one);
	buf_reset(&p.in);
	peer_close(&p);
}

/* One that never reads is cut off at a cap, and its neighbour is not. */
static void
device_that_does_not_read_is_closed(void **state)
{
	struct rig *r = *state;
	struct peer deaf, neighbour;
	struct ipc_hub_closed closed;
	auto_buf patch = BUF_INIT(CAP_TWIN);
	buf_str(&patch, "{\"a\":\"");
	for (int i = 0; i < 100000; i++)
		buf_u8(&patch, 'x');
	buf_str(&patch, "\"}");
	struct ipc_hub_desired m = {
	    .session = 77, .version = 2, .patch = buf_span(&patch)};
	open_with(&deaf, r, subscribed(-1, 1), false);
	for (int i = 0; i < 100 && hub_mqtt_sessions(r->hub); i++) {
		hub_twin_on_desired(r->hub, &m);
		rig_settle(r);
	}
	rig_core_gets(r, IPC_HUB_CLOSED, &closed);
	assert_int_equal(closed.session, 77);
	open_with(&neighbour, r, subscribed(-1, 0), false);
	m.patch = SPAN_LIT("{}");
	hub_twin_on_desired(r->hub, &m);
	gets_publish(&neighbour, 0, "$iothub/twin/PATCH/properties/desired/?$version=2",
	    "{\"$version\":2}");
	peer_close(&neighbour);
	peer_close(&deaf);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(suback_has_a_code_a_filter_and_waits_until_they_are_kept),
	    T(subscriptions_that_stand_are_granted_at_once),
	    T(suback_does_not_overtake_what_is_still_being_kept),
	    T(subscriptions_that_cannot_be_kept_close),
	    T(unsubscribe_takes_back_and_always_answers),
	    T(clean_session_is_told_to_the_core),
	    T(get_is_answered_with_both_trees_at_the_qos_granted),
	    T(answers_go_to_nobody_who_has_not_subscribed),
	    T(get_that_fails_closes_instead_of_a_fast_error),
	    T(report_is_written_anew_and_answered_with_204),
	    T(report_that_is_none_is_refused_in_words_and_keeps_the_connection),
	    T(report_at_the_cap_passes_and_one_byte_more_is_413),
	    T(report_that_is_not_stored_closes),
	    T(device_may_leave_while_it_is_served),
	    T(desired_changes_reach_those_who_subscribed_at_their_qos),
	    T(desired_changes_wait_for_no_acknowledgement),
	    T(device_that_does_not_read_is_closed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
