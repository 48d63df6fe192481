/* Tokens of operators: what is taken lies inside, and claims are read or refused. */
#include "fuzz.h"

#include "codec/jwt.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct jwt t;
	struct jwt_claims c;
	if (jwt_parse(span_of(data, len), &t, NULL) != 0)
		return 0;
	fuzz_inside(t.input, data, len);
	if (jwt_claims_parse(t.input, &c, NULL) != 0)
		return 0;
	auto_buf out = BUF_INIT(2 * JWT_MAX);
	struct jwt again;
	assert(jwt_write_input(&c, t.kid, "https://h/adfs", &out, NULL) == 0);
	jwt_write_sig(t.sig, &out);
	if (out.len > JWT_MAX)
		return 0;
	assert(jwt_parse(buf_span(&out), &again, NULL) == 0);
	assert(strcmp(again.kid, t.kid) == 0);
	assert(memcmp(again.sig, t.sig, JWT_SIG) == 0);
	return 0;
}
