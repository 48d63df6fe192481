/*
 * Bodies of registrations from JSON, their states as JSON. Members are those that some
 * SDK was seen to send or need.
 */
#include "proto/dps/dps_json.h"

#include "base/base64.h"
#include "codec/der.h"
#include "codec/tpm_pub.h"
#include "proto/dps/csr_json.h"
#include "proto/json.h"

#define BODY_DEPTH   32
#define CODE_BAD_CSR 400040

/* ---- what a device says ------------------------------------------------------------ */

void
dps_json_body_done(struct dps_json_body *b)
{
	buf_done(&b->payload);
	buf_done(&b->endorsement_key);
	buf_done(&b->storage_root_key);
	if (b->has_csr)
		csr_done(&b->csr);
}

int
dps_json_tpm_key(struct span text, struct buf *out, struct err *e)
{
	struct tpm_pub key;
	if (base64_parse_folded(span_trim(text), out, e) ||
	    buf_check(out, "TPM key", e) || tpm_pub_parse(buf_span(out), &key, e))
		return -1;
	return 0;
}

static int
read_key(const struct js *tpm, const char *name, struct buf *out, struct err *e)
{
	struct span text = SPAN_NONE;
	if (js_opt_str(tpm, name, &text, e))
		return -1;
	if (text.len && dps_json_tpm_key(text, out, e))
		return err_wrap(e, "tpm.%s", name);
	return 0;
}

static int
read_tpm(const struct js *body, struct dps_json_body *ret, struct err *e)
{
	const struct js *tpm = NULL;
	if (js_opt(body, "tpm", JS_OBJECT, &tpm, e) ||
	    read_key(tpm, "endorsementKey", &ret->endorsement_key, e))
		return -1;
	return read_key(tpm, "storageRootKey", &ret->storage_root_key, e);
}

static int
read_body(const struct js *v, struct span registration_id, bool csr,
    struct dps_json_body *ret, struct err *e)
{
	struct span id = registration_id;
	if (!js_is(v, JS_OBJECT))
		return err_set(e, ERR_PARSE, "body is no object");
	if (js_opt_str(v, "registrationId", &id, e))
		return -1;
	if (!span_ieq(id, registration_id))
		return err_set(e, ERR_PARSE, "registrationId is not the request's");
	const struct js *p = js_get(v, "payload");
	if (p && !js_is(p, JS_NULL))
		js_dump(p, JS_AS_BUILT, &ret->payload);
	if (read_tpm(v, ret, e))
		return -1;
	if (buf_check(&ret->payload, "payload", e))
		return -1;
	ret->bad_csr = csr && csr_json_parse(v, &ret->csr, &ret->has_csr, e);
	return ret->bad_csr ? -1 : 0;
}

struct wire_error
dps_json_error(const struct dps_json_body *b, const struct err *e)
{
	return b->bad_csr ? wire_error_of(CODE_BAD_CSR)
			  : wire_error_of_code(e->code, WIRE_DPS);
}

void
dps_json_fill(const struct dps_json_body *b, struct ipc_dps_register *m)
{
	m->payload = buf_span(&b->payload);
	m->endorsement_key = buf_span(&b->endorsement_key);
	m->storage_root_key = buf_span(&b->storage_root_key);
	if (!b->has_csr)
		return;
	m->csr_cn = span_str(b->csr.cn);
	m->csr_spki = b->csr.spki;
}

int
dps_json_parse(struct span text, struct span registration_id, bool csr,
    struct dps_json_body *ret, struct err *e)
{
	struct span body = span_trim(text);
	ret->payload = BUF_INIT(CAP_JSON);
	ret->endorsement_key = ret->storage_root_key = BUF_INIT(TPM_PUB_MAX);
	if (!body.len)
		return 0;
	auto_(js_free) struct js *v = js_parse(body, DPS_JSON_BODY_MAX, BODY_DEPTH, e);
	return v ? read_body(v, registration_id, csr, ret, e) : -1;
}

/* ---- what it hears ----------------------------------------------------------------- */

static bool
is(const struct ipc_dps_state *m, const char *status)
{
	return span_eq_str(m->status, status);
}

int
dps_json_status(const struct ipc_dps_state *m)
{
	return is(m, "assigning") ? 202 : 200;
}

/* errorCode and errorMessage are looked for without a check by the Java SDK and
 * iot-identity-service whenever the state is not assigned. */
static void
put_error(struct js *o, const struct ipc_dps_state *m)
{
	if (!is(m, "failed") && !is(m, "disabled"))
		return;
	js_set_int(o, "errorCode", m->error);
	json_put_text(o, "errorMessage", m->error_text);
}

static struct js *
tpm_json(const struct ipc_dps_state *m)
{
	struct js *o = js_object();
	json_put_key(o, "authenticationKey", m->tpm_key);
	return o;
}

void
dps_json_challenge(const struct ipc_dps_state *m, struct buf *out)
{
	auto_(js_free) struct js *o = tpm_json(m);
	js_set_text(o, "message", "The TPM has to prove itself");
	js_set_text(o, "keyName", "registration");
	js_dump(o, JS_AS_BUILT, out);
}

/* Azure's preview of 2025: the chain in base64 of DER, leaf first, beside what kind of
 * hub it is for (azure-iot-sdk's register answer). */
static void
put_chain(struct js *o, struct span chain)
{
	struct js *list = js_array();
	struct der_tlv one;
	struct span rest = chain;
	struct err e;
	while (rest.len && der_next(&rest, &one, &e) == 0) {
		auto_buf text = BUF_INIT(2 * CAP_CERT);
		base64_put(&text, one.whole);
		js_append(list, js_text(buf_text(&text)));
	}
	js_set(o, "issuedCertificateChain", list);
	js_set_text(o, "connectionProfile", "classic");
}

static void
put_extras(struct js *o, const struct ipc_dps_state *m)
{
	if (m->payload.len)
		json_put_doc(o, "payload", m->payload);
	if (m->chain.len)
		put_chain(o, m->chain);
}

struct js *
dps_json_state(const struct ipc_dps_state *m)
{
	struct js *o = js_object();
	json_put_text(o, "registrationId", m->registration_id);
	if (is(m, "assigning")) {
		json_put_text(o, "status", m->status);
		return o;
	}
	if (m->tpm_key.len)
		js_set(o, "tpm", tpm_json(m));
	if (span_eq_str(m->attestation, "x509"))
		js_set(o, "x509", js_object());
	if (m->created_ms)
		json_put_time(o, "createdDateTimeUtc", m->created_ms);
	/* embedded C wants both or neither */
	if (is(m, "assigned") && m->hub.len && m->device_id.len) {
		json_put_text(o, "assignedHub", m->hub);
		json_put_text(o, "deviceId", m->device_id);
	}
	json_put_text(o, "status", m->status);
	if (m->substatus.len)
		json_put_text(o, "substatus", m->substatus);
	put_error(o, m);
	if (is(m, "assigned"))
		put_extras(o, m);
	if (m->updated_ms)
		json_put_time(o, "lastUpdatedDateTimeUtc", m->updated_ms);
	char etag[JSON_ETAG_MAX], quoted[JSON_ETAG_MAX + 2];
	json_etag(m->etag, etag);
	snprintf(quoted, sizeof(quoted), "\"%s\"", etag);
	js_set_text(o, "etag", quoted);
	return o;
}

void
dps_json_operation(const struct ipc_dps_state *m, struct buf *out)
{
	auto_(js_free) struct js *o = js_object();
	json_put_text(o, "operationId", m->operation_id);
	json_put_text(o, "status", m->status);
	js_set(o, "registrationState", dps_json_state(m));
	js_dump(o, JS_AS_BUILT, out);
}
