/*
 * Service SAS, version 2020-12-06 and later.
 */
#include "codec/blob_sas.h"

#include "base/base64.h"
#include "base/clock.h"
#include "codec/uri.h"

#define PROTOCOL "https"

void
blob_sas_to_sign(struct buf *out, const struct blob_sas *s)
{
	char end[CLOCK_TEXT];
	clock_iso(s->expires_ms, 0, end);
	/* rights, start, end, resource, identifier, addresses, protocol, version, kind,
	 * snapshot, encryption scope, five headers of answers */
	buf_printf(out, "%s\n\n%s\n/blob/%.*s/%.*s/", s->rights, end,
	    SPAN_FMT(s->account), SPAN_FMT(s->container));
	buf_put_span(out, s->blob);
	buf_str(out, "\n\n\n" PROTOCOL "\n" BLOB_SAS_VERSION "\nb\n\n\n\n\n\n\n");
}

void
blob_sas_write(
    struct buf *out, const struct blob_sas *s, const uint8_t sig[BLOB_SAS_SIG_LEN])
{
	char end[CLOCK_TEXT];
	auto_buf text = BUF_INIT(64);
	text.secret = true;
	clock_iso(s->expires_ms, 0, end);
	base64_put(&text, span_of(sig, BLOB_SAS_SIG_LEN));
	buf_printf(
	    out, "sv=" BLOB_SAS_VERSION "&sr=b&spr=" PROTOCOL "&sp=%s&se=", s->rights);
	uri_encode(out, span_str(end));
	buf_str(out, "&sig=");
	uri_encode(out, buf_span(&text));
}
