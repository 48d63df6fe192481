/*
 * Between the two forms of an ECDSA signature.
 */
#include "crypto/es256.h"

#include "codec/der.h"
#include "crypto/pubkey.h"

#define HALF (ES256_SIG / 2)

static int
take_half(struct span *in, uint8_t out[HALF], struct err *e)
{
	struct span n;
	if (der_expect_unsigned(in, &n, e))
		return -1;
	if (n.len > HALF)
		return err_set(e, ERR_CRYPTO, "signature does not fit P-256");
	memset(out, 0, HALF);
	memcpy(out + HALF - n.len, n.p, n.len);
	return 0;
}

int
es256_sign(const struct key *k, struct span msg, uint8_t sig[ES256_SIG], struct err *e)
{
	uint8_t der[KEY_SIG_MAX];
	size_t len;
	if (key_algorithm(k) != KEY_P256)
		return err_set(e, ERR_UNSUPPORTED, "ES256 wants a P-256 key");
	if (key_sign(k, msg, der, &len, e))
		return -1;
	struct span in = span_of(der, len), pair;
	if (der_expect(&in, DER_SEQUENCE, &pair, e) || take_half(&pair, sig, e))
		return -1;
	return take_half(&pair, sig + HALF, e);
}

int
es256_verify(
    struct span spki, struct span msg, const uint8_t sig[ES256_SIG], struct err *e)
{
	struct spki key;
	auto_buf der = BUF_INIT(128);
	if (pubkey_parse(spki, &key, e) < 0)
		return -1;
	if (key.kind != SPKI_EC_P256)
		return err_set(e, ERR_CRYPTO, "ES256 wants a P-256 key");
	size_t mark = der_begin(&der, DER_SEQUENCE);
	der_put_unsigned(&der, span_of(sig, HALF));
	der_put_unsigned(&der, span_of(sig + HALF, HALF));
	der_end(&der, mark);
	return key_verify(spki, KEY_SHA256, msg, buf_span(&der), e);
}
