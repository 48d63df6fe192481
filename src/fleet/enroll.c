/*
 * Certificates of a campaign. The CA's certificates come over TLS from the server whose
 * CA is pinned; each device's certificate is judged here before it goes onto the device.
 */
#include "fleet/enroll.h"

#include "base/base64.h"
#include "base/hex.h"
#include "codec/js.h"
#include "codec/pem.h"
#include "crypto/chain.h"
#include "crypto/csr.h"
#include "crypto/p7.h"
#include "fleet/azure.h"

#define PEM_MAX   (256 * 1024)
#define GROUP_MAX (256 * 1024)

struct enroll {
	struct chain_set *trusted;
	struct cert *issuer; /* signs the devices' certificates */
	struct buf issuer_pem;
};

#define auto_csr __attribute__((cleanup(csr_done))) struct csr

/* The certificates of an EST answer (RFC 7030 4.1.3; base64, RFC 8951). */
static int
read_p7(struct span body, struct cert_list *ret, struct err *e)
{
	struct span der[P7_CERTS_MAX];
	size_t n;
	auto_buf p7 = BUF_INIT(P7_MAX);
	if (base64_parse_folded(body, &p7, e) ||
	    p7_parse(buf_span(&p7), der, P7_CERTS_MAX, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct cert *c = cert_parse(der[i], e);
		if (!c || cert_list_add(ret, c, e))
			return -1;
	}
	return 0;
}

/* ---- the CA ---- */

static int
take_ca(struct enroll *n, struct cert *c, struct err *e)
{
	enum chain_flags flags = c->self_signed ? CHAIN_TRUSTED : CHAIN_HELPER;
	if (chain_set_add(n->trusted, c, flags, e))
		return -1;
	if (c->self_signed || n->issuer)
		return 0;
	n->issuer = cert_ref(c);
	cert_write_pem(c->der, &n->issuer_pem);
	return buf_check(&n->issuer_pem, "CA certificate", e);
}

static int
ask_ca(struct migration *m, struct enroll *n, struct err *e)
{
	struct rest_request q;
	struct rest_response r;
	auto_buf body = BUF_INIT(REST_BODY_MAX);
	azure_est_cacerts(m->arena, &q);
	if (migration_open_est(m, e) ||
	    migration_ask_rest(m, m->est, &q, "EST cacerts", &body, &r, e))
		return -1;
	auto_cert_list list = {0};
	if (read_p7(r.body, &list, e))
		return err_wrap(e, "EST cacerts");
	for (size_t i = 0; i < list.n; i++)
		if (take_ca(n, list.v[i], e))
			return err_wrap(e, "EST cacerts");
	if (!n->issuer)
		return err_set(e, ERR_NOT_FOUND, "EST cacerts: no intermediate CA in it");
	return 0;
}

/* ---- the group ---- */

static int
check_group(struct migration *m, struct enroll *n, struct span body, struct err *e)
{
	auto_(js_free) struct js *g = js_parse(body, GROUP_MAX, 16, e);
	if (!g)
		return err_wrap(e, "enrollment group %s", m->group);
	const struct js *attestation = js_get(g, "attestation");
	const struct js *primary =
	    js_get(js_get(js_get(attestation, "x509"), "signingCertificates"), "primary");
	struct span thumb =
	    js_as_str(js_get(js_get(primary, "info"), "sha256Thumbprint"));
	char ours[2 * DIGEST_SHA256 + 1];
	hex_write(span_of(n->issuer->sha256, DIGEST_SHA256), ours);
	if (strcmp(js_as_text(js_get(attestation, "type")), "x509") != 0)
		return err_set(e, ERR_CONFLICT,
		    "enrollment group %s is there and takes no certificates; name "
		    "another with "
		    "--group",
		    m->group);
	if (js_is(js_get(js_get(attestation, "x509"), "caReferences"), JS_OBJECT))
		return err_set(e, ERR_CONFLICT,
		    "enrollment group %s names its CA by reference, which is not "
		    "compared with ours; name another with --group: run makes it, with "
		    "the CA itself",
		    m->group);
	if (!span_ieq_str(thumb, ours))
		return err_set(e, ERR_CONFLICT,
		    "enrollment group %s stands on another CA (%.*s, ours is %s); name "
		    "another "
		    "with --group",
		    m->group, SPAN_FMT(thumb), ours);
	if (strcmp(js_as_text(js_get(g, "provisioningStatus")), "disabled") == 0)
		return err_set(
		    e, ERR_DENIED, "enrollment group %s is disabled", m->group);
	return 0;
}

static int
put_group(struct migration *m, struct enroll *n, struct err *e)
{
	struct rest_request q;
	struct rest_response r;
	auto_buf body = BUF_INIT(GROUP_MAX);
	auto_(js_free) struct js *g =
	    azure_group_x509(m->group, buf_text(&n->issuer_pem));
	azure_group_put(m->arena, m->group, g, &q);
	if (migration_ask(m, PACE_DPS, &q, "making the enrollment group", &body, &r, e))
		return -1;
	return check_group(m, n, r.body, e);
}

static int
need_group(struct migration *m, struct enroll *n, struct err *e)
{
	struct rest_request q;
	struct rest_response r;
	struct err why;
	auto_buf body = BUF_INIT(GROUP_MAX);
	azure_group_get(m->arena, m->group, &q);
	if (migration_ask(m, PACE_DPS, &q, "enrollment group", &body, &r, &why) == 0)
		return check_group(m, n, r.body, e);
	if (why.code == ERR_NOT_FOUND)
		return put_group(m, n, e);
	return err_copy(e, &why);
}

struct enroll *
enroll_open(struct migration *m, struct err *e)
{
	auto_(enroll_free) struct enroll *n = own_alloc(sizeof(*n));
	n->trusted = chain_set_new();
	n->issuer_pem = BUF_INIT(PEM_MAX);
	if (ask_ca(m, n, e) || need_group(m, n, e))
		return NULL;
	return TAKE(n);
}

void
enroll_free(struct enroll *n)
{
	if (!n)
		return;
	chain_set_free(n->trusted);
	cert_free(n->issuer);
	buf_done(&n->issuer_pem);
	free(n);
}

/* ---- a device's request and certificate ---- */

int
enroll_csr(const char *csr_pem, const char *device_id, struct buf *ret_der, struct err *e)
{
	auto_csr csr = {0};
	if (csr_parse(span_str(csr_pem), &csr, e))
		return err_wrap(e, "request from the device");
	if (strcmp(csr.cn, device_id) != 0)
		return err_set(e, ERR_CRYPTO,
		    "request from the device: for CN=%s, not %s", csr.cn, device_id);
	buf_put_span(ret_der, csr.der);
	return buf_check(ret_der, "request from the device", e);
}

static int
judge(const struct enroll *n, const struct cert_list *list, const char *csr_pem,
    const char *device_id, int64_t now_ms, struct err *e)
{
	auto_csr csr = {0};
	struct chain_options o = {.now_ms = now_ms};
	struct chain_verdict v;
	if (csr_parse(span_str(csr_pem), &csr, e))
		return -1;
	const struct cert *leaf = list->v[0];
	if (memcmp(leaf->key_sha256, csr.key_sha256, DIGEST_SHA256) != 0)
		return err_set(e, ERR_CRYPTO, "certificate is for another key");
	if (strcmp(leaf->cn, device_id) != 0)
		return err_set(e, ERR_CRYPTO, "certificate is for CN=%s, not %s",
		    leaf->cn, device_id);
	chain_verify(n->trusted, list, &o, &v);
	if (v.reason != CHAIN_OK)
		return err_set(e, ERR_CRYPTO, "certificate does not verify: %s", v.text);
	if (v.n_ca == 0 || memcmp(v.ca[0], n->issuer->sha256, DIGEST_SHA256) != 0)
		return err_set(e, ERR_CRYPTO,
		    "certificate was signed by another CA than the enrollment group's");
	return 0;
}

int
enroll_chain(const struct enroll *n, struct span est_body, const char *csr_pem,
    const char *device_id, int64_t now_ms, struct buf *ret_pem, struct err *e)
{
	auto_cert_list list = {0};
	if (read_p7(est_body, &list, e))
		return err_wrap(e, "EST simpleenroll");
	if (list.n != 1)
		return err_set(
		    e, ERR_PARSE, "EST simpleenroll: %zu certificates, not one", list.n);
	if (judge(n, &list, csr_pem, device_id, now_ms, e))
		return err_wrap(e, "EST simpleenroll");
	cert_write_pem(list.v[0]->der, ret_pem);
	buf_put_span(ret_pem, buf_span(&n->issuer_pem));
	return buf_check(ret_pem, "certificate chain", e);
}

bool
enroll_fits(const struct enroll *n, const char *chain_pem, const char *csr_pem,
    const char *device_id, int64_t now_ms)
{
	struct err e;
	auto_cert_list list = {0};
	if (!chain_pem[0] ||
	    cert_list_parse(span_str(chain_pem), "certificate", &list, &e) ||
	    judge(n, &list, csr_pem, device_id, now_ms, &e))
		return false;
	const struct cert *leaf = list.v[0];
	return now_ms - leaf->not_before_ms <
	       (leaf->not_after_ms - leaf->not_before_ms) / 2;
}

int
enroll_thumb(
    const char *chain_pem, char ret[65], int64_t *ret_not_after_ms, struct err *e)
{
	auto_cert_list list = {0};
	if (cert_list_parse(span_str(chain_pem), "certificate", &list, e))
		return -1;
	hex_write(span_of(list.v[0]->sha256, DIGEST_SHA256), ret);
	*ret_not_after_ms = list.v[0]->not_after_ms;
	return 0;
}
