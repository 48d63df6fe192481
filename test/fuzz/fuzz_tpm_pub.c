/* Public areas of TPM keys: what is taken fills its bytes exactly and is of a size that
 * is served. */
#include "fuzz.h"

#include "codec/tpm_pub.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct tpm_pub k;
	if (tpm_pub_parse(span_of(data, len), &k, NULL))
		return 0;
	assert(k.area.p == data + 2 && k.area.len + 2 == len);
	assert(k.bits >= TPM_PUB_RSA_MIN && k.bits <= TPM_PUB_RSA_MAX);
	assert(k.modulus.len * 8 == k.bits);
	assert(k.aes_bits == 128 || k.aes_bits == 256);
	return 0;
}
