/* SAS tokens: what parses, written again and parsed again, is the same. */
#include "fuzz.h"

#include "codec/sas.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct sas s, again;
	if (sas_parse(span_of(data, len), &s, NULL) != 0)
		return 0;
	fuzz_inside(s.sr, data, len);
	fuzz_inside(s.se, data, len);
	auto_buf out = BUF_INIT(4 * SAS_MAX);
	sas_write(&out, s.sr, s.sig, s.se_s, span_str(s.policy));
	if (out.len > SAS_MAX)
		return 0;
	assert(sas_parse(buf_span(&out), &again, NULL) == 0);
	assert(span_eq(s.sr, again.sr) && s.se_s == again.se_s);
	assert(span_eq(span_of(s.sig, SAS_SIG_LEN), span_of(again.sig, SAS_SIG_LEN)));
	assert(span_eq_str(span_str(s.policy), again.policy));
	return 0;
}
