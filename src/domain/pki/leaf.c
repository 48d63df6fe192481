/*
 * Client certificates, as far as rules go. The path itself was judged by the edge.
 */
#include "domain/pki/leaf.h"

#include "base/hex.h"
#include "crypto/chain.h"
#include "domain/pki/issuer.h"

void
leaf_thumb(const struct ipc_cred *cred, char out[LEAF_THUMB])
{
	out[0] = '\0';
	if (cred->kind == CRED_X509 && cred->sha256.len == DIGEST_SHA256)
		hex_write(cred->sha256, out);
}

struct span
leaf_ca(const struct ipc_cred *cred, size_t i)
{
	if ((i + 1) * DIGEST_SHA256 > cred->chain.len)
		return SPAN_NONE;
	return span_head(span_skip(cred->chain, i * DIGEST_SHA256), DIGEST_SHA256);
}

int
leaf_check_dates(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e)
{
	(void)e;
	char when[CLOCK_TEXT];
	int64_t now = domain_now(d);
	if (now > cred->not_after_ms) {
		clock_iso(cred->not_after_ms, 0, when);
		return refusal_set(no, REFUSAL_CERT_INVALID, "expired %s", when);
	}
	if (now < cred->not_before_ms) {
		clock_iso(cred->not_before_ms, 0, when);
		return refusal_set(no, REFUSAL_CERT_INVALID, "not valid before %s", when);
	}
	return 0;
}

int
leaf_check_chain(
    struct domain *d, const struct ipc_cred *cred, struct refusal *no, struct err *e)
{
	if (!issuer_is_ready(d))
		return err_set(
		    e, ERR_UNAVAILABLE, "the signer has not named the CAs yet");
	if (leaf_check_dates(d, cred, no, e))
		return -1;
	if (no->code != REFUSAL_NONE)
		return 0;
	if (cred->verdict != CHAIN_OK)
		return refusal_set(no, REFUSAL_CERT_INVALID, "%s (%.*s)",
		    chain_reason_name((enum chain_reason)cred->verdict),
		    SPAN_FMT(cred->verdict_text));
	for (size_t i = 0; leaf_ca(cred, i).len; i++)
		if (issuer_is_service(d, leaf_ca(cred, i)))
			return refusal_set(
			    no, REFUSAL_CERT_OPERATOR, "%.*s", SPAN_FMT(cred->cn));
	if (cred->cn.len == 0)
		return refusal_set(
		    no, REFUSAL_CERT_CN, "the subject has no or several CNs");
	return 0;
}
