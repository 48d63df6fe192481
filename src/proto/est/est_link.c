/*
 * A request's challengePassword against its connection.
 */
#include "proto/est/est_link.h"

#include "base/base64.h"
#include "crypto/tls.h"

static bool
is_binding(struct ssl_st *ssl, enum tls_binding which, struct span value)
{
	struct err e;
	uint8_t out[TLS_BINDING_MAX];
	size_t len;
	return tls_channel_binding(ssl, which, out, &len, &e) == 0 && len == value.len &&
	       own_equal(out, value.p, len);
}

enum est_link
est_link_judge(struct ssl_st *ssl, struct span challenge)
{
	struct err e;
	auto_buf value = BUF_INIT(256);
	if (!challenge.len)
		return EST_LINK_NONE;
	if (!ssl || base64_parse_folded(challenge, &value, &e) ||
	    buf_check(&value, "challengePassword", &e))
		return EST_LINK_OTHER;
	if (is_binding(ssl, TLS_EXPORTER, buf_span(&value)) ||
	    is_binding(ssl, TLS_UNIQUE, buf_span(&value)))
		return EST_LINK_THIS;
	return EST_LINK_OTHER;
}
