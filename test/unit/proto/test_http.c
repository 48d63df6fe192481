/*
 * The service API: routes, credentials, dialects, and each resource both ways.
 */
#include "web.h"

#include <stdio.h>

#include "base/base64.h"
#include "codec/js.h"
#include "crypto/csr.h"
#include "crypto/issuer.h"
#include "crypto/key.h"

#define AUTH "Authorization: " TOKEN("127.0.0.1") "&skn=iothubowner\r\n"

static void
drain_refused(struct rig *r, const char *why)
{
	drain_refused_on(r, "service", why);
}

static void
unknown_paths_are_404_in_the_dialect_of_their_neighbours(void **state)
{
	struct rig *r = *state;
	answers(r, "GET /nothing", "", "", 404, "iothub-errorcode: GenericNotFound",
	    "ErrorCode:GenericNotFound;");
	answers(r, "GET /enrollments/x/y", "", "", 404, "json", "\"errorCode\":404000");
	answers(r, "GET /subscriptions/s/x", "", "", 404, "json",
	    "\"error\":{\"code\":\"ResourceNotFound\"");
	answers(
	    r, "POST /.well-known/est/fullcmc", "", "", 404, "text/plain", "Not found");
	answers(r, "GET /devices/a/b", "", "", 404, "", "");
	assert_true(rig_core_is_idle(r));
}

static void
wrong_method_is_405_with_allow(void **state)
{
	struct rig *r = *state;
	answers(r, "POST /devices/d1", AUTH, "", 405, "Allow: GET, PUT, DELETE", "");
	answers(r, "DELETE /enrollmentGroups/g/attestationmechanism", AUTH, "", 405,
	    "Allow: POST", "405000");
}

static void
request_without_a_credential_is_401_and_logged(void **state)
{
	struct rig *r = *state;
	answers(r, "GET /devices/d1", "", "", 401, "WWW-Authenticate",
	    "IotHubUnauthorizedAccess");
	drain_refused(r, "neither");
	answers(r, "GET /devices/d1", "Authorization: Bearer abc\r\n", "", 401, "", "");
	drain_refused(r, "");
	answers(r, "GET /devices/d1", AUTH AUTH, "", 401, "", "");
	drain_refused(r, "twice");
	answers(r,
	    "GET /subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/IotHubs/h",
	    AUTH, "", 401, "", "\"error\"");
	drain_refused(r, "certificate");
	assert_true(rig_core_is_idle(r));
}

static void
forwarded_certificate_headers_mean_nothing(void **state)
{
	struct rig *r = *state;
	answers(r, "GET /devices/d1",
	    "X-Client-Cert: MII\r\nX-ARR-ClientCert: MII\r\nX-SSL-Client-S-DN: "
	    "CN=admin\r\n",
	    "", 401, "", "");
	drain_refused(r, "neither");
}

static const struct ipc_device device = {.id = SPAN_LIT("d1"),
    .generation = SPAN_LIT("638"),
    .etag = 17,
    .enabled = 1,
    .auth = IPC_AUTH_SELF_SIGNED,
    .primary_thumb = SPAN_LIT("aa11"),
    .connected = 1,
    .status_updated_ms = RIG_NOW_MS,
    .tags = SPAN_LIT("{\"wave\":\"1\"}"),
    .desired = SPAN_LIT("{\"a\":1,\"b\":{\"c\":[1]}}"),
    .desired_version = 4,
    .reported_version = 5,
    .twin_etag = 9,
    .desired_meta = SPAN_LIT("{\"\":[1767225600000,4],\"b\":{\"\":[1767225599000,3],"
			     "\"c\":[1767225598000,2]}}")};

static void
device_get_has_every_member_that_az_indexes(void **state)
{
	struct rig *r = *state;
	struct peer p;
	auto_answer a;
	struct ipc_device_get m;
	ask(&p, r, "GET /Devices/d%2B1/?api-version=2021-04-12", AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_DEVICE_GET, &m);
	assert_true(span_eq_str(m.id, "d+1"));
	assert_int_equal(m.cred.kind, CRED_SAS);
	assert_true(span_eq_str(m.cred.sas_policy, "iothubowner"));
	assert_true(span_eq_str(m.peer.api_version, "2021-04-12"));
	rig_core_says(r, id, IPC_DEVICE, &device);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 200);
	has(a.head, "ETag: \"MTc=\"");
	has(a.body, "\"authentication\":{\"symmetricKey\":{\"primaryKey\":null,"
		    "\"secondaryKey\":null},"
		    "\"x509Thumbprint\":{\"primaryThumbprint\":\"aa11\","
		    "\"secondaryThumbprint\":null},"
		    "\"type\":\"selfSigned\"}");
	has(a.body, "\"etag\":\"MTc=\"");
	has(a.body, "\"lastActivityTime\":\"0001-01-01T00:00:00Z\"");
	has(a.body, "\"connectionState\":\"Connected\"");
	has(a.body, "\"generationId\":\"638\"");
	peer_close(&p);
}

static void
head_answers_as_get_without_a_body(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_device_get m;
	ask(&p, r, "HEAD /devices/d1", AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_DEVICE_GET, &m);
	rig_core_says(r, id, IPC_DEVICE, &device);
	rig_core_done(r, id, ERR_OK, 0);
	for (int i = 0; i < 200 && !p.in.len; i++)
		peer_pull(&p);
	has(buf_text(&p.in), "HTTP/1.1 200");
	assert_null(strstr(buf_text(&p.in), "deviceId"));
	peer_close(&p);
}

static void
core_errors_become_status_number_and_name(void **state)
{
	struct rig *r = *state;
	static const struct {
		enum err_code code;
		int status;
		const char *name;
	} rows[] = {{ERR_NOT_FOUND, 404, "DeviceNotFound"},
	    {ERR_EXISTS, 409, "DeviceAlreadyExists"},
	    {ERR_CONFLICT, 412, "PreconditionFailed"},
	    {ERR_DENIED, 401, "IotHubUnauthorizedAccess"},
	    {ERR_UNAVAILABLE, 503, "ServiceUnavailable"},
	    {ERR_INTERNAL, 500, "ServerError"}, {ERR_FORBIDDEN, 403, "GenericForbidden"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct peer p;
		auto_answer a;
		struct ipc_device_get m;
		char want[128];
		ask(&p, r, "GET /devices/d1", AUTH, "");
		uint64_t id = rig_core_gets(r, IPC_DEVICE_GET, &m);
		rig_core_done(r, id, rows[i].code, 0);
		take(&p, &a);
		assert_int_equal(a.status, rows[i].status);
		snprintf(want, sizeof(want), "iothub-errorcode: %s", rows[i].name);
		has(a.head, want);
		snprintf(want, sizeof(want), "ErrorCode:%s;", rows[i].name);
		has(a.body, want);
		bool shown = strstr(a.body, "why the core said so") != NULL;
		/* who was not let in, and what is broken inside, hears no reasons */
		assert_int_equal(shown, rows[i].status != 401 && rows[i].status < 500 &&
					    rows[i].status != 403);
		peer_close(&p);
	}
}

static void
device_put(struct rig *r, const char *headers, const char *body, struct ipc_device_put *m)
{
	struct peer p;
	ask(&p, r, "PUT /devices/d1", headers, body);
	rig_core_gets(r, IPC_DEVICE_PUT, m);
	peer_close(&p);
}

static void
device_put_takes_the_bodies_that_clients_send(void **state)
{
	struct rig *r = *state;
	struct ipc_device_put m;
	device_put(r, AUTH,
	    "{\"deviceId\":\"d1\",\"authentication\":{\"type\":\"sas\",\"symmetricKey\":"
	    "{\"primaryKey\":\"\",\"secondaryKey\":\"AQEBAQEBAQEBAQEBAQEBAQ==\"}}}",
	    &m);
	assert_int_equal(m.auth, IPC_AUTH_SAS);
	assert_int_equal(m.primary_key.len, 0);
	assert_int_equal(m.secondary_key.len, 16);
	assert_int_equal(m.if_match.len, 0);
	assert_int_equal(m.enabled, 1);
	device_put(r, AUTH "If-Match: \"*\"\r\n",
	    "{\"deviceId\":\"d1\",\"etag\":\"*\",\"status\":\"disabled\","
	    "\"authentication\":"
	    "{\"x509Thumbprint\":{\"primaryThumbprint\":"
	    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},\"type\":\"selfSigned\"},"
	    "\"capabilities\":{\"iotEdge\":false}}",
	    &m);
	assert_int_equal(m.auth, IPC_AUTH_SELF_SIGNED);
	assert_true(
	    span_eq_str(m.primary_thumb, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
	assert_true(span_eq_str(m.if_match, "*"));
	assert_int_equal(m.enabled, 0);
	device_put(r, AUTH "If-Match: MTc=\r\n",
	    "{\"authentication\":{\"type\":\"certificateAuthority\"}}", &m);
	assert_int_equal(m.auth, IPC_AUTH_CA);
	assert_true(span_eq_str(m.if_match, "17"));
}

static void
device_put_refuses_what_it_cannot_mean(void **state)
{
	struct rig *r = *state;
	static const char *const bodies[] = {"", "[]", "{", "{\"deviceId\":\"d2\"}",
	    "{\"status\":\"on\"}", "{\"authentication\":{\"type\":\"none\"}}",
	    "{\"authentication\":{\"type\":\"selfSigned\"}}",
	    "{\"authentication\":{\"x509Thumbprint\":{\"primaryThumbprint\":\"xyz\"}}}",
	    "{\"authentication\":{\"symmetricKey\":{\"primaryKey\":\"AQ==\"}}}",
	    "{\"authentication\":7}"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		answers(r, "PUT /devices/d1", AUTH, bodies[i], 400, "",
		    "ErrorCode:ArgumentInvalid;");
	answers(r, "PUT /devices/a%23b", AUTH, "{}", 400, "", "");
	answers(r, "PUT /devices/d1", AUTH "If-Match: zzz\r\n", "{}", 412, "", "");
	assert_true(rig_core_is_idle(r));
}

static void
bodies_over_the_routes_cap_are_413(void **state)
{
	struct rig *r = *state;
	static char body[70000];
	memset(body, ' ', sizeof(body) - 1);
	answers(r, "POST /devices/query", AUTH, body, 413, "", "MessageTooLarge");
	assert_true(rig_core_is_idle(r));
}

static void
query_pages_by_continuation_and_omits_it_at_the_end(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_query m;
	{
		auto_answer a;
		ask(&p, r, "POST /devices/query", AUTH "x-ms-max-item-count: 5000\r\n",
		    "{\"query\":\" SELECT  *\\nFROM devices \"}");
		uint64_t id = rig_core_gets(r, IPC_QUERY, &m);
		assert_int_equal(m.limit, 1000);
		assert_true(span_eq_str(m.text, " SELECT  *\nFROM devices "));
		assert_int_equal(m.after.len, 0);
		rig_core_says(r, id, IPC_DEVICE, &device);
		rig_core_says(r, id, IPC_DEVICE, &device);
		const struct ipc_done d = {.next = SPAN_LIT("d1")};
		rig_core_says(r, id, IPC_DONE, &d);
		take(&p, &a);
		assert_int_equal(a.status, 200);
		has(a.head, "x-ms-continuation: ZDE=");
		has(a.head, "x-ms-item-type: twin");
		assert_int_equal(js_len(a.json), 2);
		has(a.body, "\"authenticationType\":\"selfSigned\"");
		has(a.body, "\"tags\":{\"wave\":\"1\"}");
		has(a.body, "\"desired\":{\"a\":1,\"b\":{\"c\":[1]},\"$metadata\":{"
			    "\"$lastUpdated\":\"2026-01-01T00:00:00.0000000Z\","
			    "\"$lastUpdatedVersion\":4,"
			    "\"a\":{\"$lastUpdated\":\"2026-01-01T00:00:00.0000000Z\","
			    "\"$lastUpdatedVersion\":4},"
			    "\"b\":{\"$lastUpdated\":\"2025-12-31T23:59:59.0000000Z\","
			    "\"$lastUpdatedVersion\":3,"
			    "\"c\":{\"$lastUpdated\":\"2025-12-31T23:59:58.0000000Z\","
			    "\"$lastUpdatedVersion\":2}}},\"$version\":4}");
		/* of an older version of this program: nothing is known */
		has(a.body, "\"reported\":{\"$metadata\":{\"$lastUpdated\":"
			    "\"0001-01-01T00:00:00Z\"}");
		peer_close(&p);
	}
	auto_answer a;
	ask(&p, r, "POST /devices/query",
	    AUTH "x-ms-max-item-count: 7\r\nx-ms-continuation: ZDE=\r\n",
	    "{\"query\":\"select * from devices\"}");
	uint64_t id = rig_core_gets(r, IPC_QUERY, &m);
	assert_int_equal(m.limit, 7);
	assert_true(span_eq_str(m.after, "d1"));
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_string_equal(a.body, "[]");
	assert_null(strstr(a.head, "x-ms-continuation"));
	peer_close(&p);
}

static void
rows_of_columns_are_handed_on(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_query m;
	auto_answer a;
	ask(&p, r, "POST /devices/query", AUTH,
	    "{\"query\":\"select deviceId, count() as n from devices group by "
	    "deviceId\"}");
	uint64_t id = rig_core_gets(r, IPC_QUERY, &m);
	const struct ipc_query_row row = {
	    .json = SPAN_LIT("{\"deviceId\":\"d1\",\"n\":1}")};
	rig_core_says(r, id, IPC_QUERY_ROW, &row);
	rig_core_says(r, id, IPC_QUERY_ROW, &row);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_string_equal(
	    a.body, "[{\"deviceId\":\"d1\",\"n\":1},{\"deviceId\":\"d1\",\"n\":1}]");
	has(a.head, "x-ms-item-type: raw");
	assert_null(strstr(a.head, "x-ms-continuation"));
	peer_close(&p);
}

static void
what_is_no_query_is_400_and_the_core_not_asked(void **state)
{
	struct rig *r = *state;
	static const struct {
		const char *body, *says;
	} bad[] = {
	    {"{\"query\":\"select * from device\"}", "character 15"},
	    {"{\"query\":\"select*fromdevices\"}", "character 8"},
	    {"{\"query\":\"\"}", "character 1"},
	    {"{\"query\":\"select * from devices.jobs\"}", "devices.jobs"},
	    {"{\"query\":7}", "query"},
	    {"{}", "query"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		answers(
		    r, "POST /devices/query", AUTH, bad[i].body, 400, "", bad[i].says);
	answers(r, "POST /devices/query", AUTH "x-ms-continuation: ***\r\n",
	    "{\"query\":\"select * from devices\"}", 400, "", "continuation");
	assert_true(rig_core_is_idle(r));
}

static void
several_identities_go_to_the_core_together(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_registry_bulk m;
	struct ipc_registry_item item;
	struct err e;
	auto_answer a;
	ask(&p, r, "POST /devices", AUTH,
	    "[{\"id\":\"a\",\"importMode\":\"Delete\"},{\"id\":\"b\"},"
	    "{\"id\":\"c\",\"moduleId\":\"m\",\"importMode\":\"updateTwinIfMatchETag\","
	    "\"twinETag\":\"OQ==\",\"tags\":{\"t\":1}}]");
	uint64_t id = rig_core_gets(r, IPC_REGISTRY_BULK, &m);
	struct cursor items = cursor_of(m.items);
	struct span one = cursor_take(&items, cursor_u32(&items));
	assert_ok(ipc_msg_unpack(IPC_REGISTRY_ITEM, one, &item, &e), &e);
	assert_int_equal(item.mode, IPC_IMPORT_DELETE);
	assert_true(span_eq_str(item.id, "a") && span_eq_str(item.if_match, "*"));
	one = cursor_take(&items, cursor_u32(&items));
	assert_ok(ipc_msg_unpack(IPC_REGISTRY_ITEM, one, &item, &e), &e);
	assert_int_equal(item.mode, IPC_IMPORT_UPDATE_TWIN_IF_MATCH);
	assert_true(span_eq_str(item.module_id, "m") && span_eq_str(item.if_match, "9"));
	assert_true(span_eq_str(item.tags, "{\"t\":1}") && item.desired.len == 0);
	assert_true(cursor_done(&items));
	const struct ipc_registry_result failed = {
	    .id = SPAN_LIT("a"), .code = ERR_NOT_FOUND, .text = SPAN_LIT("no device a")};
	const struct ipc_registry_result bare = {.id = SPAN_LIT("c"),
	    .code = ERR_LIMIT,
	    .text = SPAN_LIT("tags"),
	    .warning = 1};
	rig_core_says(r, id, IPC_REGISTRY_RESULT, &failed);
	rig_core_says(r, id, IPC_REGISTRY_RESULT, &bare);
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 400);
	has(a.head, "iothub-errorcode: BulkRegistryOperationFailure");
	has(a.body,
	    "{\"isSuccessful\":false,\"errors\":[{\"deviceId\":\"b\",\"moduleId\":null,"
	    "\"errorCode\":\"ArgumentInvalid\"");
	has(a.body,
	    "{\"deviceId\":\"a\",\"moduleId\":null,\"errorCode\":\"DeviceNotFound\","
	    "\"errorStatus\":\"no device a\"}],\"warnings\":[{\"deviceId\":\"c\","
	    "\"moduleId\":null,\"warningCode\":\"DeviceRegisteredWithoutTwin\"");
	peer_close(&p);
}

static void
twin_patch_is_checked_and_written_anew(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_twin_patch m;
	ask(&p, r, "PATCH /twins/d1", AUTH "If-Match: \"OQ==\"\r\n",
	    "{ \"tags\": {\"wave\" : \"2\", \"old\": null}, \"properties\": "
	    "{\"desired\": "
	    "{\"x\": [1, 2], \"$version\": 3, \"$metadata\": {}}}}");
	rig_core_gets(r, IPC_TWIN_PATCH, &m);
	assert_true(span_eq_str(m.tags, "{\"wave\":\"2\",\"old\":null}"));
	assert_true(span_eq_str(m.desired, "{\"x\":[1,2]}"));
	assert_true(span_eq_str(m.if_match, "9"));
	assert_int_equal(m.replace, 0);
	peer_close(&p);
	answers(r, "PATCH /twins/d1", AUTH, "{\"tags\":{\"a.b\":1}}", 400, "", "");
	answers(r, "PATCH /twins/d1", AUTH, "{\"tags\":7}", 400, "", "");
	assert_true(rig_core_is_idle(r));
}

/* ---- DPS --------------------------------------------------------------------------- */

static void
make_ca(struct buf *pem, struct buf *der)
{
	struct err e = {0};
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	assert_ok(
	    issuer_self_sign(key, "Test CA", NULL, RIG_NOW_MS / 1000, 0, der, &e), &e);
	cert_write_pem(buf_span(der), pem);
}

/* PEM inside a JSON text. */
static void
put_escaped(struct buf *b, struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.p[i] == '\n')
			buf_str(b, "\\n");
		else
			buf_u8(b, s.p[i]);
}

static void
group_put_takes_pem_and_base64_der(void **state)
{
	struct rig *r = *state;
	for (int as_pem = 0; as_pem < 2; as_pem++) {
		struct peer p;
		struct ipc_enrollment_put m;
		auto_buf pem = BUF_INIT(16384), der = BUF_INIT(16384),
			 body = BUF_INIT(65536);
		make_ca(&pem, &der);
		buf_str(&body,
		    "{\"enrollmentGroupId\":\"Fleet-1\",\"attestation\":{\"type\":"
		    "\"x509\","
		    "\"x509\":{\"signingCertificates\":{\"primary\":{\"certificate\":\"");
		if (as_pem)
			put_escaped(&body, buf_span(&pem));
		else
			base64_put(&body, buf_span(&der));
		buf_str(&body,
		    "\"}}}},\"capabilities\":{\"iotEdge\":false},\"initialTwin\":{"
		    "\"tags\":{},"
		    "\"properties\":{\"desired\":{\"additional_properties\":{\"tags\":{"
		    "\"a\":1}}}}},"
		    "\"provisioningStatus\":\"enabled\",\"reprovisionPolicy\":"
		    "{\"updateHubAssignment\":true,\"migrateDeviceData\":false},"
		    "\"allocationPolicy\":\"hashed\",\"iotHubs\":[\"a.example\",\"b."
		    "example\"]}");
		ask(&p, r, "PUT /enrollmentGroups/fleet-1?api-version=2021-10-01", AUTH,
		    buf_text(&body));
		uint64_t id = rig_core_gets(r, IPC_ENROLLMENT_PUT, &m);
		assert_int_equal(m.attestation, IPC_ATTESTATION_X509);
		assert_true(span_eq(m.primary_cert, buf_span(&der)));
		assert_true(span_eq_str(m.hubs, "a.example b.example"));
		assert_true(span_eq_str(m.tags, "{}"));
		assert_true(span_eq_str(m.desired, "{\"tags\":{\"a\":1}}"));
		assert_int_equal(m.enabled, 1);
		assert_int_equal(m.update_hub, 1);
		assert_int_equal(m.migrate_data, 0);
		const struct ipc_enrollment g = {.id = SPAN_LIT("Fleet-1"),
		    .etag = 1,
		    .attestation = IPC_ATTESTATION_X509,
		    .primary_cert = buf_span(&der),
		    .primary_key = SPAN_LIT("0123456789abcdef"),
		    .enabled = 1,
		    .hubs = SPAN_LIT("a.example b.example"),
		    .created_ms = RIG_NOW_MS,
		    .updated_ms = RIG_NOW_MS};
		auto_answer a;
		rig_core_says(r, id, IPC_ENROLLMENT, &g);
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_int_equal(a.status, 200);
		has(a.body, "\"signingCertificates\":{\"primary\":{\"certificate\":null,"
			    "\"info\":{"
			    "\"subjectName\":\"CN=Test CA\"");
		has(a.body, "\"secondary\":null");
		has(a.body, "\"etag\":\"MQ==\"");
		has(a.body, "\"iotHubs\":[\"a.example\",\"b.example\"]");
		assert_null(strstr(a.body, "MDEyMzQ1Njc4OWFiY2RlZg"));
		peer_close(&p);
	}
}

static void
group_put_with_info_alone_keeps_the_stored_certificate(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_enrollment_put m;
	ask(&p, r, "PUT /enrollmentGroups/g", AUTH,
	    "{\"attestation\":{\"type\":\"x509\",\"x509\":{\"signingCertificates\":"
	    "{\"primary\":{\"certificate\":null,\"info\":{\"version\":3}}}}}}");
	rig_core_gets(r, IPC_ENROLLMENT_PUT, &m);
	assert_int_equal(m.keep_primary, 1);
	assert_int_equal(m.primary_cert.len, 0);
	assert_int_equal(m.keep_secondary, 0);
	assert_int_equal(m.update_hub, 1);
	assert_int_equal(m.migrate_data, 1);
	peer_close(&p);
}

static void
group_put_refuses_what_it_cannot_serve(void **state)
{
	struct rig *r = *state;
#define SYM "\"attestation\":{\"type\":\"symmetricKey\"}"
	static const char *const bodies[] = {"{}",
	    "{" SYM ",\"enrollmentGroupId\":\"h\"}",
	    "{\"attestation\":{\"type\":\"tpm\"}}",
	    "{\"attestation\":{\"type\":\"x509\",\"x509\":{\"caReferences\":{\"primary\":"
	    "\"c d\"}}}}",
	    "{\"attestation\":{\"type\":\"x509\",\"x509\":{\"signingCertificates\":"
	    "{\"primary\":{\"certificate\":\"AAAA\"}}}}}",
	    "{" SYM ",\"allocationPolicy\":\"nearest\"}",
	    "{" SYM ",\"iotHubs\":[\"a b\"]}", "{" SYM ",\"iotHubs\":[7]}",
	    "{" SYM ",\"initialTwin\":{\"tags\":{\"$x\":1}}}",
	    "{" SYM ",\"provisioningStatus\":\"maybe\"}"};
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		answers(r, "PUT /enrollmentGroups/g", AUTH, bodies[i], 400, "json",
		    "\"errorCode\":400");
	answers(r, "PUT /enrollmentGroups/g%20h", AUTH, "{" SYM "}", 400, "", "");
	assert_true(rig_core_is_idle(r));
}

static void
group_keys_are_shown_by_attestationmechanism_alone(void **state)
{
	struct rig *r = *state;
	const struct ipc_enrollment g = {.id = SPAN_LIT("g"),
	    .attestation = IPC_ATTESTATION_SYMMETRIC,
	    .primary_key = SPAN_LIT("0123456789abcdef"),
	    .secondary_key = SPAN_LIT("0123456789abcdef")};
	for (int keys = 0; keys < 2; keys++) {
		struct peer p;
		auto_answer a;
		struct ipc_enrollment_get m;
		ask(&p, r,
		    keys ? "POST /enrollmentgroups/g/attestationmechanism"
			 : "GET /enrollmentGroups/g",
		    AUTH, "");
		uint64_t id =
		    rig_core_gets(r, keys ? IPC_ENROLLMENT_KEYS : IPC_ENROLLMENT_GET, &m);
		rig_core_says(r, id, IPC_ENROLLMENT, &g);
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_int_equal(a.status, 200);
		assert_int_equal(
		    strstr(a.body, "MDEyMzQ1Njc4OWFiY2RlZg==") != NULL, keys);
		peer_close(&p);
	}
}

static void
group_query_answers_whatever_is_asked(void **state)
{
	struct rig *r = *state;
	static const char *const bodies[] = {
	    "", "{\"query\":\"{'additional_properties': {}}\"}", "*"};
	for (size_t i = 0; i < 3; i++) {
		struct peer p;
		auto_answer a;
		struct ipc_enrollment_query m;
		ask(&p, r, "POST /enrollmentGroups/query", AUTH, bodies[i]);
		uint64_t id = rig_core_gets(r, IPC_ENROLLMENT_QUERY, &m);
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_string_equal(a.body, "[]");
		peer_close(&p);
	}
}

static void
registration_and_deletes(void **state)
{
	struct rig *r = *state;
	struct peer p;
	{
		auto_answer a;
		struct ipc_registration_get m;
		ask(&p, r, "GET /registrations/dev-1", AUTH, "");
		uint64_t id = rig_core_gets(r, IPC_REGISTRATION_GET, &m);
		const struct ipc_dps_state st = {.status = SPAN_LIT("assigned"),
		    .registration_id = SPAN_LIT("dev-1"),
		    .device_id = SPAN_LIT("dev-1"),
		    .hub = SPAN_LIT("h.example")};
		rig_core_says(r, id, IPC_DPS_STATE, &st);
		rig_core_done(r, id, ERR_OK, 0);
		take(&p, &a);
		assert_int_equal(a.status, 200);
		assert_true(
		    span_eq_str(js_as_str(js_get(a.json, "assignedHub")), "h.example"));
		peer_close(&p);
	}
	auto_answer a;
	struct ipc_enrollment_delete m;
	ask(&p, r, "DELETE /enrollmentGroups/g", AUTH "If-Match: *\r\n", "");
	uint64_t id = rig_core_gets(r, IPC_ENROLLMENT_DELETE, &m);
	assert_true(span_eq_str(m.if_match, "*"));
	rig_core_done(r, id, ERR_OK, 0);
	take(&p, &a);
	assert_int_equal(a.status, 204);
	peer_close(&p);
}

/* ---- EST and our own API ----------------------------------------------------------- */

static void
cacerts_are_for_anybody_and_503_before_the_core_has_spoken(void **state)
{
	struct rig *r = *state;
	auto_buf pem = BUF_INIT(16384), der = BUF_INIT(16384);
	answers(r, "GET /.well-known/est/cacerts", "", "", 503, "text/plain", "");
	make_ca(&pem, &der);
	r->env.ca_chain = buf_span(&der);
	answers(r, "GET /.well-known/est/cacerts", "", "", 200,
	    "Content-Type: application/pkcs7-mime", "MI");
	r->env.ca_chain = SPAN_NONE;
}

static void
enrolment_takes_no_policy_token(void **state)
{
	struct rig *r = *state;
	answers(r, "POST /.well-known/est/simpleenroll", AUTH, "AAAA", 401,
	    "WWW-Authenticate: Basic", "");
	drain_refused_on(r, "est", "Basic");
}

static void
read_all(struct peer *p, const char *until)
{
	for (int i = 0; i < 3000 && !strstr(buf_text(&p->in), until); i++)
		peer_pull(p);
	has(buf_text(&p->in), until);
}

static void
events_are_lines_fetched_page_by_page_with_an_end(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_events_read m;
	ask(&p, r, "GET /muster/events?afterSeq=4&deviceId=d1&thumbprint=aa", AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_EVENTS_READ, &m);
	assert_int_equal(m.after_seq, 4);
	assert_int_equal(m.limit, 32);
	assert_true(span_eq_str(m.device_id, "d1"));
	assert_true(span_eq_str(m.thumb, "aa"));
	const struct ipc_event json = {.seq = 5,
	    .enqueued_ms = 6,
	    .device_id = SPAN_LIT("d1"),
	    .auth = SPAN_LIT("x509"),
	    .thumb = SPAN_LIT("aa"),
	    .props = SPAN_LIT("{\"application\":{},\"system\":{}}"),
	    .body = SPAN_LIT("{\"t\":1}")};
	struct ipc_event raw = json;
	raw.seq = 9;
	raw.body = SPAN_LIT("\xff\x00");
	rig_core_says(r, id, IPC_EVENT, &json);
	rig_core_says(r, id, IPC_EVENT, &raw);
	const struct ipc_done d = {.next = SPAN_LIT("9")};
	rig_core_says(r, id, IPC_DONE, &d);
	id = rig_core_gets(r, IPC_EVENTS_READ, &m);
	assert_int_equal(m.after_seq, 9);
	const struct ipc_done last = {.next = SPAN_LIT("9")};
	rig_core_says(r, id, IPC_DONE, &last);
	read_all(&p, "0\r\n\r\n");
	has(buf_text(&p.in),
	    "{\"seq\":5,\"enqueuedTimeMs\":6,\"deviceId\":\"d1\",\"authType\":\"x509\","
	    "\"thumbprint\":\"aa\",\"generationId\":\"\",\"properties\":"
	    "{\"application\":{},\"system\":{}},\"body\":{\"t\":1}}\n");
	has(buf_text(&p.in), "\"bodyBase64\":\"/wA=\"}\n");
	has(buf_text(&p.in), "{\"next\":\"9\",\"end\":true}\n");
	peer_close(&p);
}

static void
events_stop_at_the_limit(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_events_read m;
	ask(&p, r, "GET /muster/events?limit=1", AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_EVENTS_READ, &m);
	assert_int_equal(m.limit, 1);
	const struct ipc_event ev = {.seq = 5, .device_id = SPAN_LIT("d1")};
	rig_core_says(r, id, IPC_EVENT, &ev);
	rig_core_done(r, id, ERR_OK, 0);
	read_all(&p, "{\"next\":\"5\",\"end\":true}\n");
	assert_true(rig_core_is_idle(r));
	peer_close(&p);
	answers(r, "GET /muster/events?limit=0", AUTH, "", 400, "", "limit");
	answers(r, "GET /muster/events?afterSeq=x", AUTH, "", 400, "", "afterSeq");
	answers(r, "HEAD /muster/events", AUTH, "", 405, "Allow: GET", "");
	assert_true(rig_core_is_idle(r));
}

static void
stream_that_loses_the_core_has_no_end_line(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_connlog_read m;
	ask(&p, r,
	    "GET /muster/connections?what=connect&authType=sas&plane=hub&sinceMs=3", AUTH,
	    "");
	uint64_t id = rig_core_gets(r, IPC_CONNLOG_READ, &m);
	assert_int_equal(m.since_ms, 3);
	assert_true(span_eq_str(m.what, "connect"));
	assert_true(span_eq_str(m.auth, "sas"));
	assert_true(span_eq_str(m.plane, "hub"));
	const struct ipc_connlog row = {.seq = 7, .what = SPAN_LIT("connect")};
	rig_core_says(r, id, IPC_CONNLOG, &row);
	read_all(&p, "\"event\":\"connect\"");
	rig_core_dies(r, false);
	for (int i = 0; i < 1000 && !p.eof; i++)
		peer_pull(&p);
	assert_true(p.eof);
	assert_null(strstr(buf_text(&p.in), "\"end\""));
	assert_null(strstr(buf_text(&p.in), "\r\n0\r\n\r\n"));
	peer_close(&p);
}

static void
connections_say_since_when_they_are_complete(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_connlog_read m;
	ask(&p, r, "GET /muster/connections", AUTH, "");
	uint64_t id = rig_core_gets(r, IPC_CONNLOG_READ, &m);
	const struct ipc_done d = {.next = SPAN_LIT("0"), .number = 1234};
	rig_core_says(r, id, IPC_DONE, &d);
	read_all(&p, "{\"next\":\"0\",\"completeSinceMs\":1234,\"end\":true}\n");
	peer_close(&p);
}

static void
caller_that_leaves_drops_its_question(void **state)
{
	struct rig *r = *state;
	struct peer p;
	struct ipc_device_get m;
	ask(&p, r, "GET /devices/d1", AUTH, "");
	rig_core_gets(r, IPC_DEVICE_GET, &m);
	assert_int_equal(core_link_pending(r->core), 1);
	peer_close(&p);
	rig_settle(r);
	assert_int_equal(core_link_pending(r->core), 0);
	assert_int_equal(http_server_conns(r->http), 0);
}

static void
missing_core_is_503(void **state)
{
	struct rig *r = *state;
	rig_core_dies(r, false);
	answers(r, "GET /devices/d1", AUTH, "", 503, "Retry-After", "ServiceUnavailable");
	answers(r, "GET /enrollmentGroups/g", AUTH, "", 503, "", "503001");
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
	    T(unknown_paths_are_404_in_the_dialect_of_their_neighbours),
	    T(wrong_method_is_405_with_allow),
	    T(request_without_a_credential_is_401_and_logged),
	    T(forwarded_certificate_headers_mean_nothing),
	    T(device_get_has_every_member_that_az_indexes),
	    T(head_answers_as_get_without_a_body),
	    T(core_errors_become_status_number_and_name),
	    T(device_put_takes_the_bodies_that_clients_send),
	    T(device_put_refuses_what_it_cannot_mean),
	    T(bodies_over_the_routes_cap_are_413),
	    T(query_pages_by_continuation_and_omits_it_at_the_end),
	    T(several_identities_go_to_the_core_together),
	    T(rows_of_columns_are_handed_on),
	    T(what_is_no_query_is_400_and_the_core_not_asked),
	    T(twin_patch_is_checked_and_written_anew),
	    T(group_put_takes_pem_and_base64_der),
	    T(group_put_with_info_alone_keeps_the_stored_certificate),
	    T(group_put_refuses_what_it_cannot_serve),
	    T(group_keys_are_shown_by_attestationmechanism_alone),
	    T(group_query_answers_whatever_is_asked),
	    T(registration_and_deletes),
	    T(cacerts_are_for_anybody_and_503_before_the_core_has_spoken),
	    T(enrolment_takes_no_policy_token),
	    T(events_are_lines_fetched_page_by_page_with_an_end),
	    T(events_stop_at_the_limit),
	    T(stream_that_loses_the_core_has_no_end_line),
	    T(connections_say_since_when_they_are_complete),
	    T(caller_that_leaves_drops_its_question),
	    T(missing_core_is_503),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
