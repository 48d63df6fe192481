/*
 * EST over libcurl. One handle, one connection kept open between requests, so that the
 * binding seen with one answer is that of the next request's connection.
 */
#include "agent/est_client.h"

#include <stdio.h>

#include "agent/est_answer.h"
#include "agent/libcurl.h"
#include "base/base64.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "crypto/csr.h"
#include "crypto/tls.h"

#define URL_MAX     1024
#define REPORT_MAX  (16 * 1024)
#define TYPE_CSR    "Content-Type: application/pkcs10"
#define TYPE_JSON   "Content-Type: application/json"
#define BINDING_MAX 128 /* in base64 */

struct est_client {
	const struct libcurl *lib;
	CURL *easy;
	struct tls_client *tls; /* borrowed */
	char base[URL_MAX];     /* https://host:port */
	char path[URL_MAX];     /* /.well-known/est/label */
	struct buf body;
	char said[CURL_ERROR_SIZE];
	/* of the connection that the last answer came on: */
	char binding[BINDING_MAX]; /* "": none, or none to be had */
	int64_t leaf_not_before_ms, leaf_not_after_ms;
};

/* --- what is learned from a connection --- */

static void
note_binding(struct est_client *c, struct ssl_st *ssl)
{
	uint8_t raw[TLS_BINDING_MAX];
	size_t len;
	struct err ignored;
	auto_buf text = BUF_INIT(BINDING_MAX);
	c->binding[0] = '\0';
	/* RFC 7030 3.5 names tls-unique; where TLS 1.3 is spoken RFC 9266 replaces it */
	if (tls_channel_binding(ssl, TLS_UNIQUE, raw, &len, &ignored) &&
	    tls_channel_binding(ssl, TLS_EXPORTER, raw, &len, &ignored))
		return;
	base64_put(&text, span_of(raw, len));
	span_to_str(buf_span(&text), c->binding, sizeof(c->binding));
}

static void
note_leaf(struct est_client *c, struct ssl_st *ssl)
{
	struct err ignored;
	auto_cert_list l = {.n = 0};
	c->leaf_not_before_ms = c->leaf_not_after_ms = 0;
	if (tls_peer_chain(ssl, &l, &ignored) || !l.n)
		return;
	c->leaf_not_before_ms = l.v[0]->not_before_ms;
	c->leaf_not_after_ms = l.v[0]->not_after_ms;
}

/* The first header line of an answer: libcurl lends the connection's SSL only while a
 * transfer runs. */
static size_t
on_header(char *p, size_t one, size_t n, void *arg)
{
	struct est_client *c = arg;
	struct curl_tlssessioninfo *info = NULL;
	if (!span_starts(span_of(p, n), SPAN_LIT("HTTP/")))
		return n;
	c->lib->easy_getinfo(c->easy, CURLINFO_TLS_SSL_PTR, &info);
	if (!info || info->backend != CURLSSLBACKEND_OPENSSL || !info->internals)
		return n;
	note_binding(c, info->internals);
	note_leaf(c, info->internals);
	return n;
}

static size_t
on_body(char *p, size_t one, size_t n, void *arg)
{
	struct est_client *c = arg;
	buf_put(&c->body, p, n);
	return c->body.bad ? 0 : n;
}

static CURLcode
on_ctx(CURL *easy, void *ctx, void *arg)
{
	struct est_client *c = arg;
	struct err e;
	if (tls_client_apply(c->tls, ctx, &e) == 0)
		return CURLE_OK;
	snprintf(c->said, sizeof(c->said), "%.200s", e.text);
	return CURLE_SSL_CERTPROBLEM;
}

/* --- life --- */

static void
put_host(struct buf *b, const char *host)
{
	bool v6 = span_has(span_str(host), ':');
	buf_printf(b, v6 ? "[%s]" : "%s", host);
}

static bool
is_loopback(const char *host)
{
	struct span s = span_str(host);
	return span_starts(s, SPAN_LIT("127.")) || span_eq_str(s, "localhost") ||
	       span_eq_str(s, "::1");
}

static int
set_common(struct est_client *c, const struct est_client_opts *o, struct err *e)
{
	const struct libcurl *l = c->lib;
	CURLcode rc = l->easy_setopt(c->easy, CURLOPT_SSL_CTX_FUNCTION, on_ctx);
	if (rc)
		return err_set(e, ERR_UNSUPPORTED,
		    "libcurl here does no TLS by OpenSSL (install libcurl4): %s",
		    l->easy_strerror(rc));
	l->easy_setopt(c->easy, CURLOPT_SSL_CTX_DATA, c);
	/* trust comes with the context alone */
	l->easy_setopt(c->easy, CURLOPT_CAINFO, NULL);
	l->easy_setopt(c->easy, CURLOPT_CAPATH, NULL);
	l->easy_setopt(c->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	l->easy_setopt(c->easy, CURLOPT_PROTOCOLS_STR, "https");
	l->easy_setopt(c->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	l->easy_setopt(c->easy, CURLOPT_NOSIGNAL, 1L);
	l->easy_setopt(c->easy, CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
	l->easy_setopt(c->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)o->timeout_ms);
	l->easy_setopt(c->easy, CURLOPT_ERRORBUFFER, c->said);
	l->easy_setopt(c->easy, CURLOPT_WRITEFUNCTION, on_body);
	l->easy_setopt(c->easy, CURLOPT_WRITEDATA, c);
	l->easy_setopt(c->easy, CURLOPT_HEADERFUNCTION, on_header);
	l->easy_setopt(c->easy, CURLOPT_HEADERDATA, c);
	if (is_loopback(o->host))
		l->easy_setopt(c->easy, CURLOPT_PROXY, "");
	if (!o->user)
		return 0;
	l->easy_setopt(c->easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	l->easy_setopt(c->easy, CURLOPT_USERNAME, o->user);
	l->easy_setopt(c->easy, CURLOPT_PASSWORD, o->password);
	return 0;
}

int
est_client_new(const struct est_client_opts *o, struct est_client **ret, struct err *e)
{
	const struct libcurl *lib = libcurl_get(e);
	if (!lib)
		return -1;
	auto_buf base = BUF_INIT(URL_MAX), path = BUF_INIT(URL_MAX);
	buf_str(&base, "https://");
	put_host(&base, o->host);
	buf_printf(&base, ":%lld", (long long)o->port);
	buf_str(&path, "/.well-known/est");
	if (o->label[0]) {
		buf_u8(&path, '/');
		uri_encode(&path, span_str(o->label));
	}
	if (buf_check(&base, "URL", e) || buf_check(&path, "URL", e))
		return -1;
	auto_(est_client_free) struct est_client *c = own_alloc(sizeof(*c));
	c->lib = lib;
	c->tls = o->tls;
	c->body = BUF_INIT(EST_ANSWER_MAX);
	c->easy = lib->easy_init();
	if (!c->easy)
		return err_set(e, ERR_INTERNAL, "libcurl does not start");
	span_to_str(buf_span(&base), c->base, sizeof(c->base));
	span_to_str(buf_span(&path), c->path, sizeof(c->path));
	if (set_common(c, o, e))
		return -1;
	*ret = TAKE(c);
	return 0;
}

void
est_client_free(struct est_client *c)
{
	if (!c)
		return;
	if (c->easy)
		c->lib->easy_cleanup(c->easy);
	buf_done(&c->body);
	free(c);
}

/* --- one request --- */

struct request {
	const char *path, *type; /* type: a header line; NULL: GET */
	struct span body;
};

static enum err_code
code_of(CURLcode rc)
{
	switch (rc) {
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CONNECT_ERROR:
		return ERR_CRYPTO;
	case CURLE_WRITE_ERROR:
		return ERR_LIMIT;
	default:
		return ERR_UNAVAILABLE;
	}
}

static int
explain(const struct est_client *c, CURLcode rc, struct err *e)
{
	return err_set(e, code_of(rc), "%s: %s", c->base,
	    c->said[0] ? c->said : c->lib->easy_strerror(rc));
}

static int
perform(struct est_client *c, const struct request *q, long *ret_status, struct err *e)
{
	const struct libcurl *l = c->lib;
	char url[2 * URL_MAX];
	struct curl_slist *headers = l->slist_append(NULL, "Expect:");
	snprintf(url, sizeof(url), "%s%s", c->base, q->path);
	l->easy_setopt(c->easy, CURLOPT_URL, url);
	l->easy_setopt(c->easy, q->type ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
	if (q->type) {
		headers = l->slist_append(headers, q->type);
		l->easy_setopt(c->easy, CURLOPT_POSTFIELDS, (const char *)q->body.p);
		l->easy_setopt(
		    c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.len);
	}
	l->easy_setopt(c->easy, CURLOPT_HTTPHEADER, headers);
	buf_reset(&c->body);
	c->said[0] = '\0';
	CURLcode rc = l->easy_perform(c->easy);
	l->easy_setopt(c->easy, CURLOPT_HTTPHEADER, NULL);
	l->slist_free_all(headers);
	if (rc)
		return explain(c, rc, e);
	l->easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, ret_status);
	return 0;
}

/* True where the last request had to open a connection. */
static bool
was_new(const struct est_client *c)
{
	long opened = 0;
	c->lib->easy_getinfo(c->easy, CURLINFO_NUM_CONNECTS, &opened);
	return opened > 0;
}

static const char *
est_path(const struct est_client *c, const char *verb, char out[URL_MAX])
{
	snprintf(out, URL_MAX, "%s/%s", c->path, verb);
	return out;
}

/* --- operations --- */

int
est_client_cacerts(struct est_client *c, struct buf *ret_pem, struct err *e)
{
	char path[URL_MAX];
	long status;
	struct request q = {.path = est_path(c, "cacerts", path)};
	if (perform(c, &q, &status, e))
		return -1;
	if (status != 200)
		return est_answer_failure((int)status, buf_span(&c->body), e);
	return est_answer_cacerts(buf_span(&c->body), ret_pem, e);
}

/* A connection whose binding is known. What csrattrs asks for (RFC 7030 4.5.2) needs no
 * reading: the one attribute that we can add is the binding, and we always do. */
static int
greet_est(struct est_client *c, struct err *e)
{
	char path[URL_MAX];
	long status;
	struct request q = {.path = est_path(c, "csrattrs", path)};
	return perform(c, &q, &status, e);
}

static int
send_csr(struct est_client *c, enum est_verb verb, struct key *key, struct span subject,
    long *ret_status, struct err *e)
{
	char path[URL_MAX];
	auto_buf csr = BUF_INIT(CSR_MAX), text = BUF_INIT(2 * CSR_MAX);
	if (csr_write_name(key, subject, span_str(c->binding), &csr, e))
		return -1;
	base64_put(&text, buf_span(&csr)); /* RFC 8951 3.1: no encoding is announced */
	struct request q = {
	    .path = est_path(
		c, verb == EST_SIMPLEENROLL ? "simpleenroll" : "simplereenroll", path),
	    .type = TYPE_CSR,
	    .body = buf_span(&text)};
	return buf_check(&text, "request", e) ? -1 : perform(c, &q, ret_status, e);
}

static int
judge_enrol(struct est_client *c, long status, struct span spki, struct buf *ret_der,
    struct renew_later *ret_later, struct err *e)
{
	curl_off_t after_s = 0;
	if (status == 200)
		return est_answer_cert(buf_span(&c->body), spki, ret_der, e);
	c->lib->easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after_s);
	if (after_s > 0 && after_s <= INT32_MAX)
		ret_later->retry_after_ms = after_s * 1000;
	if (status != 202)
		return est_answer_failure((int)status, buf_span(&c->body), e);
	ret_later->pending = true;
	return err_set(
	    e, ERR_UNAVAILABLE, "the request waits for an operator's approval");
}

int
est_client_enrol(struct est_client *c, enum est_verb verb, struct key *key,
    struct span subject, struct buf *ret_der, struct renew_later *ret_later,
    struct err *e)
{
	long status;
	*ret_later = (struct renew_later){0};
	if (!c->binding[0] && greet_est(c, e))
		return -1;
	if (send_csr(c, verb, key, subject, &status, e))
		return -1;
	/* the server had closed the connection that the binding was of, and refused: the
	 * answer came on the new one, whose binding is known now */
	if (status != 200 && status != 202 && was_new(c) &&
	    send_csr(c, verb, key, subject, &status, e))
		return -1;
	return judge_enrol(c, status, key_spki(key), ret_der, ret_later, e);
}

static int
write_report(const struct renew_report *r, struct buf *out, struct err *e)
{
	auto_(js_free) struct js *o = js_object();
	struct js *anchors = js_array();
	for (size_t i = 0; i < r->n_anchors; i++)
		js_append(anchors, js_text(r->anchors[i]));
	js_set_text(o, "custody", r->custody);
	js_set_text(o, "generation", r->generation);
	js_set(o, "anchors", anchors);
	js_set_int(o, "clockMs", r->clock_ms);
	js_dump(o, JS_AS_BUILT, out);
	return buf_check(out, "check-in", e);
}

int
est_client_checkin(struct est_client *c, const struct renew_report *r,
    struct renew_checkin *ret, struct err *e)
{
	long status;
	auto_buf body = BUF_INIT(REPORT_MAX);
	struct renew_checkin got = {0};
	if (write_report(r, &body, e))
		return -1;
	struct request q = {
	    .path = "/muster/checkin", .type = TYPE_JSON, .body = buf_span(&body)};
	if (perform(c, &q, &status, e))
		return -1;
	if (status != 200)
		return est_answer_failure((int)status, buf_span(&c->body), e);
	if (est_answer_checkin(buf_span(&c->body), &got, e))
		return -1;
	got.leaf_not_before_ms = c->leaf_not_before_ms;
	got.leaf_not_after_ms = c->leaf_not_after_ms;
	*ret = got;
	return 0;
}

int
est_client_greet(const char *host, int64_t port, struct tls_client *tls,
    int64_t timeout_ms, struct err *e)
{
	auto_(est_client_free) struct est_client *c = NULL;
	struct est_client_opts o = {.host = host,
	    .port = port,
	    .label = "",
	    .timeout_ms = timeout_ms,
	    .tls = tls};
	if (est_client_new(&o, &c, e))
		return -1;
	c->lib->easy_setopt(c->easy, CURLOPT_URL, c->base);
	c->lib->easy_setopt(c->easy, CURLOPT_CONNECT_ONLY, 1L);
	CURLcode rc = c->lib->easy_perform(c->easy);
	return rc ? explain(c, rc, e) : 0;
}
