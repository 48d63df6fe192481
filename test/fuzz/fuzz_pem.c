/* PEM text: every block found, written and read again, is the same. */
#include "fuzz.h"

#include "codec/pem.h"

static void
check_block(struct span label, struct span der)
{
	char text[PEM_LABEL_MAX + 1];
	auto_buf out = BUF_INIT(65536);
	auto_buf again = BUF_INIT(65536);
	assert(span_to_str(label, text, sizeof(text)));
	pem_write(&out, text, der);
	assert(pem_find(buf_span(&out), text, &again, NULL) == 0);
	assert(span_eq(buf_span(&again), der));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span rest = span_of(data, len), label;
	auto_buf der = BUF_INIT(32768);
	while (pem_next(&rest, &label, &der, NULL) == 0 && label.p) {
		fuzz_inside(label, data, len);
		check_block(label, buf_span(&der));
	}
	return 0;
}
