/*
 * Enrollments out of JSON.
 */
#include "proto/dps/enrollment_body.h"

#include "base/base64.h"
#include "codec/id.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "proto/dps/dps_json.h"
#include "proto/dps/hook_json.h"
#include "proto/json.h"
#include "proto/hub/twin_json.h"

enum { HUBS_MAX = 50, INFO_MAX = 8 * 1024 };

void
enrollment_body_init(struct enrollment_body *r)
{
	*r = (struct enrollment_body){
	    .attestation = {BUF_INIT(CAP_CERT), BUF_INIT(CAP_CERT)},
	    .hubs = BUF_INIT(4096),
	    .info = BUF_INIT(INFO_MAX),
	    .tags = BUF_INIT(CAP_JSON),
	    .desired = BUF_INIT(CAP_JSON)};
	r->attestation[0].secret = r->attestation[1].secret = true;
}

void
enrollment_body_done(struct enrollment_body *r)
{
	buf_done(&r->attestation[0]);
	buf_done(&r->attestation[1]);
	buf_done(&r->hubs);
	buf_done(&r->info);
	buf_done(&r->tags);
	buf_done(&r->desired);
}

const char *
enrollment_body_id_member(uint8_t kind)
{
	return kind == IPC_KIND_GROUP ? "enrollmentGroupId" : "registrationId";
}

/* ---- certificates ------------------------------------------------------------------ */

/* PEM text or base64 of DER (1.5): one certificate. */
static int
parse_cert(struct span text, bool must_be_ca, struct buf *out, struct err *e)
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
	if (must_be_ca && !list.v[0]->is_ca)
		return err_set(e, ERR_PARSE, "not a certificate of a CA");
	buf_put_span(out, list.v[0]->der);
	return 0;
}

/* az sends an enrollment back with "info" alone: then the stored certificate stays
 * (clients.md 1.16). */
static int
parse_one(const struct js *certs, const char *name, bool must_be_ca, struct buf *room,
    struct span *ret, uint8_t *ret_keep, struct err *e)
{
	const struct js *one = NULL, *info = NULL;
	struct span text = SPAN_NONE;
	if (js_opt(certs, name, JS_OBJECT, &one, e) ||
	    js_opt(one, "info", JS_OBJECT, &info, e) ||
	    js_opt_str(one, "certificate", &text, e))
		return -1;
	*ret_keep = info && !text.len;
	if (!text.len)
		return 0;
	if (parse_cert(text, must_be_ca, room, e)) {
		/* whatever is wrong with it, the request is */
		e->code = ERR_PARSE;
		return err_wrap(e, "%s certificate", name);
	}
	*ret = buf_span(room);
	return 0;
}

static int
parse_certs(const struct js *x509, const char *member, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *certs = NULL;
	bool must_be_ca = m->kind == IPC_KIND_GROUP;
	if (js_need(x509, member, JS_OBJECT, &certs, e) ||
	    parse_one(certs, "primary", must_be_ca, &r->attestation[0], &m->primary_cert,
		&m->keep_primary, e) ||
	    parse_one(certs, "secondary", must_be_ca, &r->attestation[1],
		&m->secondary_cert, &m->keep_secondary, e))
		return -1;
	if (!m->primary_cert.len && !m->keep_primary)
		return err_set(e, ERR_PARSE, "%s.primary is missing", member);
	return 0;
}

static int
parse_reference(
    const struct js *references, const char *name, struct span *ret, struct err *e)
{
	if (js_opt_str(references, name, ret, e))
		return -1;
	if (ret->len && !id_is_certificate(*ret))
		return err_set(
		    e, ERR_PARSE, "caReferences.%s: no name of a certificate", name);
	return 0;
}

/* Exactly one of the three (1.5); clients send the others as null. */
static int
parse_x509(const struct js *attestation, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *x509 = NULL, *references = NULL;
	m->attestation = IPC_ATTESTATION_X509;
	if (js_need(attestation, "x509", JS_OBJECT, &x509, e) ||
	    js_opt(x509, "caReferences", JS_OBJECT, &references, e))
		return -1;
	if (!references)
		return parse_certs(x509,
		    m->kind == IPC_KIND_GROUP ? "signingCertificates"
					      : "clientCertificates",
		    r, m, e);
	if (parse_reference(references, "primary", &m->primary_ca, e) ||
	    parse_reference(references, "secondary", &m->secondary_ca, e))
		return -1;
	return m->primary_ca.len
		   ? 0
		   : err_set(e, ERR_PARSE, "caReferences.primary is missing");
}

/* ---- keys -------------------------------------------------------------------------- */

static int
parse_symmetric(const struct js *attestation, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *keys = NULL;
	m->attestation = IPC_ATTESTATION_SYMMETRIC;
	if (js_opt(attestation, "symmetricKey", JS_OBJECT, &keys, e) ||
	    json_take_key(keys, "primaryKey", &r->attestation[0], &m->primary_key, e))
		return -1;
	return json_take_key(
	    keys, "secondaryKey", &r->attestation[1], &m->secondary_key, e);
}

static int
parse_tpm(const struct js *attestation, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *tpm = NULL;
	struct span ek, srk = SPAN_NONE;
	m->attestation = IPC_ATTESTATION_TPM;
	if (m->kind != IPC_KIND_INDIVIDUAL)
		return err_set(
		    e, ERR_UNSUPPORTED, "attestation.type: tpm is for individuals");
	if (js_need(attestation, "tpm", JS_OBJECT, &tpm, e) ||
	    js_need_str(tpm, "endorsementKey", &ek, e) ||
	    js_opt_str(tpm, "storageRootKey", &srk, e))
		return -1;
	if (dps_json_tpm_key(ek, &r->attestation[0], e))
		return err_wrap(e, "endorsementKey");
	if (srk.len && dps_json_tpm_key(srk, &r->attestation[1], e))
		return err_wrap(e, "storageRootKey");
	m->endorsement_key = buf_span(&r->attestation[0]);
	m->storage_root_key = buf_span(&r->attestation[1]);
	return 0;
}

static int
parse_attestation(const struct js *o, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *attestation;
	struct span type;
	if (js_need(o, "attestation", JS_OBJECT, &attestation, e) ||
	    js_need_str(attestation, "type", &type, e))
		return -1;
	if (span_ieq_str(type, "x509"))
		return parse_x509(attestation, r, m, e);
	if (span_ieq_str(type, "symmetricKey"))
		return parse_symmetric(attestation, r, m, e);
	if (span_ieq_str(type, "tpm"))
		return parse_tpm(attestation, r, m, e);
	return err_set(e, ERR_UNSUPPORTED, "attestation.type: x509, symmetricKey or tpm");
}

/* ---- the rest ---------------------------------------------------------------------- */

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
parse_policies(const struct js *o, struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *capabilities = NULL, *reprovision = NULL;
	struct span status = SPAN_LIT("enabled");
	bool iot_edge = false, update_hub = true, migrate = true;
	if (js_opt(o, "capabilities", JS_OBJECT, &capabilities, e) ||
	    js_opt_bool(capabilities, "iotEdge", &iot_edge, e) ||
	    js_opt(o, "reprovisionPolicy", JS_OBJECT, &reprovision, e) ||
	    js_opt_bool(reprovision, "updateHubAssignment", &update_hub, e) ||
	    js_opt_bool(reprovision, "migrateDeviceData", &migrate, e) ||
	    js_opt_str(o, "provisioningStatus", &status, e))
		return -1;
	m->reprovision_unset = reprovision == NULL;
	m->iot_edge = iot_edge;
	m->update_hub = update_hub;
	m->migrate_data = migrate;
	m->enabled = span_ieq_str(status, "enabled");
	if (!m->enabled && !span_ieq_str(status, "disabled"))
		return err_set(e, ERR_PARSE, "provisioningStatus: enabled or disabled");
	return 0;
}

/* Any spelling by case: "geolatency" occurs (protocol/device.md 2.6). */
static int
parse_policy(const struct js *o, struct ipc_enrollment_put *m, struct err *e)
{
	static const char *const names[] = {"hashed", "geoLatency", "static", "custom"};
	struct span text = SPAN_NONE;
	if (js_opt_str(o, "allocationPolicy", &text, e))
		return -1;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (span_ieq_str(text, names[i]))
			m->allocation = span_str(names[i]);
	if (text.len && !m->allocation.len)
		return err_set(e, ERR_PARSE,
		    "allocationPolicy: hashed, geoLatency, static or custom");
	return 0;
}

static int
parse_allocation(const struct js *o, struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *custom = NULL;
	if (parse_policy(o, m, e) ||
	    js_opt(o, "customAllocationDefinition", JS_OBJECT, &custom, e))
		return -1;
	if (!span_eq_str(m->allocation, "custom"))
		return 0;
	if (js_need_str(custom, "webhookUrl", &m->webhook_url, e) ||
	    js_need_str(custom, "apiVersion", &m->webhook_api, e))
		return err_wrap(e, "customAllocationDefinition");
	if (!hook_json_url(m->webhook_url))
		return err_set(e, ERR_PARSE,
		    "webhookUrl: want https, or http to this machine alone");
	return 0;
}

static int
parse_id(const struct js *o, struct ipc_enrollment_put *m, struct err *e)
{
	const char *member = enrollment_body_id_member(m->kind);
	struct span id = m->id;
	if (js_opt_str(o, member, &id, e))
		return -1;
	if (m->id.len && !span_ieq(id, m->id))
		return err_set(e, ERR_PARSE, "%s is not the path's", member);
	if (!id_is_registration(id))
		return err_set(e, ERR_PARSE,
		    "%s: letters, digits and - . _ : with a letter, digit or dash last",
		    member);
	if (!m->id.len)
		m->id = id;
	return 0;
}

/* What individual enrollments have beyond groups. */
static int
parse_own(const struct js *o, struct enrollment_body *r, struct ipc_enrollment_put *m,
    struct err *e)
{
	const struct js *info = NULL;
	if (m->kind != IPC_KIND_INDIVIDUAL)
		return 0;
	if (js_opt_str(o, "deviceId", &m->device_id, e) ||
	    js_opt(o, "optionalDeviceInformation", JS_OBJECT, &info, e))
		return -1;
	if (m->device_id.len && !id_is_device(m->device_id))
		return err_set(e, ERR_PARSE, "deviceId is malformed");
	if (info)
		js_dump(info, JS_AS_BUILT, &r->info);
	m->info = buf_span(&r->info);
	return buf_check(&r->info, "optionalDeviceInformation", e);
}

int
enrollment_body_parse(const struct js *o, struct enrollment_body *r,
    struct ipc_enrollment_put *m, struct err *e)
{
	const struct js *initial = NULL;
	if (parse_id(o, m, e) || parse_attestation(o, r, m, e) ||
	    parse_policies(o, m, e) || parse_allocation(o, m, e) ||
	    parse_hubs(o, &r->hubs, e) || parse_own(o, r, m, e))
		return -1;
	if (js_opt(o, "initialTwin", JS_OBJECT, &initial, e) ||
	    twin_json_parse(initial, &r->tags, &r->desired, e))
		return -1;
	m->hubs = buf_span(&r->hubs);
	m->tags = buf_span(&r->tags);
	m->desired = buf_span(&r->desired);
	return 0;
}
