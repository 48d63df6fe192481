/*
 * Account keys of Azure Storage.
 */
#include "crypto/blob_key.h"

#include "base/base64.h"
#include "base/own.h"

int
blob_key_parse(struct span base64, struct blob_key *ret, struct err *e)
{
	auto_buf raw = BUF_INIT(BLOB_KEY_MAX);
	raw.secret = true;
	if (base64_parse(span_trim(base64), &raw, NULL) || raw.bad || !raw.len)
		return err_set(e, ERR_PARSE, "no account key in base64");
	memcpy(ret->bytes, raw.p, raw.len);
	ret->len = raw.len;
	return 0;
}

void
blob_key_sign(const struct blob_key *k, struct span text, uint8_t out[DIGEST_SHA256])
{
	digest_hmac_sha256(span_of(k->bytes, k->len), text, out);
}

void
blob_key_wipe(struct blob_key *k)
{
	own_wipe(k, sizeof(*k));
}
