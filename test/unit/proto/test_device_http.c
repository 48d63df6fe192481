/*
 * Devices over HTTPS: DPS, telemetry, cloud-to-device messages, uploads. What the clients
 * were seen to send, and what they cannot do without in the answers.
 */
#include "web.h"

#include <stdio.h>

#include "base/base64.h"
#include "codec/event_list.h"
#include "proto/hub/event_batch.h"

#define DPS_AUTH                                                                         \
	"Authorization: " TOKEN(                                                         \
	    "0ne00000001%2Fregistrations%2Fsensor-001") "&skn=registration\r\n"
#define HUB_AUTH "Authorization: " TOKEN("127.0.0.1%2Fdevices%2Fd1") "\r\n"
#define REGISTER                                                                         \
	"PUT /0ne00000001/registrations/sensor-001/register?api-version=2019-03-31"

#define C2D "/devices/d1/messages/devicebound"

/* ---- DPS --------------------------------------------------------------------------- */

static const struct ipc_dps_state assigned = {.operation_id = SPAN_LIT("4.ab.cd"),
    .status = SPAN_LIT("assigned"),
    .substatus = SPAN_LIT("initialAssignment"),
    .registration_id = SPAN_LIT("sensor-001"),
    .device_id = SPAN_LIT("sensor-001"),
    .hub = SPAN_LIT("127.0.0.1"),
    .attestation = SPAN_LIT("x509"),
    .etag = 3,
    .created_ms = RIG_NOW_MS,
    .updated_ms = RIG_NOW_MS};

static void
register_is_202_and_assigning_whatever_was_decided(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_dps_register m;
	ask(&p, r, REGISTER "&forceRegistration=true", DPS_AUTH,
	    "{\"registrationId\":\"SENSOR-001\",\"payload\":{\"a\": 1},\"later\":1}");
	uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
	assert_true(span_eq_str(m.id_scope, "0ne00000001"));
	assert_true(span_eq_str(m.registration_id, "sensor-001"));
	assert_true(span_eq_str(m.payload, "{\"a\":1}"));
	assert_int_equal(m.cred.kind, CRED_SAS);
	assert_true(span_eq_str(m.cred.sas_policy, "registration"));
	assert_true(span_eq_str(m.peer.api_version, "2019-03-31"));
	rig_core_says(r, id, IPC_DPS_STATE, &assigned);
	take(&p, &a);
	assert_int_equal(a.status, 202);
	has(a.head, "Content-Type: application/json; charset=utf-8\r\n");
	has(a.head,
	    "Location: /0ne00000001/registrations/sensor-001/operations/4.ab.cd\r\n");
	has(a.head, "Retry-After: 1\r\n");
	has(a.head, "x-ms-request-id: ");
	assert_string_equal(a.body,
	    "{\"operationId\":\"4.ab.cd\",\"status\":\"assigning\",\"registrationState\":"
	    "{\"registrationId\":\"sensor-001\",\"status\":\"assigning\"}}");
	peer_close(&p);
}

/* X.509 without a header; and the blank one of the C SDK (4.1). */
static void
a_device_without_a_token_is_the_cores_to_judge(void **state)
{
	struct rig *r = *state;
	static const char *const headers[] = {"", "Authorization:  \r\n"};
	for (size_t i = 0; i < 2; i++) {
		struct peer p;
		auto_answer a;
		struct ipc_dps_register m;
		ask(&p, r, REGISTER, headers[i], "");
		uint64_t id = rig_core_gets(r, IPC_DPS_REGISTER, &m);
		assert_int_equal(m.cred.kind, CRED_NONE);
		assert_int_equal(m.payload.len, 0);
		rig_core_done(r, id, ERR_DENIED, 401002);
		take(&p, &a);
		assert_int_equal(a.status, 401);
		/* what iot-identity-service decodes (row 26) */
		assert_int_equal(js_as_int(js_get(a.json, "errorCode")), 401002);
		assert_true(js_is(js_get(a.json, "message"), JS_STRING));
		peer_close(&p);
	}
}

static void
poll_drops_nodes_body_and_says_how_it_ended(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_dps_poll m;
	ask(&p, r,
	    "GET "
	    "/0ne00000001/registrations/sensor%2D001/operations/4.ab.cd?api-version=x",
	    DPS_AUTH, "{}");
	uint64_t id = rig_core_gets(r, IPC_DPS_POLL, &m);
	assert_true(span_eq_str(m.registration_id, "sensor-001"));
	assert_true(span_eq_str(m.operation_id, "4.ab.cd"));
	rig_core_says(r, id, IPC_DPS_STATE, &assigned);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	assert_null(strstr(a.head, "Retry-After"));
	has(a.body, "\"status\":\"assigned\",\"registrationState\":{");
	has(a.body, "\"assignedHub\":\"127.0.0.1\",\"deviceId\":\"sensor-001\"");
	peer_close(&p);
}

static void
poll_under_way_is_202_with_the_registration_id(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_dps_poll m;
	struct ipc_dps_state st = assigned;
	st.status = SPAN_LIT("assigning");
	st.retry_after_s = 7;
	ask(&p, r, "GET /s/registrations/sensor-001/operations/4.ab.cd", DPS_AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_DPS_POLL, &m);
	rig_core_says(r, id, IPC_DPS_STATE, &st);
	take(&p, &a);
	assert_int_equal(a.status, 202);
	has(a.head, "Retry-After: 7\r\n");
	has(a.body, "\"registrationState\":{\"registrationId\":\"sensor-001\"");
	peer_close(&p);
}

static void
lookup_is_the_bare_state(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_dps_poll m;
	ask(&p, r, "POST /s/registrations/sensor-001?api-version=x", DPS_AUTH,
	    "{\"registrationId\":\"sensor-001\"}");
	uint64_t id = rig_core_gets(r, IPC_DPS_POLL, &m);
	assert_int_equal(m.operation_id.len, 0);
	rig_core_says(r, id, IPC_DPS_STATE, &assigned);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	assert_true(span_eq_str(js_as_str(js_get(a.json, "status")), "assigned"));
	assert_null(js_get(a.json, "operationId"));
	peer_close(&p);
}

static void
registrations_that_are_none_are_400(void **state)
{
	struct rig *r = *state;
	answers(r, REGISTER, DPS_AUTH, "{\"registrationId\":\"other\"}", 400, "json",
	    "\"errorCode\":400");
	answers(r, REGISTER, DPS_AUTH, "[]", 400, "", "");
	answers(r, REGISTER, DPS_AUTH, "{", 400, "", "");
	answers(r, "PUT /%ff/registrations/x/register", DPS_AUTH, "", 400, "", "");
	answers(r, REGISTER, "Authorization: Bearer x\r\n", "", 401, "json", "401002");
	drain_refused_on(r, "dps", "");
	assert_true(rig_core_is_idle(r));
}

static void
throttled_registration_says_when_to_come_back(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_dps_register m;
	ask(&p, r, REGISTER, DPS_AUTH, "");
	rig_core_done(r, rig_core_gets(r, IPC_DPS_REGISTER, &m), ERR_BUSY, 429001);
	take(&p, &a);
	assert_int_equal(a.status, 429);
	has(a.head, "Retry-After: 3\r\n");
	peer_close(&p);
}

/* The scope is any text: the rows of services go before. */
static void
scopes_shadow_no_route_of_services(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_registration_query q;
	ask(&p, r, "POST /registrations/registrations/query",
	    "Authorization: " TOKEN("127.0.0.1") "&skn=provisioningserviceowner\r\n", "");
	rig_core_gets(r, IPC_REGISTRATION_QUERY, &q);
	peer_close(&p);
}

/* ---- telemetry --------------------------------------------------------------------- */

/* The only message of a list. */
static void
is_only(struct span list, const char *props, struct span body)
{
	struct span p, b;
	struct err e;
	char text[4096];
	assert_int_equal(event_list_next(&list, &p, &b, &e), 1);
	assert_int_equal(list.len, 0);
	assert_true(span_to_str(p, text, sizeof(text)));
	assert_string_equal(text, props);
	assert_true(span_eq(b, body));
}

static void
headers_in_all_spellings_become_the_properties_of_mqtt(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_device_send m;
	ask(&p, r, "POST /devices/d1/messages/events?api-version=2021-04-12",
	    HUB_AUTH "iothub-to: /devices/d1/messages/events\r\n"
		     "IoTHub-MessageId: m-1\r\niothub-correlationid: c\r\n"
		     "IoTHub-UserId: u\r\nIoTHub-Expiry: 2026-01-01\r\n"
		     "IoTHub-Ack: full\r\n"
		     "iothub-contenttype: application/json\r\n"
		     "iothub-contentencoding: utf-8\r\n"
		     "iothub-app-Alert: a b\r\niothub-app-iothub-enqueuedtime: 1\r\n"
		     "dt-subject: c1\r\niothub-name: x\r\nX-Other: y\r\n"
		     "Content-Type: application/octet-stream\r\n",
	    "{\"n\":1}");
	uint64_t id = rig_core_gets(r, IPC_DEVICE_SEND, &m);
	assert_true(span_eq_str(m.device_id, "d1"));
	assert_int_equal(m.module_id.len, 0);
	assert_true(span_eq_str(m.host, "x"));
	assert_true(span_eq_str(m.cred.sas_resource, "127.0.0.1/devices/d1"));
	is_only(m.events,
	    "{\"application\":{\"Alert\":\"a b\",\"iothub-ack\":\"full\"},\"system\":{"
	    "\"absolute-expiry-time\":\"2026-01-01\",\"content-encoding\":\"utf-8\","
	    "\"content-type\":\"application/json\",\"correlation-id\":\"c\","
	    "\"dt-subject\":\"c1\",\"message-id\":\"m-1\",\"user-id\":\"u\"}}",
	    SPAN_LIT("{\"n\":1}"));
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 204);
	assert_string_equal(a.body, "");
	peer_close(&p);
}

static void
batch_is_one_question(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_device_send m;
	struct span props, body;
	struct err e;
	ask(&p, r, "POST /devices/d1/messages/events",
	    HUB_AUTH
	    "Content-Type: application/vnd.microsoft.iothub.json; charset=utf-8\r\n",
	    "[{\"body\":\"YmF0Y2gtMQ==\"},"
	    "{\"body\":\"plain\",\"base64Encoded\":false,\"properties\":{\"iothub-app-"
	    "a\":\"1\","
	    "\"n\":2,\"dt-subject\":\"s\",\"iothub-messageid\":\"m\",\"gone\":null}}]");
	uint64_t id = rig_core_gets(r, IPC_DEVICE_SEND, &m);
	struct span list = m.events;
	assert_int_equal(event_list_next(&list, &props, &body, &e), 1);
	assert_true(span_eq_str(props, "{\"application\":{},\"system\":{}}"));
	assert_true(span_eq_str(body, "batch-1"));
	is_only(list,
	    "{\"application\":{\"a\":\"1\",\"gone\":null,\"n\":\"2\"},"
	    "\"system\":{\"dt-subject\":\"s\",\"message-id\":\"m\"}}",
	    SPAN_LIT("plain"));
	rig_core_done(r, id, ERR_UNAVAILABLE, 0);
	take(&p, &a);
	assert_int_equal(a.status, 503);
	has(a.head, "Retry-After");
	peer_close(&p);
}

static void
batches_that_are_none_send_nothing(void **state)
{
	struct rig *r = *state;
	static const char *const bodies[] = {"", "{}", "[1]", "[{\"body\":1}]",
	    "[{\"body\":\"YmF0Y2gtMQ\"}]", "[{\"body\":\"AA==\"},{\"body\":\"!\"}]",
	    "[{\"body\":\"\",\"properties\":[]}]",
	    "[{\"body\":\"\",\"properties\":{\"a\":{}}}]"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		answers(r, "POST /devices/d1/messages/events",
		    HUB_AUTH "Content-Type: " EVENT_BATCH_TYPE "\r\n", bodies[i], 400,
		    "iothub-errorcode", "ErrorCode:");
	assert_true(rig_core_is_idle(r));
}

static void
telemetry_over_the_limit_is_413(void **state)
{
	struct rig *r = *state;
	static char big[16 * 1024 + 1], batch[32 * 1024];
	r->config.hub.message_max = 16 * 1024;
	memset(big, 'x', sizeof(big) - 1);
	answers(r, "POST /devices/d1/messages/events", HUB_AUTH, big, 413,
	    "iothub-errorcode: MessageTooLarge", "ErrorCode:MessageTooLarge;");
	snprintf(
	    batch, sizeof(batch), "[{\"body\":\"%s\",\"base64Encoded\":false}]", big);
	answers(r, "POST /devices/d1/messages/events",
	    HUB_AUTH "Content-Type: " EVENT_BATCH_TYPE "\r\n", batch, 413, "", "");
	assert_true(rig_core_is_idle(r));
}

static void
a_batch_has_a_limit_of_messages(void **state)
{
	struct err e = {0};
	auto_buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
	(void)state;
	buf_str(&text, "[{}");
	for (int i = 1; i < EVENT_BATCH_MAX; i++)
		buf_str(&text, ",{}");
	size_t len = text.len;
	buf_str(&text, "]");
	assert_ok(event_batch_parse(buf_span(&text), 1000, &out, &e), &e);
	text.len = len;
	buf_str(&text, ",{}]");
	assert_fails(event_batch_parse(buf_span(&text), 1000, &out, &e), &e, LIMIT);
}

static void
modules_send_by_their_own_path(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_device_send m;
	ask(&p, r, "POST /devices/d%201/modules/m1/messages/events/", HUB_AUTH, "x");
	rig_core_gets(r, IPC_DEVICE_SEND, &m);
	assert_true(span_eq_str(m.device_id, "d 1"));
	assert_true(span_eq_str(m.module_id, "m1"));
	peer_close(&p);
}

static void
port_of_the_host_counts_where_the_token_has_it(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *headers, *host;
	} rows[] = {
	    {"Host: 127.0.0.1:443\r\n" HUB_AUTH, "127.0.0.1"},
	    {"Host: 127.0.0.1\r\n" HUB_AUTH, "127.0.0.1"},
	    {"Host: 127.0.0.1:8443\r\nAuthorization: " TOKEN(
		 "127.0.0.1%3A8443%2Fdevices%2Fd1") "\r\n",
		"127.0.0.1:8443"},
	    {"Host: [::1]\r\n" HUB_AUTH, "[::1]"},
	    {"Host: [::1]:443\r\n" HUB_AUTH, "[::1]"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		struct ipc_c2d_receive m;
		auto_buf b = BUF_INIT(4096);
		peer_open(&p, r, &r->http_addr);
		buf_printf(&b, "GET " C2D " HTTP/1.1\r\n%s\r\n", rows[i].headers);
		peer_send(&p, buf_span(&b));
		rig_core_gets(r, IPC_C2D_RECEIVE, &m);
		assert_true(span_eq_str(m.host, rows[i].host));
		peer_close(&p);
	}
}

static void
requests_that_name_nobody_are_400(void **state)
{
	struct rig *r = *state;
	char line[400];
	snprintf(line, sizeof(line), "POST /devices/%0129d/messages/events", 1);
	answers(r, line, HUB_AUTH, "", 400, "", "");
	answers(r, "POST /devices/%ff/messages/events", HUB_AUTH, "", 400, "", "");
	answers(r, "POST /devices/d1/messages/events", HUB_AUTH "iothub-app-x: \xff\r\n",
	    "", 400, "", "");
	answers(r, "POST /devices/d1/messages/events", "Authorization: x\r\n", "", 401,
	    "", "");
	drain_refused_on(r, "hub", "");
	assert_true(rig_core_is_idle(r));
}

/* ---- cloud-to-device messages ------------------------------------------------------ */

static void
empty_queue_is_204(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_c2d_receive m;
	ask(&p, r, "GET " C2D "?api-version=2021-04-12", HUB_AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_C2D_RECEIVE, &m);
	assert_true(span_eq_str(m.device_id, "d1"));
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 204);
	assert_null(strstr(a.head, "ETag"));
	peer_close(&p);
}

static void
message_has_the_headers_as_the_c_sdk_spells_them(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_c2d_receive m;
	const struct ipc_c2d c2d = {.seq = 5,
	    .lock = SPAN_LIT("0f-1e"),
	    .message_id = SPAN_LIT("m-1"),
	    .correlation_id = SPAN_LIT("evil\r\nX-Injected: 1"),
	    .ack = IPC_ACK_FULL,
	    .enqueued_ms = RIG_NOW_MS,
	    .expires_ms = RIG_NOW_MS + 1000,
	    .deliveries = 2,
	    .props =
		SPAN_LIT("{\"application\":{\"Alert\":\"a b\",\"bad name\":\"x\","
			 "\"cr\":\"\\r\\n\"},\"system\":{\"content-type\":\"text/x\","
			 "\"content-encoding\":\"utf-8\"}}"),
	    .body = SPAN_LIT("raw \x01")};
	ask(&p, r, "GET " C2D, HUB_AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_C2D_RECEIVE, &m);
	rig_core_says(r, id, IPC_C2D, &c2d);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body, "raw \x01");
	has(a.head, "\r\nETag: \"0f-1e\"\r\n");
	has(a.head, "\r\niothub-messageid: m-1\r\n");
	has(a.head, "\r\niothub-to: /devices/d1/messages/devicebound\r\n");
	has(a.head, "\r\niothub-ack: full\r\n");
	has(a.head, "\r\niothub-deliverycount: 2\r\n");
	has(a.head, "\r\niothub-sequencenumber: 5\r\n");
	has(a.head, "\r\niothub-enqueuedtime: 2026-01-01T00:00:00.0000000Z\r\n");
	has(a.head, "\r\niothub-expiry: 2026-01-01T00:00:01.0000000Z\r\n");
	has(a.head, "\r\nContentType: text/x\r\nContentEncoding: utf-8\r\n");
	has(a.head, "\r\niothub-app-Alert: a b\r\n");
	/* what would end a line, or is no header's name, is left out */
	assert_null(strstr(a.head, "Injected"));
	assert_null(strstr(a.head, "iothub-correlationid"));
	assert_null(strstr(a.head, "bad name"));
	assert_null(strstr(a.head, "iothub-app-cr"));
	peer_close(&p);
}

/* It would lock the message, count a delivery, and show nothing of it. */
static void
head_takes_no_message(void **state)
{
	struct rig *r = *state;
	answers(r, "HEAD " C2D, HUB_AUTH, "", 405, "Allow: GET", "");
	answers(r, "HEAD /messages/serviceBound/filenotifications", HUB_AUTH, "", 405,
	    "Allow: GET", "");
}

static void
messages_are_completed_rejected_and_abandoned(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *line;
		enum ipc_settle how;
	} rows[] = {
	    {"DELETE " C2D "/0f-1e?api-version=2021-04-12", IPC_SETTLE_COMPLETE},
	    {"DELETE " C2D "/0f-1e?api-version=2021-04-12&reject", IPC_SETTLE_REJECT},
	    {"DELETE " C2D "/0f-1e?reject&api-version=2021-04-12", IPC_SETTLE_REJECT},
	    {"POST " C2D "/0f-1e/abandon?api-version=2021-04-12", IPC_SETTLE_ABANDON},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		auto_answer a;
		struct ipc_c2d_settle m;
		ask(&p, r, rows[i].line, HUB_AUTH "If-Match: 0f-1e\r\n", "");
		uint64_t id = rig_core_gets(r, IPC_C2D_SETTLE, &m);
		assert_int_equal(m.how, rows[i].how);
		assert_true(span_eq_str(m.lock, "0f-1e"));
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_int_equal(a.status, 204);
		peer_close(&p);
	}
}

static void
stale_lock_is_412(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_c2d_settle m;
	ask(&p, r, "DELETE " C2D "/0f", HUB_AUTH, "");
	rig_core_done(r, rig_core_gets(r, IPC_C2D_SETTLE, &m), ERR_CONFLICT, 412002);
	take(&p, &a);
	assert_int_equal(a.status, 412);
	has(a.head, "iothub-errorcode: DeviceMessageLockLost");
	peer_close(&p);
	answers(r, "DELETE " C2D "/%20", HUB_AUTH, "", 412, "", "");
	assert_true(rig_core_is_idle(r));
}

/* ---- uploads ----------------------------------------------------------------------- */

static void
upload_is_given_a_place(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_upload_start m;
	const struct ipc_upload up = {.id = SPAN_LIT("c-1"),
	    .host = SPAN_LIT("a.blob.core.windows.net"),
	    .container = SPAN_LIT("up"),
	    .blob = SPAN_LIT("d1/x y.txt"),
	    .sas = SPAN_LIT("?sv=1&sig=2")};
	ask(&p, r, "POST /devices/d1/files/?api-version=2016-11-14", HUB_AUTH,
	    "{\"blobName\":\"x y.txt\"}");
	uint64_t id = rig_core_gets(r, IPC_UPLOAD_START, &m);
	assert_true(span_eq_str(m.blob, "x y.txt"));
	rig_core_says(r, id, IPC_UPLOAD, &up);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	assert_string_equal(a.body,
	    "{\"correlationId\":\"c-1\",\"hostName\":\"a.blob.core.windows.net\","
	    "\"containerName\":\"up\",\"blobName\":\"d1/x y.txt\","
	    "\"sasToken\":\"?sv=1&sig=2\"}");
	peer_close(&p);
}

static void
refused_uploads_say_why_by_number(void **state)
{
	struct rig *r = *state;
	static const struct {
		enum err_code code;
		uint32_t number;
		int status;
		const char *name;
	} rows[] = {
	    {ERR_UNSUPPORTED, 400014, 400, "DefaultStorageEndpointNotConfigured"},
	    {ERR_FORBIDDEN, 403006, 403, "DeviceMaximumActiveFileUploadLimitExceeded"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		auto_answer a;
		struct ipc_upload_start m;
		ask(&p, r, "POST /devices/d1/files", HUB_AUTH, "{\"blobName\":\"x\"}");
		rig_core_done(r, rig_core_gets(r, IPC_UPLOAD_START, &m), rows[i].code,
		    rows[i].number);
		take(&p, &a);
		assert_int_equal(a.status, rows[i].status);
		has(a.head, rows[i].name);
		peer_close(&p);
	}
	answers(r, "POST /devices/d1/files", HUB_AUTH, "{}", 400, "", "");
	assert_true(rig_core_is_idle(r));
}

static void
upload_ends_by_either_path(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *line, *body;
	} rows[] = {
	    {"POST /devices/d1/files/notifications/?api-version=2016-11-14",
		"{\"correlationId\":\"c/1\",\"isSuccess\":true,\"statusCode\":201,"
		"\"statusDescription\":\"Created\"}"},
	    {"POST /devices/d1/files/notifications/c%2F1?api-version=2021-04-12",
		"{\"isSuccess\":true,\"statusCode\":201,\"statusDescription\":"
		"\"Created\"}"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		auto_answer a;
		struct ipc_upload_end m;
		ask(&p, r, rows[i].line, HUB_AUTH, rows[i].body);
		uint64_t id = rig_core_gets(r, IPC_UPLOAD_END, &m);
		assert_true(span_eq_str(m.id, "c/1"));
		assert_int_equal(m.succeeded, 1);
		assert_int_equal(m.status, 201);
		assert_true(span_eq_str(m.text, "Created"));
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_int_equal(a.status, 204);
		peer_close(&p);
	}
	answers(r, "POST /devices/d1/files/notifications", HUB_AUTH,
	    "{\"isSuccess\":true}", 400, "", "");
	assert_true(rig_core_is_idle(r));
}

#define NOTICES "/messages/serviceBound/filenotifications"
#define SERVICE "Authorization: " TOKEN("127.0.0.1") "&skn=service\r\n"

static void
services_fetch_and_settle_notices(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_notice_get g;
	struct ipc_notice_end m;
	const struct ipc_notice n = {.lock = SPAN_LIT("l-1"),
	    .device_id = SPAN_LIT("d1"),
	    .uri = SPAN_LIT("https://a/up/d1/x"),
	    .blob = SPAN_LIT("d1/x"),
	    .ended_ms = RIG_NOW_MS};
	ask(&p, r, "GET " NOTICES "?api-version=2021-04-12", SERVICE, "");
	uint64_t id = rig_core_gets(r, IPC_NOTICE_GET, &g);
	rig_core_says(r, id, IPC_NOTICE, &n);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	has(a.head, "ETag: \"l-1\"\r\n");
	has(a.body, "\"deviceId\":\"d1\",\"blobUri\":\"https://a/up/d1/x\"");
	peer_close(&p);
	ask(&p, r, "POST " NOTICES "/l-1/abandon", SERVICE, "");
	rig_core_gets(r, IPC_NOTICE_END, &m);
	assert_int_equal(m.release, 1);
	peer_close(&p);
	ask(&p, r, "DELETE " NOTICES "/l-1", SERVICE, "");
	rig_core_gets(r, IPC_NOTICE_END, &m);
	assert_int_equal(m.release, 0);
	assert_true(span_eq_str(m.lock, "l-1"));
	peer_close(&p);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(register_is_202_and_assigning_whatever_was_decided),
	    T(a_device_without_a_token_is_the_cores_to_judge),
	    T(poll_drops_nodes_body_and_says_how_it_ended),
	    T(poll_under_way_is_202_with_the_registration_id),
	    T(lookup_is_the_bare_state),
	    T(registrations_that_are_none_are_400),
	    T(throttled_registration_says_when_to_come_back),
	    T(scopes_shadow_no_route_of_services),
	    T(headers_in_all_spellings_become_the_properties_of_mqtt),
	    T(batch_is_one_question),
	    T(batches_that_are_none_send_nothing),
	    T(telemetry_over_the_limit_is_413),
	    cmocka_unit_test(a_batch_has_a_limit_of_messages),
	    T(modules_send_by_their_own_path),
	    T(port_of_the_host_counts_where_the_token_has_it),
	    T(requests_that_name_nobody_are_400),
	    T(empty_queue_is_204),
	    T(message_has_the_headers_as_the_c_sdk_spells_them),
	    T(head_takes_no_message),
	    T(messages_are_completed_rejected_and_abandoned),
	    T(stale_lock_is_412),
	    T(upload_is_given_a_place),
	    T(refused_uploads_say_why_by_number),
	    T(upload_ends_by_either_path),
	    T(services_fetch_and_settle_notices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
