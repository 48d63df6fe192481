/* DER: values read, written again, are the same bytes; public keys of any shape. */
#include "fuzz.h"

#include "codec/der.h"
#include "codec/spki.h"

static void
walk(struct span in, int depth)
{
	struct der_tlv t;
	while (in.len && der_next(&in, &t, NULL) == 0) {
		auto_buf out = BUF_INIT(t.whole.len);
		der_put(&out, t.tag, t.content);
		assert(span_eq(buf_span(&out), t.whole));
		struct span v, again = t.whole;
		if (der_expect_unsigned(&again, &v, NULL) == 0) {
			buf_reset(&out);
			der_put_unsigned(&out, v);
			assert(span_eq(buf_span(&out), t.whole));
		}
		if (t.tag & 0x20 && depth < 16)
			walk(t.content, depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct spki k;
	walk(span_of(data, len), 0);
	if (spki_parse(span_of(data, len), &k, NULL) == 0)
		fuzz_inside(k.key, data, len);
	return 0;
}
