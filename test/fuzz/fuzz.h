#ifndef TEST_FUZZ_FUZZ_H
#define TEST_FUZZ_FUZZ_H
/*
 * A fuzz target: bytes in, 0 out. It aborts (assert) where a property is broken that any
 * input must keep: what was parsed writes back the same, spans stay inside the input.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* s lies inside the input, or is empty. */
static inline void
fuzz_inside(struct span s, const uint8_t *data, size_t len)
{
	if (s.len)
		assert(s.p >= data && s.len <= len && s.p + s.len <= data + len);
}

/* Takes a part of at most max bytes off the front; its length comes from the input. */
static inline struct span
fuzz_part(struct span *in, size_t max)
{
	if (in->len == 0)
		return SPAN_NONE;
	size_t n = in->p[0] % (max + 1);
	struct span part = span_head(span_skip(*in, 1), n);
	*in = span_skip(*in, 1 + part.len);
	return part;
}

#endif
