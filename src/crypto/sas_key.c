/*
 * Shared access keys over HMAC-SHA256.
 */
#include "crypto/sas_key.h"

#include "base/base64.h"
#include "base/rand.h"
#include "codec/sas.h"
#include "codec/uri.h"
#include "crypto/digest.h"

int
sas_key_parse(struct span base64, struct buf *out, struct err *e)
{
	auto_buf raw = BUF_INIT(SAS_KEY_MAX);
	raw.secret = true;
	/* base64_parse would name the character that is wrong; of a key nothing is named
	 */
	if (base64_parse(base64, &raw, NULL) < 0 || raw.bad || raw.len < SAS_KEY_MIN)
		return err_set(e, ERR_PARSE,
		    "a shared access key is %d to %d bytes in Base64", SAS_KEY_MIN,
		    SAS_KEY_MAX);
	buf_put_span(out, buf_span(&raw));
	return buf_check(out, "shared access key", e);
}

void
sas_key_generate(uint8_t out[SAS_KEY_MAX])
{
	rand_bytes(out, SAS_KEY_MAX);
}

void
sas_key_derive(
    struct span group_key, struct span registration_id, uint8_t out[SAS_KEY_DERIVED])
{
	digest_hmac_sha256(group_key, registration_id, out);
}

int
sas_key_sign(struct span resource, struct span key, int64_t expiry_s, const char *policy,
    struct buf *out, struct err *e)
{
	if (key.len < SAS_KEY_MIN || key.len > SAS_KEY_MAX)
		return err_set(e, ERR_USAGE, "a shared access key of %zu bytes", key.len);
	if (expiry_s < 0)
		return err_set(e, ERR_USAGE, "a token that expires before 1970");
	auto_buf sr = BUF_INIT(3 * SAS_RESOURCE_MAX);
	uri_encode(&sr, resource);
	if (resource.len > SAS_RESOURCE_MAX || sr.bad)
		return err_set(
		    e, ERR_LIMIT, "a token's resource of %zu bytes", resource.len);
	char se[24];
	snprintf(se, sizeof(se), "%lld", (long long)expiry_s);
	auto_buf text = BUF_INIT(3 * SAS_RESOURCE_MAX + sizeof(se));
	sas_write_to_sign(&text, buf_span(&sr), span_str(se));
	uint8_t sig[DIGEST_SHA256];
	digest_hmac_sha256(key, buf_span(&text), sig);
	sas_write(
	    out, buf_span(&sr), sig, expiry_s, policy ? span_str(policy) : SPAN_NONE);
	own_wipe(sig, sizeof(sig));
	return buf_check(out, "shared access token", e);
}

/* 1 when key made sig. Works the same amount for a key that cannot match. */
static int
matches(struct span key, struct span text, const uint8_t sig[SAS_SIG_LEN])
{
	uint8_t mac[DIGEST_SHA256];
	digest_hmac_sha256(key, text, mac);
	int same = own_equal(mac, sig, sizeof(mac));
	own_wipe(mac, sizeof(mac));
	return same & (key.len >= SAS_KEY_MIN);
}

enum sas_key_match
sas_key_verify(const struct sas *t, struct span primary, struct span secondary)
{
	auto_buf text = BUF_INIT(SAS_MAX + 32);
	sas_write_to_sign(&text, t->sr, t->se);
	if (text.bad)
		return SAS_KEY_NONE;
	int first = matches(primary, buf_span(&text), t->sig);
	int second = matches(secondary, buf_span(&text), t->sig);
	if (first)
		return SAS_KEY_PRIMARY;
	return second ? SAS_KEY_SECONDARY : SAS_KEY_NONE;
}
