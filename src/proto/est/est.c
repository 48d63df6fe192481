/*
 * Enrolment over Secure Transport (RFC 7030, as 8951 clarifies it): the CA certificates
 * and what a request should hold for anybody, certificates for who the core lets have
 * one. Bodies are base64 without a Content-Transfer-Encoding header (RFC 8951 3.1);
 * errors are text for people (RFC 7030 4.2.3). A label (3.2.2) changes nothing.
 */
#include "base/base64.h"
#include "base/hex.h"
#include "base/rand.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/cert.h"
#include "crypto/csr.h"
#include "crypto/p7.h"
#include "crypto/tls.h"
#include "io/http.h"
#include "proto/env.h"
#include "proto/est/est_body.h"
#include "proto/est/est_link.h"
#include "proto/est/est_parts.h"
#include "proto/http_call.h"

#define TYPE_CERTS    "application/pkcs7-mime; smime-type=certs-only"
#define TYPE_CSRATTRS "application/csrattrs"
#define TYPE_TEXT     "text/plain; charset=utf-8"
#define BOUNDARY_LEN  32

#define auto_csr __attribute__((cleanup(csr_done))) struct csr

static void
reply_base64(struct http_call *c, const char *type, struct span der)
{
	buf_reset(&c->out);
	base64_put(&c->out, der);
	http_call_reply(c, 200, type, buf_span(&c->out));
}

/* ---- for anybody --------------------------------------------------------------------
 */

/* RFC 7030 4.1.3 */
void
est_cacerts(struct http_call *c)
{
	struct span certs[P7_CERTS_MAX];
	struct span rest = c->env->ca_chain;
	struct der_tlv one;
	struct err e = {0};
	auto_buf p7 = BUF_INIT(P7_MAX);
	size_t n = 0;
	while (rest.len && n < P7_CERTS_MAX && !der_next(&rest, &one, &e))
		certs[n++] = one.whole;
	if (!n) {
		/* the core has not spoken yet */
		const struct wire_error w = wire_error_of(503001);
		http_call_fail(c, &w, "");
		return;
	}
	if (p7_write(certs, n, &p7, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	reply_base64(c, TYPE_CERTS, buf_span(&p7));
}

/* RFC 7030 4.5.2 */
void
est_csrattrs(struct http_call *c)
{
	auto_buf der = BUF_INIT(1024);
	est_parts_csrattrs(c->env->config, &der);
	reply_base64(c, TYPE_CSRATTRS, buf_span(&der));
}

/* ---- a request under way ------------------------------------------------------------
 */

/* In the call's arena. A key made for the peer is in c->out, which is wiped. */
struct request {
	bool renew, keygen;
	struct span cert; /* what the core gave, DER */
	bool pending;
	uint32_t retry_after_s;
	struct span id; /* of what waits for an operator */
	char tolerated[EST_BODY_ODD_MAX + 1];
};

static void
reply_text(struct http_call *c, int status, const char *text)
{
	http_call_reply(c, status, TYPE_TEXT, span_str(text));
}

/* RFC 7030 4.2.3: the client repeats the request as it is. */
static void
reply_pending(struct http_call *c)
{
	const struct request *r = c->state;
	char seconds[16];
	auto_buf text = BUF_INIT(512);
	snprintf(seconds, sizeof(seconds), "%u", r->retry_after_s);
	http_call_set(c, "Retry-After", seconds);
	if (r->id.len)
		buf_printf(&text,
		    "waits for an operator's approval (muster est approve %.*s); ask "
		    "again in %s s\n",
		    SPAN_FMT(r->id), seconds);
	else
		buf_printf(&text, "being issued; ask again in %s s\n", seconds);
	reply_text(c, 202, buf_text(&text));
}

/* RFC 7030 4.4.2 */
static void
reply_keygen(struct http_call *c, struct span p7)
{
	uint8_t raw[BOUNDARY_LEN / 2];
	char boundary[BOUNDARY_LEN + 1], type[80];
	auto_buf body = BUF_INIT(HTTP_CALL_OUT_MAX);
	body.secret = true;
	rand_bytes(raw, sizeof(raw));
	hex_write(span_of(raw, sizeof(raw)), boundary);
	est_parts_keygen(buf_span(&c->out), p7, boundary, &body);
	snprintf(type, sizeof(type), "multipart/mixed; boundary=%s", boundary);
	http_call_reply(c, 200, type, buf_span(&body));
}

static void
reply_issued(struct http_call *c)
{
	const struct request *r = c->state;
	struct err e = {0};
	auto_buf p7 = BUF_INIT(P7_MAX);
	if (p7_write(&r->cert, r->cert.len ? 1 : 0, &p7, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	if (r->keygen)
		reply_keygen(c, buf_span(&p7));
	else
		reply_base64(c, TYPE_CERTS, buf_span(&p7));
}

/* FORBIDDEN comes only to who has proved who it is: it is told why. */
static void
fail_done(struct http_call *c, const struct ipc_done *d)
{
	if (d->code == ERR_BUSY) /* too many wait, or tried: no matter of seconds */
		c->retry_s = c->env->config->est.retry_after_s;
	if (d->code != ERR_FORBIDDEN) {
		http_call_fail_done(c, d);
		return;
	}
	char text[513];
	const struct wire_error w = wire_error_of(403000);
	http_call_fail(c, &w, span_to_str(d->text, text, sizeof(text)) ? text : "");
}

static void
on_done(struct http_call *c, const struct ipc_done *d)
{
	const struct request *r = c->state;
	if (d->code != ERR_OK)
		fail_done(c, d);
	else if (r->pending)
		reply_pending(c);
	else
		reply_issued(c);
}

static void
on_answer(struct http_call *c, enum ipc_type type, const void *msg)
{
	struct request *r = c->state;
	const struct ipc_cert *cert = msg;
	const struct ipc_est_pending *pending = msg;
	switch (type) {
	case IPC_CERT:
		r->cert = arena_span(c->arena, cert->der);
		break;
	case IPC_EST_PENDING:
		r->pending = true;
		r->retry_after_s = pending->retry_after_s;
		r->id = arena_span(c->arena, pending->id);
		break;
	default:
		on_done(c, msg);
	}
}

/* ---- reading a request --------------------------------------------------------------
 */

/* What is wrong with a request is the peer's to know, and its fault: 400. */
static void
fail_request(struct http_call *c, struct err *e)
{
	if (e->code != ERR_LIMIT)
		e->code = ERR_PARSE;
	http_call_fail_err(c, e);
}

static int
read_csr(struct http_call *c, struct csr *ret, struct err *e)
{
	struct request *r = c->state;
	auto_buf der = BUF_INIT(CSR_MAX), odd = BUF_INIT(EST_BODY_ODD_MAX);
	const struct est_body_in in = {.body = c->body,
	    .content_type = http_call_header(c, "Content-Type"),
	    .transfer_encoding = http_call_header(c, "Content-Transfer-Encoding")};
	int rc = est_body_read(&in, &der, &odd, e);
	snprintf(r->tolerated, sizeof(r->tolerated), "%s", buf_text(&odd));
	if (r->tolerated[0])
		http_call_set(c, "Muster-Tolerated", r->tolerated);
	if (rc)
		return -1;
	return csr_parse(buf_span(&der), ret, e);
}

/* RFC 7030 4.2.2: what the certificate says that is to be renewed. */
static int
read_presented(
    struct http_call *c, const struct csr *csr, struct ipc_est_enroll *m, struct err *e)
{
	auto_cert_list list = {.n = 0};
	struct span san;
	struct ssl_st *ssl = http_ssl(c->req);
	if (!ssl)
		return 0;
	if (tls_peer_chain(ssl, &list, e))
		return -1;
	if (!list.n)
		return 0;
	if (est_parts_san(list.v[0]->der, &san, e))
		return -1;
	m->cert_subject = arena_span(c->arena, list.v[0]->subject);
	m->same_names = span_eq(san, csr->san);
	return 0;
}

/* The key that goes to the peer, as PKCS#8 in c->out; its public half in *ret_spki. */
static int
make_key(struct http_call *c, struct span *ret_spki, struct err *e)
{
	auto_buf pem = BUF_INIT(KEY_PEM_MAX);
	pem.secret = c->out.secret = true;
	auto_(key_free) struct key *k =
	    key_generate((enum key_alg)c->env->config->pki.key, e);
	if (!k || key_write(k, &pem, e) || buf_check(&pem, "key", e) ||
	    pem_find(buf_span(&pem), "PRIVATE KEY", &c->out, e))
		return -1;
	*ret_spki = arena_span(c->arena, key_spki(k));
	return 0;
}

static int
fill(struct http_call *c, const struct csr *csr, struct ipc_est_enroll *m, struct err *e)
{
	const struct request *r = c->state;
	*m = (struct ipc_est_enroll){.peer = c->peer,
	    .cred = c->cred,
	    .renew = r->renew,
	    .keygen = r->keygen,
	    .csr_cn = span_str(csr->cn),
	    .csr_subject = csr->subject,
	    .spki = csr->spki,
	    .linked = (uint8_t)est_link_judge(http_ssl(c->req), csr->challenge),
	    .tolerated = span_str(r->tolerated)};
	return r->renew ? read_presented(c, csr, m, e) : 0;
}

/* csr_parse has verified that the request is signed by the key it names. */
static void
enroll(struct http_call *c, bool renew, bool keygen)
{
	struct err e = {0};
	auto_csr csr = {0};
	struct ipc_est_enroll m;
	struct request *r = arena_alloc(c->arena, sizeof(*r));
	*r = (struct request){.renew = renew, .keygen = keygen};
	c->state = r;
	if (read_csr(c, &csr, &e) || fill(c, &csr, &m, &e)) {
		fail_request(c, &e);
		return;
	}
	if (keygen && csr.wants_encrypted_key) {
		err_set(&e, ERR_PARSE,
		    "the key is wanted encrypted (RFC 7030 4.4.1.1), which is not "
		    "offered: leave DecryptKeyIdentifier out");
		fail_request(c, &e);
		return;
	}
	if (keygen && make_key(c, &m.spki, &e)) {
		http_call_fail_err(c, &e);
		return;
	}
	http_call_ask(c, IPC_EST_ENROLL, &m, on_answer);
}

/* RFC 7030 4.2.1 */
void
est_simpleenroll(struct http_call *c)
{
	enroll(c, false, false);
}

/* RFC 7030 4.2.2 */
void
est_simplereenroll(struct http_call *c)
{
	enroll(c, true, false);
}

/* RFC 7030 4.4. The request's own key and its signature are not used. */
void
est_serverkeygen(struct http_call *c)
{
	if (c->env->config->est.serverkeygen) {
		enroll(c, false, true);
		return;
	}
	reply_text(c, 404,
	    "Keys are not made here (est.serverkeygen is off): make the key on the "
	    "device and use simpleenroll\n");
}
