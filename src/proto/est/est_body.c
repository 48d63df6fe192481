/*
 * Tolerance with a diagnosis. Known offenders: PEM armour (IoT Edge), no
 * Content-Transfer-Encoding (libest refuses, others leave it out), curl's own content
 * type, a C string's NUL sent along.
 */
#include "proto/est/est_body.h"

#include "base/base64.h"
#include "codec/der.h"
#include "codec/pem.h"
#include "crypto/csr.h"

#define TYPE      "application/pkcs10"
#define TEXT_MAX  (3 * CSR_MAX) /* base64 and its line ends */
#define SHOWN_MAX 60

static void
note(struct buf *odd, const char *what)
{
	buf_printf(odd, "%s%s", odd->len ? "; " : "", what);
}

/* A peer's header in a header of ours: nothing but what media types are made of. */
static void
note_header(struct buf *odd, const char *what, struct span value)
{
	char shown[SHOWN_MAX + 1];
	size_t n = 0;
	for (; n < value.len && n < SHOWN_MAX; n++) {
		uint8_t c = value.p[n];
		bool ok = (c >= '0' && c <= '9') ||
			  ((c | 32) >= 'a' && (c | 32) <= 'z') ||
			  span_has(SPAN_LIT("/+-."), c);
		shown[n] = ok ? (char)c : '?';
	}
	shown[n] = '\0';
	buf_printf(odd, "%s%s %s", odd->len ? "; " : "", what, shown);
}

/* RFC 7030 4.2.1; parameters may follow. */
static void
judge_type(const char *type, struct buf *odd)
{
	if (!type || !*type) {
		note(odd, "no Content-Type");
		return;
	}
	struct span rest = span_str(type);
	struct span bare = span_trim(span_split(&rest, ';'));
	if (!span_ieq_str(bare, TYPE))
		note_header(odd, "Content-Type", bare);
}

/* RFC 8951 3.1: no header of HTTP, to be ignored; but who says "binary" may mean it. */
static void
judge_encoding(const char *encoding, bool is_raw, struct buf *odd)
{
	struct span said = span_trim(span_str(encoding));
	bool fits = is_raw ? span_ieq_str(said, "binary") : span_ieq_str(said, "base64");
	if (said.len && !fits)
		note_header(odd, "Content-Transfer-Encoding", said);
}

/* A SEQUENCE of 128 bytes or more: no text begins so. */
static bool
is_raw_der(struct span s)
{
	return s.len > 2 && s.p[0] == DER_SEQUENCE && s.p[1] >= 0x80;
}

static const char *
describe(struct span s)
{
	static const struct {
		const char *begins, *what;
	} rows[] = {
	    {"{", "JSON"},
	    {"[", "JSON"},
	    {"<", "XML or HTML"},
	    {"--", "a multipart form"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (span_starts(s, span_str(rows[i].begins)))
			return rows[i].what;
	return NULL;
}

/* ---- PEM --------------------------------------------------------------------------- */

static int
read_pem(struct span text, struct buf *der, struct buf *odd, struct err *e)
{
	static const char *const labels[] = {
	    "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"};
	note(odd, "PEM armour");
	for (size_t i = 0; i < 2; i++) {
		struct err why = {0};
		if (pem_find(text, labels[i], der, &why) == 0)
			return 0;
		if (why.code != ERR_NOT_FOUND)
			return err_copy(e, &why);
	}
	if (memmem(text.p, text.len, "PRIVATE KEY", 11))
		return err_set(e, ERR_PARSE,
		    "the body holds a private key, which is known to others now: make a "
		    "new key pair, and send a certificate request");
	return err_set(
	    e, ERR_PARSE, "PEM, but no CERTIFICATE REQUEST in it (RFC 7030 4.2.1)");
}

/* ---- base64 ------------------------------------------------------------------------ */

/* Text in the standard alphabet, without white space and padding. */
static void
normalise(struct span text, struct buf *out, bool *ret_url)
{
	*ret_url = false;
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.p[i];
		if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
			continue;
		*ret_url |= c == '-' || c == '_';
		buf_u8(out, c == '-' ? '+' : c == '_' ? '/' : c);
	}
}

static size_t
trim_padding(struct buf *text)
{
	size_t n = 0;
	while (text->len && text->p[text->len - 1] == '=') {
		text->len--;
		n++;
	}
	return n;
}

/* RFC 4648 4, and 5, and without padding. */
static int
read_base64(struct span body, struct buf *der, struct buf *odd, struct err *e)
{
	bool url;
	auto_buf text = BUF_INIT(TEXT_MAX);
	normalise(body, &text, &url);
	if (buf_check(&text, "request", e))
		return -1;
	size_t padding = trim_padding(&text);
	size_t wanted = (4 - text.len % 4) % 4;
	if (url)
		note(odd, "base64url");
	if (padding != wanted && padding == 0)
		note(odd, "base64 without padding");
	else if (padding != wanted)
		return err_set(
		    e, ERR_PARSE, "base64: %zu '=' at the end, not %zu", padding, wanted);
	for (size_t i = 0; i < wanted; i++)
		buf_u8(&text, '=');
	return base64_parse(buf_span(&text), der, e);
}

static struct span
trim_wrapping(struct span body, struct buf *odd)
{
	static const char mark[] = "\xef\xbb\xbf";
	if (span_starts(body, SPAN_LIT("\xef\xbb\xbf"))) {
		note(odd, "byte order mark");
		body = span_skip(body, sizeof(mark) - 1);
	}
	if (body.len && body.p[body.len - 1] == 0) {
		note(odd, "NUL at the end");
		while (body.len && body.p[body.len - 1] == 0)
			body.len--;
	}
	return span_trim(body);
}

static int
read_text(struct span body, struct buf *der, struct buf *odd, struct err *e)
{
	struct span text = trim_wrapping(body, odd);
	const char *looks = describe(text);
	if (!text.len)
		return err_set(e, ERR_PARSE, "the body is empty");
	if (memmem(text.p, text.len, "-----BEGIN ", 11))
		return read_pem(text, der, odd, e);
	if (looks)
		return err_set(e, ERR_PARSE,
		    "the body looks like %s; base64 of a PKCS#10 request is wanted "
		    "(RFC 7030 4.2.1)",
		    looks);
	return read_base64(text, der, odd, e);
}

int
est_body_read(
    const struct est_body_in *in, struct buf *der, struct buf *odd, struct err *e)
{
	bool is_raw = is_raw_der(in->body);
	judge_type(in->content_type, odd);
	judge_encoding(in->transfer_encoding, is_raw, odd);
	if (is_raw) {
		note(odd, "DER without base64");
		buf_put_span(der, in->body);
	} else if (read_text(in->body, der, odd, e)) {
		return -1;
	}
	return buf_check(der, "request", e);
}
