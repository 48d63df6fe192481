/*
 * Documents of enrollments.
 */
#include "cmd/enrollment_doc.h"

#include <string.h>

#include "base/base64.h"
#include "cmd/doc_arg.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "crypto/sas_key.h"
#include "io/file.h"

#define KEYS_MAX 4096
#define TPM_MAX  16384

const char *
enrollment_doc_id(bool group)
{
	return group ? "enrollmentGroupId" : "registrationId";
}

/* The member of that name; made, over one of another type. */
static struct js *
need_object(struct js *o, const char *key)
{
	if (!js_is(js_get(o, key), JS_OBJECT))
		js_set(o, key, js_object());
	return js_get_mut(o, key);
}

/* ---- attestation ---------------------------------------------------------------------
 */

/* What is shown as a certificate is one; a key in the file is refused (crypto/cert.h). */
static int
set_cert(struct js *certs, const char *which, const char *path, struct err *e)
{
	auto_buf text = BUF_INIT(CERT_PEM_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list l = {0};
	if (!path)
		return 0;
	if (file_read(path, &text, e) || cert_list_parse(buf_span(&text), path, &l, e))
		return -1;
	cert_write_pem(l.v[0]->der, &pem);
	struct js *one = js_object();
	js_set_text(one, "certificate", buf_text(&pem));
	js_set(certs, which, one);
	return 0;
}

/* The attestation as one of that type, of which nothing of another type is left. */
static struct js *
attest_by(struct js *v, const char *type)
{
	struct js *a = need_object(v, "attestation");
	if (strcmp(js_as_text(js_get(a, "type")), type) != 0) {
		js_set(v, "attestation", js_object());
		a = js_get_mut(v, "attestation");
		js_set_text(a, "type", type);
	}
	return need_object(a, type);
}

/* There is one place for certificates: the others go. What is in it stays. */
static struct js *
certs_in(struct js *x509, const char *place)
{
	static const char *const places[] = {
	    "clientCertificates", "signingCertificates", "caReferences"};
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strcmp(places[i], place) != 0)
			js_del(x509, places[i]);
	return need_object(x509, place);
}

static int
by_cert(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	const char *own = d->group ? "signingCertificates" : "clientCertificates";
	struct js *x509 = attest_by(v, "x509");
	struct js *certs = certs_in(x509, d->ca_name ? "caReferences" : own);
	if (d->ca_name)
		return js_set_str(certs, "primary", span_str(d->ca_name), e);
	if (set_cert(certs, "primary", d->cert, e) ||
	    set_cert(certs, "secondary", d->second_cert, e))
		return -1;
	if (!js_is(js_get(certs, "primary"), JS_OBJECT))
		return err_set(e, ERR_USAGE, "a second certificate wants a first one");
	return 0;
}

static int
drop_second(struct js *v, struct err *e)
{
	static const char *const places[] = {
	    "clientCertificates", "signingCertificates", "caReferences"};
	struct js *x509 = js_get_mut(js_get_mut(v, "attestation"), "x509");
	bool found = false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		struct js *certs = js_get_mut(x509, places[i]);
		const struct js *second = js_get(certs, "secondary");
		if (!second || js_is(second, JS_NULL))
			continue;
		js_set(certs, "secondary", js_null());
		found = true;
	}
	if (found)
		return 0;
	return err_set(e, ERR_NOT_FOUND, "--drop-second: it has no second certificate");
}

/* A file of one key a line: the primary one, the secondary one. */
static int
set_keys(struct js *keys, const char *path, struct err *e)
{
	auto_buf text = BUF_INIT(KEYS_MAX);
	if (file_read_secret(path, &text, e))
		return -1;
	struct span rest = span_trim(buf_span(&text));
	struct span first = span_trim(span_split(&rest, '\n'));
	struct span second = span_trim(rest);
	if (js_set_str(keys, "primaryKey", first, e))
		return err_wrap(e, "%s", path);
	return js_set_str(keys, "secondaryKey", second.len ? second : first, e);
}

static void
make_key(struct js *keys, const char *which)
{
	uint8_t raw[SAS_KEY_MAX];
	auto_buf text = BUF_INIT(2 * SAS_KEY_MAX);
	text.secret = true;
	sas_key_generate(raw);
	base64_put(&text, span_of(raw, sizeof(raw)));
	own_wipe(raw, sizeof(raw));
	js_set_text(keys, which, buf_text(&text));
}

/* Without a file the service makes keys that are not there, of an enrollment that is new:
 * of one that has some, it may as well keep them. */
static int
by_key(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	struct js *keys = attest_by(v, "symmetricKey");
	if (d->keys_file)
		return set_keys(keys, d->keys_file, e);
	if (d->new_keys) {
		make_key(keys, "primaryKey");
		make_key(keys, "secondaryKey");
	}
	return 0;
}

static int
by_tpm(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	auto_buf text = BUF_INIT(TPM_MAX);
	struct js *tpm = attest_by(v, "tpm");
	if (doc_arg_file(d->tpm, &text, e))
		return -1;
	js_del(tpm, "storageRootKey"); /* of the TPM that it was */
	return js_set_str(tpm, "endorsementKey", span_trim(buf_span(&text)), e);
}

static int
count_ways(const struct enrollment_doc *d)
{
	return (d->cert || d->second_cert) + (d->ca_name != NULL) +
	       (d->symmetric || d->keys_file || d->new_keys) + (d->tpm != NULL);
}

static int
set_attestation(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	if (count_ways(d) > 1)
		return err_set(e, ERR_USAGE, "one of %s is wanted",
		    d->group ? "--signing-ca, --ca-name, --symmetric"
			     : "--device-cert, --symmetric, --tpm");
	if (d->drop_second && d->second_cert)
		return err_set(
		    e, ERR_USAGE, "a second certificate, or --drop-second: not both");
	if (d->drop_second && drop_second(v, e))
		return -1;
	if (d->cert || d->second_cert || d->ca_name)
		return by_cert(d, v, e);
	if (d->tpm)
		return by_tpm(d, v, e);
	return count_ways(d) ? by_key(d, v, e) : 0;
}

/* ---- the rest ------------------------------------------------------------------------
 */

static int
set_reprovision(const char *word, struct js *v, struct err *e)
{
	static const struct {
		const char *word;
		bool moves, keeps;
	} rows[] = {
	    {"migrate", true, true}, {"reset", true, false}, {"never", false, false}};
	for (size_t i = 0; word && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(word, rows[i].word) != 0)
			continue;
		struct js *policy = js_object();
		js_set_bool(policy, "updateHubAssignment", rows[i].moves);
		js_set_bool(policy, "migrateDeviceData", rows[i].keeps);
		js_set(v, "reprovisionPolicy", policy);
		return 0;
	}
	if (!word)
		return 0;
	return err_set(e, ERR_USAGE, "--reprovision %s: migrate, reset or never", word);
}

static int
set_doc(
    struct js *o, const char *key, const char *text, const char *option, struct err *e)
{
	if (!text)
		return 0;
	struct js *doc = doc_arg_json(text, option, e);
	if (!doc)
		return -1;
	js_set(o, key, doc);
	return 0;
}

/* Of a first twin both parts are there, or none (service.md 1.4). */
static int
set_twin(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	if (!d->tags && !d->desired)
		return 0;
	struct js *twin = need_object(v, "initialTwin");
	(void)need_object(twin, "tags");
	struct js *properties = need_object(twin, "properties");
	(void)need_object(properties, "desired");
	if (set_doc(twin, "tags", d->tags, "--tags", e))
		return -1;
	return set_doc(properties, "desired", d->desired, "--desired", e);
}

static int
set_hubs(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	if (d->any_hub && d->hubs.n)
		return err_set(e, ERR_USAGE, "--hub or --any-hub: not both");
	if (!d->any_hub && !d->hubs.n)
		return 0;
	js_del(v, "iotHubHostName"); /* which the old API says the same by */
	struct js *hubs = js_array();
	js_set(v, "iotHubs", hubs);
	for (int i = 0; i < d->hubs.n; i++) {
		struct js *hub = js_str(span_str(d->hubs.v[i]), e);
		if (!hub)
			return err_wrap(e, "--hub");
		js_append(hubs, hub);
	}
	return 0;
}

static int
set_edge(const char *word, struct js *v, struct err *e)
{
	if (!word)
		return 0;
	if (strcmp(word, "yes") != 0 && strcmp(word, "no") != 0)
		return err_set(e, ERR_USAGE, "--edge %s: yes or no", word);
	js_set_bool(need_object(v, "capabilities"), "iotEdge", strcmp(word, "yes") == 0);
	return 0;
}

static int
set_text(
    struct js *v, const char *key, const char *text, const char *option, struct err *e)
{
	if (text && js_set_str(v, key, span_str(text), e))
		return err_wrap(e, "%s", option);
	return 0;
}

static int
apply(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	if (set_attestation(d, v, e) || set_reprovision(d->reprovision, v, e) ||
	    set_twin(d, v, e) || set_hubs(d, v, e) || set_edge(d->edge, v, e) ||
	    set_text(v, "deviceId", d->device, "--device-id", e))
		return -1;
	return set_text(v, "allocationPolicy", d->allocation, "--allocation", e);
}

/* ---- documents -----------------------------------------------------------------------
 */

int
enrollment_doc_new(
    const struct enrollment_doc *d, const char *id, struct js **ret, struct err *e)
{
	auto_(js_free) struct js *v = js_object();
	struct enrollment_doc all = *d;
	all.reprovision = d->reprovision ? d->reprovision : "migrate";
	all.edge = d->edge ? d->edge : "no";
	if (!count_ways(d))
		return err_set(e, ERR_USAGE, "one of %s is wanted",
		    d->group ? "--signing-ca, --ca-name, --symmetric"
			     : "--device-cert, --symmetric, --tpm");
	js_set_text(v, "provisioningStatus", d->disabled ? "disabled" : "enabled");
	if (js_set_str(v, enrollment_doc_id(d->group), span_str(id), e) ||
	    apply(&all, v, e))
		return -1;
	*ret = TAKE(v);
	return 0;
}

static bool
says_nothing(const struct enrollment_doc *d)
{
	return !count_ways(d) && !d->drop_second && !d->any_hub && !d->hubs.n &&
	       !d->device && !d->edge && !d->allocation && !d->reprovision && !d->tags &&
	       !d->desired;
}

int
enrollment_doc_change(const struct enrollment_doc *d, struct js *v, struct err *e)
{
	if (says_nothing(d))
		return err_set(e, ERR_USAGE, "nothing to change: no option says what");
	return apply(d, v, e);
}
