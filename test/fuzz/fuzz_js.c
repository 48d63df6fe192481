/* JSON: what parses dumps as ASCII and parses again the same; merges keep RFC 7386's
 * laws. */
#include "fuzz.h"

#include "codec/js.h"

#define TEXT_MAX (1 << 20)

static struct js *
reparse(const struct js *v, enum js_order order)
{
	auto_buf out = BUF_INIT(TEXT_MAX);
	js_dump(v, order, &out);
	assert(!out.bad);
	for (size_t i = 0; i < out.len; i++)
		assert(out.p[i] >= ' ' && out.p[i] < 0x80);
	struct js *again = js_parse(buf_span(&out), TEXT_MAX, 64, NULL);
	assert(again);
	return again;
}

static void
merge_and_check(const struct js *v)
{
	const struct js *patch = js_get(v, "patch");
	auto_(js_free) struct js *merged = js_merge(js_get(v, "doc"), patch ? patch : v);
	auto_(js_free) struct js *twice = js_merge(merged, patch ? patch : v);
	assert(js_equal(merged, twice));
	auto_(js_free) struct js *twin =
	    js_twin_merge(js_get(v, "doc"), patch, 32768, NULL);
	if (twin)
		assert(js_twin_size(twin) <= 32768);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(js_free) struct js *v = js_parse(span_of(data, len), 65536, 64, NULL);
	if (!v)
		return 0;
	auto_(js_free) struct js *again = reparse(v, JS_SORTED);
	auto_(js_free) struct js *copy = js_copy(v);
	assert(js_equal(v, again) && js_equal(v, copy));
	merge_and_check(v);
	return 0;
}
