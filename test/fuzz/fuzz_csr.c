/* Certificate signing requests, DER and PEM: what is taken lies inside the input. */
#include "fuzz.h"

#include <string.h>

#include "crypto/csr.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct csr c;
	if (csr_parse(span_of(data, len), &c, NULL) < 0)
		return 0;
	assert(c.cn[0] && strlen(c.cn) < NAME_CN_SIZE);
	fuzz_inside(c.subject, c.der.p, c.der.len);
	fuzz_inside(c.spki, c.der.p, c.der.len);
	fuzz_inside(c.key.key, c.der.p, c.der.len);
	csr_done(&c);
	return 0;
}
