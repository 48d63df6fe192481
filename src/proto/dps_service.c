/*
 * The service API of DPS: enrollment groups, their keys, registrations
 * (protocol/service.md 1.2 to 1.6).
 */
#include "base/base64.h"
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "crypto/sas_key.h"
#include "proto/dps_json.h"
#include "proto/http_call.h"
#include "proto/json.h"
#include "proto/twin_json.h"

enum { PAGE_MAX = 1000, BODY_DEPTH = 24, HUBS_MAX = 50 };

/* ---- groups as JSON ---------------------------------------------------------------- */

static struct js *
cert_info_json(struct span der)
{
	struct err e;
	struct cert_info i;
	auto_(cert_free) struct cert *cert = cert_parse(der, &e);
	if (!cert)
		return js_null(); /* it was one when it was stored */
	cert_info(cert, &i);
	struct js *o = js_object();
	json_put_text(o, "subjectName", span_str(i.subject));
	js_set_text(o, "sha1Thumbprint", i.sha1);
	js_set_text(o, "sha256Thumbprint", i.sha256);
	json_put_text(o, "issuerName", span_str(i.issuer));
	js_set_text(o, "notBeforeUtc", i.not_before);
	js_set_text(o, "notAfterUtc", i.not_after);
	js_set_text(o, "serialNumber", i.serial);
	js_set_int(o, "version", i.version);
	return o;
}

/* The certificate itself does not come back (clients.md 10); null where there is none. */
static struct js *
cert_json(struct span der)
{
	if (!der.len)
		return js_null();
	struct js *o = js_object();
	js_set(o, "certificate", js_null());
	js_set(o, "info", cert_info_json(der));
	return o;
}

/* with_keys: keys stand only in the answer to attestationmechanism (1.2). */
static struct js *
attestation_json(const struct ipc_group *m, bool with_keys)
{
	struct js *o = js_object();
	if (m->attestation == IPC_ATTESTATION_X509) {
		struct js *x509 = js_object();
		struct js *signing = js_object();
		js_set(signing, "primary", cert_json(m->primary_cert));
		js_set(signing, "secondary", cert_json(m->secondary_cert));
		js_set(x509, "clientCertificates", js_null());
		js_set(x509, "signingCertificates", signing);
		js_set(x509, "caReferences", js_null());
		js_set_text(o, "type", "x509");
		js_set(o, "x509", x509);
		return o;
	}
	js_set_text(o, "type", "symmetricKey");
	if (with_keys) {
		struct js *keys = js_object();
		json_put_key(keys, "primaryKey", m->primary_key);
		json_put_key(keys, "secondaryKey", m->secondary_key);
		js_set(o, "symmetricKey", keys);
	}
	return o;
}

static struct js *
initial_twin_json(const struct ipc_group *m)
{
	struct js *o = js_object();
	struct js *properties = js_object();
	json_put_doc(o, "tags", m->tags);
	json_put_doc(properties, "desired", m->desired);
	js_set(o, "properties", properties);
	return o;
}

static struct js *
hubs_json(struct span hubs)
{
	struct js *a = js_array();
	for (struct span rest = hubs; rest.p && rest.len;) {
		struct err e;
		js_append(a, js_str(span_split(&rest, ' '), &e));
	}
	return a;
}

static struct js *
group_json(const struct ipc_group *m)
{
	struct js *o = js_object();
	struct js *capabilities = js_object();
	struct js *policy = js_object();
	json_put_text(o, "enrollmentGroupId", m->id);
	js_set(o, "attestation", attestation_json(m, false));
	js_set_bool(capabilities, "iotEdge", m->iot_edge);
	js_set(o, "capabilities", capabilities);
	if (m->tags.len || m->desired.len)
		js_set(o, "initialTwin", initial_twin_json(m));
	json_put_etag(o, "etag", m->etag);
	js_set_text(o, "provisioningStatus", m->enabled ? "enabled" : "disabled");
	js_set_bool(policy, "updateHubAssignment", m->update_hub);
	js_set_bool(policy, "migrateDeviceData", m->migrate_data);
	js_set(o, "reprovisionPolicy", policy);
	json_put_time(o, "createdDateTimeUtc", m->created_ms);
	json_put_time(o, "lastUpdatedDateTimeUtc", m->updated_ms);
	json_put_span(o, "allocationPolicy", m->allocation);
	js_set(o, "iotHubs", hubs_json(m->hubs));
	return o;
}

/* ---- answers ----------------------------------------------------------------------- */

static void
gather(struct http_call *c, struct js *v)
{
	buf_reset(&c->out);
	js_dump(v, JS_AS_BUILT, &c->out);
	js_free(v);
}

static void
finish_one(struct http_call *c, const struct ipc_done *d)
{
	if (d->code == ERR_OK)
		http_call_json_out(c, 200);
	else
		http_call_fail_done(c, d);
}

static void
on_group(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		finish_one(c, msg);
	else
		gather(c, group_json(msg));
}

static void
on_group_keys(struct http_call *c, enum ipc_type type, const void *msg)
{
	c->out.secret = true;
	if (type == IPC_DONE)
		finish_one(c, msg);
	else
		gather(c, attestation_json(msg, true));
}

static void
on_registration(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_DONE)
		finish_one(c, msg);
	else
		gather(c, dps_json_state(msg));
}

static void
on_deleted(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	if (d->code == ERR_OK)
		http_call_no_content(c);
	else
		http_call_fail_done(c, d);
}

static void
on_group_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_group *m = msg;
	if (type == IPC_GROUP) {
		auto_(js_free) struct js *v = group_json(m);
		http_call_list_add(c, v, m->id);
		return;
	}
	http_call_list_end(c, "enrollmentGroup", d);
}

static void
on_registration_row(struct http_call *c, enum ipc_type type, const void *msg)
{
	const struct ipc_done *d = msg;
	const struct ipc_dps_state *m = msg;
	if (type == IPC_DPS_STATE) {
		auto_(js_free) struct js *v = dps_json_state(m);
		http_call_list_add(c, v, m->registration_id);
		return;
	}
	http_call_list_end(c, "deviceRegistrationState", d);
}

/* ---- PUT of a group ---------------------------------------------------------------- */

/* PEM text or base64 of DER (1.5): one certificate of a CA. */
static int
parse_cert(struct span text, struct buf *out, struct err *e)
{
	struct span s = span_trim(text);
	auto_cert_list list = {0};
	if (span_starts(s, SPAN_LIT("-----BEGIN"))) {
		if (cert_list_parse(s, "certificate", &list, e))
			return -1;
	} else {
		auto_buf der = BUF_INIT(CERT_MAX);
		struct cert *one = NULL;
		if (base64_parse_folded(s, &der, e) || buf_check(&der, "certificate", e))
			return -1;
		one = cert_parse(buf_span(&der), e);
		if (!one || cert_list_add(&list, one, e))
			return -1;
	}
	if (list.n != 1)
		return err_set(
		    e, ERR_PARSE, "%zu certificates where one belongs", list.n);
	if (!list.v[0]->is_ca)
		return err_set(e, ERR_PARSE, "not a certificate of a CA");
	buf_put_span(out, list.v[0]->der);
	return 0;
}

/* az sends a group back with "info" alone: then the stored certificate stays (clients.md
 * 1.16). */
static int
parse_signing(const struct js *signing, const char *name, struct buf *room,
    struct span *ret, uint8_t *ret_keep, struct err *e)
{
	const struct js *one = NULL, *info = NULL;
	struct span text = SPAN_NONE;
	if (js_opt(signing, name, JS_OBJECT, &one, e) ||
	    js_opt(one, "info", JS_OBJECT, &info, e) ||
	    js_opt_str(one, "certificate", &text, e))
		return -1;
	*ret_keep = info && !text.len;
	if (!text.len)
		return 0;
	if (parse_cert(text, room, e)) {
		/* whatever is wrong with it, the request is */
		e->code = ERR_PARSE;
		return err_wrap(e, "%s certificate", name);
	}
	*ret = buf_span(room);
	return 0;
}

static int
parse_x509(const struct js *attestation, struct buf room[2], struct ipc_group_put *m,
    struct err *e)
{
	const struct js *x509 = NULL, *signing = NULL, *references = NULL;
	m->attestation = IPC_ATTESTATION_X509;
	if (js_need(attestation, "x509", JS_OBJECT, &x509, e) ||
	    js_opt(x509, "caReferences", JS_OBJECT, &references, e))
		return -1;
	if (references)
		return err_set(e, ERR_UNSUPPORTED,
		    "caReferences: this version keeps certificates in the group alone");
	if (js_need(x509, "signingCertificates", JS_OBJECT, &signing, e) ||
	    parse_signing(
		signing, "primary", &room[0], &m->primary_cert, &m->keep_primary, e) ||
	    parse_signing(signing, "secondary", &room[1], &m->secondary_cert,
		&m->keep_secondary, e))
		return -1;
	if (!m->primary_cert.len && !m->keep_primary)
		return err_set(e, ERR_PARSE, "signingCertificates.primary is missing");
	return 0;
}

static int
parse_group_key(const struct js *keys, const char *name, struct buf *room,
    struct span *ret, struct err *e)
{
	struct span text = SPAN_NONE;
	if (js_opt_str(keys, name, &text, e))
		return -1;
	if (!text.len)
		return 0;
	if (sas_key_parse(text, room, e))
		return err_wrap(e, "%s", name);
	*ret = buf_span(room);
	return 0;
}

static int
parse_attestation(
    const struct js *o, struct buf room[2], struct ipc_group_put *m, struct err *e)
{
	const struct js *attestation, *keys = NULL;
	struct span type;
	if (js_need(o, "attestation", JS_OBJECT, &attestation, e) ||
	    js_need_str(attestation, "type", &type, e))
		return -1;
	if (span_ieq_str(type, "x509"))
		return parse_x509(attestation, room, m, e);
	if (!span_ieq_str(type, "symmetricKey"))
		return err_set(
		    e, ERR_UNSUPPORTED, "attestation.type: x509 or symmetricKey");
	m->attestation = IPC_ATTESTATION_SYMMETRIC;
	if (js_opt(attestation, "symmetricKey", JS_OBJECT, &keys, e) ||
	    parse_group_key(keys, "primaryKey", &room[0], &m->primary_key, e))
		return -1;
	return parse_group_key(keys, "secondaryKey", &room[1], &m->secondary_key, e);
}

static int
add_hub(struct span host, struct buf *hubs, struct err *e)
{
	if (!id_is_host(host))
		return err_set(e, ERR_PARSE, "iotHubs: not a host name");
	if (hubs->len)
		buf_str(hubs, " ");
	buf_put_span(hubs, host);
	return 0;
}

/* iotHubs, or the single iotHubHostName of older clients and Node. */
static int
parse_hubs(const struct js *o, struct buf *hubs, struct err *e)
{
	const struct js *list = NULL;
	struct span host = SPAN_NONE;
	if (js_opt(o, "iotHubs", JS_ARRAY, &list, e) ||
	    js_opt_str(o, "iotHubHostName", &host, e))
		return -1;
	if (js_len(list) > HUBS_MAX)
		return err_set(e, ERR_LIMIT, "iotHubs: over %d", HUBS_MAX);
	for (size_t i = 0; i < js_len(list); i++) {
		if (add_hub(js_as_str(js_at(list, i)), hubs, e))
			return -1;
	}
	if (!js_len(list) && host.len && add_hub(host, hubs, e))
		return -1;
	return buf_check(hubs, "iotHubs", e);
}

static int
parse_policies(const struct js *o, struct ipc_group_put *m, struct err *e)
{
	const struct js *capabilities = NULL, *reprovision = NULL;
	struct span status = SPAN_LIT("enabled");
	bool iot_edge = false, update_hub = true, migrate = true;
	if (js_opt(o, "capabilities", JS_OBJECT, &capabilities, e) ||
	    js_opt_bool(capabilities, "iotEdge", &iot_edge, e) ||
	    js_opt(o, "reprovisionPolicy", JS_OBJECT, &reprovision, e) ||
	    js_opt_bool(reprovision, "updateHubAssignment", &update_hub, e) ||
	    js_opt_bool(reprovision, "migrateDeviceData", &migrate, e) ||
	    js_opt_str(o, "provisioningStatus", &status, e) ||
	    js_opt_str(o, "allocationPolicy", &m->allocation, e))
		return -1;
	m->iot_edge = iot_edge;
	m->update_hub = update_hub;
	m->migrate_data = migrate;
	m->enabled = span_ieq_str(status, "enabled");
	if (!m->enabled && !span_ieq_str(status, "disabled"))
		return err_set(e, ERR_PARSE, "provisioningStatus: enabled or disabled");
	if (m->allocation.len && !span_eq_str(m->allocation, "hashed") &&
	    !span_eq_str(m->allocation, "static"))
		return err_set(e, ERR_UNSUPPORTED,
		    "allocationPolicy: hashed or static in this version");
	return 0;
}

static int
check_group_id(const struct js *o, struct span path_id, struct err *e)
{
	struct span id = path_id;
	if (js_opt_str(o, "enrollmentGroupId", &id, e))
		return -1;
	if (!span_ieq(id, path_id))
		return err_set(e, ERR_PARSE, "enrollmentGroupId is not the path's");
	if (!id_is_registration(path_id))
		return err_set(e, ERR_PARSE,
		    "enrollmentGroupId: letters, digits and - . _ : with a letter, digit "
		    "or "
		    "dash last");
	return 0;
}

/* What a group's message points into. */
struct group_room {
	struct buf attestation[2], hubs, tags, desired;
};

static void
group_room_done(struct group_room *r)
{
	buf_done(&r->attestation[0]);
	buf_done(&r->attestation[1]);
	buf_done(&r->hubs);
	buf_done(&r->tags);
	buf_done(&r->desired);
}

static int
parse_group(const struct http_call *c, const struct js *o, struct group_room *r,
    struct ipc_group_put *m, struct err *e)
{
	const struct js *initial = NULL;
	if (check_group_id(o, m->id, e) || http_call_if_match(c, &m->if_match, e) ||
	    parse_attestation(o, r->attestation, m, e) || parse_policies(o, m, e) ||
	    parse_hubs(o, &r->hubs, e))
		return -1;
	if (js_opt(o, "initialTwin", JS_OBJECT, &initial, e) ||
	    twin_json_parse(initial, &r->tags, &r->desired, e))
		return -1;
	m->hubs = buf_span(&r->hubs);
	m->tags = buf_span(&r->tags);
	m->desired = buf_span(&r->desired);
	return 0;
}

void
dps_service_group_put(struct http_call *c)
{
	struct err e = {0};
	__attribute__((cleanup(group_room_done))) struct group_room r = {
	    .attestation = {BUF_INIT(CAP_CERT), BUF_INIT(CAP_CERT)},
	    .hubs = BUF_INIT(4096),
	    .tags = BUF_INIT(CAP_JSON),
	    .desired = BUF_INIT(CAP_JSON)};
	r.attestation[0].secret = r.attestation[1].secret = true;
	struct ipc_group_put m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	auto_(js_free) struct js *o = http_call_object(c, BODY_DEPTH, &e);
	if (!o || parse_group(c, o, &r, &m, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_GROUP_PUT, &m, on_group);
}

/* ---- the other requests ------------------------------------------------------------ */

static int
check_id(struct span id, struct err *e)
{
	if (!id_is_registration(id))
		return err_set(e, ERR_NOT_FOUND, "no such ID");
	return 0;
}

static void
ask_by_id(struct http_call *c, enum ipc_type type,
    void (*fn)(struct http_call *c, enum ipc_type type, const void *msg))
{
	struct err e = {0};
	/* group_get, group_keys and registration_get have one list of fields */
	const struct ipc_group_get m = {
	    .peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (check_id(m.id, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, type, &m, fn);
}

static void
ask_delete(struct http_call *c, enum ipc_type type)
{
	struct err e = {0};
	/* group_delete and registration_delete have one list of fields */
	struct ipc_group_delete m = {.peer = c->peer, .cred = c->cred, .id = c->param[0]};
	if (check_id(m.id, &e) || http_call_if_match(c, &m.if_match, &e))
		http_call_fail_err(c, &e);
	else
		http_call_ask(c, type, &m, on_deleted);
}

void
dps_service_group_get(struct http_call *c)
{
	ask_by_id(c, IPC_GROUP_GET, on_group);
}

void
dps_service_group_keys(struct http_call *c)
{
	ask_by_id(c, IPC_GROUP_KEYS, on_group_keys);
}

void
dps_service_group_delete(struct http_call *c)
{
	ask_delete(c, IPC_GROUP_DELETE);
}

void
dps_service_registration_get(struct http_call *c)
{
	ask_by_id(c, IPC_REGISTRATION_GET, on_registration);
}

void
dps_service_registration_delete(struct http_call *c)
{
	ask_delete(c, IPC_REGISTRATION_DELETE);
}

/* The query's text means nothing: az sends the text form of a Python object, or no body
 * at all; every query is "all" (T5, clients.md 1.10). */
void
dps_service_group_query(struct http_call *c)
{
	struct err e = {0};
	struct ipc_group_query m = {.peer = c->peer, .cred = c->cred};
	if (http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_list_begin(c);
	http_call_ask(c, IPC_GROUP_QUERY, &m, on_group_row);
}

void
dps_service_registration_query(struct http_call *c)
{
	struct err e = {0};
	struct ipc_registration_query m = {
	    .peer = c->peer, .cred = c->cred, .group_id = c->param[0]};
	if (check_id(m.group_id, &e) ||
	    http_call_page(c, PAGE_MAX, &m.limit, &m.after, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_list_begin(c);
	http_call_ask(c, IPC_REGISTRATION_QUERY, &m, on_registration_row);
}
