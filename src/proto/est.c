/*
 * Enrolment over Secure Transport (RFC 7030, as 8951 clarifies it): the CA certificates
 * for anybody, certificates for devices by an operator acting as registration authority.
 * Bodies are base64 without a Content-Transfer-Encoding header (RFC 8951 3.1).
 */
#include "base/base64.h"
#include "codec/der.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/p7.h"
#include "proto/env.h"
#include "proto/http_call.h"

#define TYPE_CERTS "application/pkcs7-mime; smime-type=certs-only"

static void
reply_certs(struct http_call *c, const struct span *certs, size_t n)
{
	struct err e = {0};
	auto_buf p7 = BUF_INIT(P7_MAX);
	if (p7_write(certs, n, &p7, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	buf_reset(&c->out);
	base64_put(&c->out, buf_span(&p7));
	http_call_reply(c, 200, TYPE_CERTS, buf_span(&c->out));
}

/* RFC 7030 4.1.3 */
void
est_cacerts(struct http_call *c)
{
	struct span certs[P7_CERTS_MAX];
	struct span rest = c->env->ca_chain;
	struct der_tlv one;
	struct err e = {0};
	size_t n = 0;
	while (rest.len && n < P7_CERTS_MAX && !der_next(&rest, &one, &e))
		certs[n++] = one.whole;
	if (!n) {
		/* the core has not spoken yet */
		const struct wire_error w = wire_error_of(503001);
		http_call_fail(c, &w, "");
		return;
	}
	reply_certs(c, certs, n);
}

static void
on_issued(struct http_call *c, enum ipc_type type, const void *msg)
{
	if (type == IPC_CERT) {
		const struct ipc_cert *m = msg;
		buf_reset(&c->out);
		buf_put_span(&c->out, m->der);
		return;
	}
	const struct ipc_done *d = msg;
	if (d->code != ERR_OK) {
		http_call_fail_done(c, d);
		return;
	}
	auto_buf der = BUF_INIT(CERT_MAX);
	buf_put_span(&der, buf_span(&c->out));
	const struct span cert = buf_span(&der);
	reply_certs(c, &cert, cert.len ? 1 : 0);
}

static void
enroll(struct http_call *c, const struct csr *csr)
{
	const struct ipc_cert_issue m = {.peer = c->peer,
	    .cred = c->cred,
	    .csr_cn = span_str(csr->cn),
	    .spki = csr->spki};
	http_call_ask(c, IPC_CERT_ISSUE, &m, on_issued);
}

/* RFC 7030 4.2.1. csr_parse has verified that the request is signed by the key it names.
 */
void
est_simpleenroll(struct http_call *c)
{
	struct err e = {0};
	struct csr csr;
	auto_buf der = BUF_INIT(CSR_MAX);
	if (base64_parse_folded(c->body, &der, &e) || buf_check(&der, "request", &e) ||
	    csr_parse(buf_span(&der), &csr, &e)) {
		e.code = e.code == ERR_LIMIT ? ERR_LIMIT
					     : ERR_PARSE; /* the peer's fault: 400 */
		http_call_fail_err(c, &e);
		return;
	}
	enroll(c, &csr);
	csr_done(&csr);
}
