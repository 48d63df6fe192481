/*
 * SharedAccessSignature tokens. Error texts name fields, never what is in them.
 */
#include "codec/sas.h"

#include <inttypes.h>

#include "base/base64.h"
#include "base/num.h"
#include "codec/uri.h"

static const char scheme[] = "SharedAccessSignature ";

enum field { FIELD_SR, FIELD_SIG, FIELD_SE, FIELD_SKN, FIELD_N };
static const char *const names[FIELD_N] = {"sr", "sig", "se", "skn"};

static int
collect(struct span token, struct span fields[FIELD_N], struct err *e)
{
	struct span rest = span_skip(token, sizeof(scheme) - 1);
	struct uri_pair pair;
	while (uri_pair_next(&rest, &pair)) {
		for (int i = 0; i < FIELD_N; i++) {
			if (!span_ieq_str(pair.key, names[i]))
				continue;
			if (fields[i].p)
				return err_set(
				    e, ERR_PARSE, "SAS token has %s twice", names[i]);
			fields[i] = pair.value;
		}
	}
	for (int i = 0; i < FIELD_SKN; i++)
		if (fields[i].len == 0)
			return err_set(e, ERR_PARSE, "SAS token has no %s", names[i]);
	return 0;
}

/* Decodes a field to text that fits dst. */
static int
text_field(struct span s, enum field which, char *dst, size_t size, struct err *e)
{
	auto_buf text = BUF_INIT(size - 1);
	struct err cause;
	if (uri_decode(s, &text, &cause) != 0 || !span_to_str(buf_span(&text), dst, size))
		return err_set(
		    e, ERR_PARSE, "SAS token: %s is malformed or too long", names[which]);
	return 0;
}

static int
parse_sig(struct span s, uint8_t out[SAS_SIG_LEN], struct err *e)
{
	auto_buf text = BUF_INIT(BASE64_LEN(SAS_SIG_LEN));
	auto_buf bytes = BUF_INIT(SAS_SIG_LEN);
	text.secret = bytes.secret = true;
	struct err cause;
	if (uri_decode(s, &text, &cause) != 0 ||
	    base64_parse(buf_span(&text), &bytes, &cause) != 0 ||
	    bytes.len != SAS_SIG_LEN)
		return err_set(e, ERR_PARSE, "SAS token: sig is not %d bytes in base64",
		    SAS_SIG_LEN);
	memcpy(out, bytes.p, SAS_SIG_LEN);
	return 0;
}

int
sas_parse(struct span token, struct sas *ret, struct err *e)
{
	if (token.len > SAS_MAX || !span_istarts(token, span_str(scheme)))
		return err_set(
		    e, ERR_PARSE, "not a SAS token, or one over %d bytes", SAS_MAX);
	struct span fields[FIELD_N] = {0};
	if (collect(token, fields, e) != 0)
		return -1;
	struct sas s = {.sr = fields[FIELD_SR], .se = fields[FIELD_SE]};
	if (!num_ok(s.se, 0, INT64_MAX / 1000, &s.se_s))
		return err_set(e, ERR_PARSE, "SAS token: se is not a number of seconds");
	if (text_field(s.sr, FIELD_SR, s.resource, sizeof(s.resource), e) != 0 ||
	    text_field(fields[FIELD_SKN], FIELD_SKN, s.policy, sizeof(s.policy), e) !=
		0 ||
	    parse_sig(fields[FIELD_SIG], s.sig, e) != 0)
		return -1;
	*ret = s;
	own_wipe(&s, sizeof(s));
	return 0;
}

void
sas_write_to_sign(struct buf *b, struct span sr, struct span se)
{
	buf_put_span(b, sr);
	buf_u8(b, '\n');
	buf_put_span(b, se);
}

void
sas_write(struct buf *b, struct span sr, const uint8_t sig[SAS_SIG_LEN], int64_t se_s,
    struct span skn)
{
	auto_buf text = BUF_INIT(BASE64_LEN(SAS_SIG_LEN));
	text.secret = true;
	base64_put(&text, span_of(sig, SAS_SIG_LEN));
	buf_str(b, scheme);
	buf_str(b, "sr=");
	buf_put_span(b, sr);
	buf_str(b, "&sig=");
	uri_encode(b, buf_span(&text));
	buf_printf(b, "&se=%" PRId64, se_s);
	if (skn.len == 0)
		return;
	buf_str(b, "&skn=");
	uri_encode(b, skn);
}
