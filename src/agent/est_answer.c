/*
 * Answers of EST.
 */
#include "agent/est_answer.h"

#include "base/base64.h"
#include "codec/js.h"
#include "crypto/p7.h"

#define LATEST_MS  INT64_C(253402300799999) /* 9999-12-31 (RFC 5280 4.1.2.5) */
#define POLL_MAX_S (400 * 86400)
#define WORDS_MAX  160

static int
unpack(struct span body, struct buf *p7, struct span certs[P7_CERTS_MAX], size_t *ret_n,
    struct err *e)
{
	size_t n;
	if (base64_parse_folded(body, p7, e) || buf_check(p7, "PKCS#7", e) ||
	    p7_parse(buf_span(p7), certs, P7_CERTS_MAX, &n, e))
		return -1;
	if (!n)
		return err_set(e, ERR_PARSE, "the answer holds no certificate");
	*ret_n = n;
	return 0;
}

int
est_answer_cacerts(struct span body, struct buf *ret_pem, struct err *e)
{
	size_t n;
	struct span certs[P7_CERTS_MAX];
	auto_buf p7 = BUF_INIT(P7_MAX), pem = BUF_INIT(CERT_PEM_MAX);
	if (unpack(body, &p7, certs, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		auto_(cert_free) struct cert *c = cert_parse(certs[i], e);
		if (!c)
			return -1;
		cert_write_pem(c->der, &pem);
	}
	if (buf_check(&pem, "CA certificates", e))
		return -1;
	buf_put_span(ret_pem, buf_span(&pem));
	return buf_check(ret_pem, "CA certificates", e);
}

int
est_answer_cert(struct span body, struct span spki, struct buf *ret_der, struct err *e)
{
	size_t n;
	struct span certs[P7_CERTS_MAX];
	auto_buf p7 = BUF_INIT(P7_MAX);
	if (unpack(body, &p7, certs, &n, e))
		return -1;
	for (size_t i = 0; i < n; i++) {
		auto_(cert_free) struct cert *c = cert_parse(certs[i], e);
		if (!c)
			return -1;
		if (!span_eq(c->spki, spki))
			continue;
		buf_put_span(ret_der, c->der);
		return buf_check(ret_der, "certificate", e);
	}
	return err_set(
	    e, ERR_NOT_FOUND, "the answer holds no certificate of the key sent");
}

int
est_answer_checkin(struct span body, struct renew_checkin *ret, struct err *e)
{
	struct renew_checkin c = *ret;
	struct span reason = SPAN_NONE, tag = SPAN_NONE;
	int64_t poll_s = 0;
	c.now_ms = c.renew_start_ms = c.renew_end_ms = 0;
	auto_(js_free) struct js *o = js_parse(body, EST_ANSWER_MAX, 8, e);
	if (o && !js_is(o, JS_OBJECT))
		return err_set(e, ERR_PARSE, "check-in: not an object");
	if (!o || js_opt_int(o, "nowMs", 0, LATEST_MS, &c.now_ms, e) ||
	    js_opt_int(o, "renewStartMs", 0, LATEST_MS, &c.renew_start_ms, e) ||
	    js_opt_int(o, "renewEndMs", 0, LATEST_MS, &c.renew_end_ms, e) ||
	    js_opt_int(o, "pollSeconds", 0, POLL_MAX_S, &poll_s, e) ||
	    js_opt_str(o, "reason", &reason, e) || js_opt_str(o, "caTag", &tag, e))
		return err_wrap(e, "check-in");
	if (!span_to_str(reason, c.reason, sizeof(c.reason)) ||
	    !span_to_str(tag, c.ca_tag, sizeof(c.ca_tag)))
		return err_set(e, ERR_PARSE, "check-in: a text is too long");
	c.poll_ms = poll_s * 1000;
	*ret = c;
	return 0;
}

static enum err_code
code_of(int status)
{
	switch (status) {
	case 401:
		return ERR_DENIED;
	case 403:
		return ERR_FORBIDDEN;
	case 404:
	case 405:
	case 501:
		return ERR_NOT_FOUND;
	case 408:
		return ERR_TIMEOUT;
	case 409:
		return ERR_CONFLICT;
	case 429:
		return ERR_BUSY;
	}
	/* what we sent was wrong, and will be wrong again */
	return status >= 400 && status < 500 ? ERR_UNSUPPORTED : ERR_UNAVAILABLE;
}

int
est_answer_failure(int status, struct span body, struct err *e)
{
	char words[WORDS_MAX];
	size_t n = 0;
	body = span_trim(body);
	for (; n < body.len && n < sizeof(words) - 1; n++)
		words[n] = body.p[n] >= ' ' && body.p[n] < 0x7f ? (char)body.p[n] : ' ';
	words[n] = '\0';
	return err_set(e, code_of(status), "the EST server answered %d%s%s", status,
	    n ? ": " : "", words);
}
