/* Answers of who gives tokens: what is taken fits a header. */
#include "fuzz.h"

#include "fleet/sign_in.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_buf token = BUF_INIT(SIGN_IN_TOKEN_MAX);
	char said[100];
	int64_t life_s;
	sign_in_read_refusal(span_of(data, len), said, sizeof(said));
	for (const char *p = said; *p; p++)
		assert(*p >= ' ' && *p < 0x7f);
	if (sign_in_read_token(span_of(data, len), &token, &life_s, NULL))
		return 0;
	assert(token.len && !token.bad && life_s >= 0);
	for (size_t i = 0; i < token.len; i++)
		assert(token.p[i] > ' ' && token.p[i] < 0x7f);
	return 0;
}
