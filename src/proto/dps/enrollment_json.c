/*
 * Enrollments as JSON. Members are those that some client was seen to need.
 */
#include "proto/dps/enrollment_json.h"

#include "crypto/cert.h"
#include "proto/json.h"

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

static struct js *
certs_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	js_set(o, "primary", cert_json(m->primary_cert));
	js_set(o, "secondary", cert_json(m->secondary_cert));
	return o;
}

static struct js *
references_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	json_put_span(o, "primary", m->primary_ca);
	json_put_span(o, "secondary", m->secondary_ca);
	return o;
}

static struct js *
x509_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	bool leaves = m->kind == IPC_KIND_INDIVIDUAL, by_name = m->primary_ca.len != 0;
	js_set(o, "clientCertificates", leaves ? certs_json(m) : js_null());
	js_set(o, "signingCertificates", leaves || by_name ? js_null() : certs_json(m));
	js_set(o, "caReferences", by_name ? references_json(m) : js_null());
	return o;
}

static struct js *
keys_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	json_put_key(o, "primaryKey", m->primary_key);
	json_put_key(o, "secondaryKey", m->secondary_key);
	return o;
}

static struct js *
tpm_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	json_put_key(o, "endorsementKey", m->endorsement_key);
	json_put_key(o, "storageRootKey", m->storage_root_key);
	return o;
}

static struct js *
attestation_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	switch ((enum ipc_attestation)m->attestation) {
	case IPC_ATTESTATION_X509:
		js_set_text(o, "type", "x509");
		js_set(o, "x509", x509_json(m));
		break;
	case IPC_ATTESTATION_TPM:
		js_set_text(o, "type", "tpm");
		js_set(o, "tpm", tpm_json(m));
		break;
	case IPC_ATTESTATION_SYMMETRIC:
		js_set_text(o, "type", "symmetricKey");
		break;
	}
	return o;
}

struct js *
enrollment_json_keys(const struct ipc_enrollment *m)
{
	struct js *o = attestation_json(m);
	if (m->attestation == IPC_ATTESTATION_SYMMETRIC)
		js_set(o, "symmetricKey", keys_json(m));
	return o;
}

static struct js *
initial_twin_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	struct js *properties = js_object();
	json_put_doc(o, "tags", m->tags);
	json_put_doc(properties, "desired", m->desired);
	js_set(o, "properties", properties);
	return o;
}

static void
put_names(struct js *o, const struct ipc_enrollment *m, struct span state)
{
	if (m->kind == IPC_KIND_GROUP) {
		json_put_text(o, "enrollmentGroupId", m->id);
		return;
	}
	json_put_text(o, "registrationId", m->id);
	json_put_span(o, "deviceId", m->device_id);
	js_set(o, "registrationState", state.len ? json_doc(state) : js_null());
	if (m->info.len)
		json_put_doc(o, "optionalDeviceInformation", m->info);
}

static struct js *
webhook_json(const struct ipc_enrollment *m)
{
	struct js *o = js_object();
	json_put_text(o, "webhookUrl", m->webhook_url);
	json_put_text(o, "apiVersion", m->webhook_api);
	return o;
}

static void
put_policies(struct js *o, const struct ipc_enrollment *m)
{
	struct js *policy = js_object();
	js_set_text(o, "provisioningStatus", m->enabled ? "enabled" : "disabled");
	js_set_bool(policy, "updateHubAssignment", m->update_hub);
	js_set_bool(policy, "migrateDeviceData", m->migrate_data);
	js_set(o, "reprovisionPolicy", policy);
	json_put_time(o, "createdDateTimeUtc", m->created_ms);
	json_put_time(o, "lastUpdatedDateTimeUtc", m->updated_ms);
	json_put_span(o, "allocationPolicy", m->allocation);
	js_set(o, "iotHubs", json_words(m->hubs));
	if (m->webhook_url.len)
		js_set(o, "customAllocationDefinition", webhook_json(m));
}

struct js *
enrollment_json(const struct ipc_enrollment *m, struct span state)
{
	struct js *o = js_object();
	struct js *capabilities = js_object();
	put_names(o, m, state);
	js_set(o, "attestation", attestation_json(m));
	js_set_bool(capabilities, "iotEdge", m->iot_edge);
	js_set(o, "capabilities", capabilities);
	if (m->tags.len || m->desired.len)
		js_set(o, "initialTwin", initial_twin_json(m));
	json_put_etag(o, "etag", m->etag);
	put_policies(o, m);
	return o;
}
