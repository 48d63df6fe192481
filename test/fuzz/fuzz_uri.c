/* Request targets, queries and percent-encoding. */
#include "fuzz.h"

#include "codec/uri.h"

static void
round_trip(struct span s)
{
	auto_buf enc = BUF_INIT(3 * s.len + 1);
	auto_buf dec = BUF_INIT(s.len + 1);
	uri_encode(&enc, s);
	uri_decode_lenient(buf_span(&enc), &dec);
	assert(span_eq(buf_span(&dec), s));
	buf_reset(&dec);
	if (uri_decode(s, &dec, NULL) == 0)
		assert(dec.len <= s.len && !span_has(buf_span(&dec), 0));
}

static void
parse_target(struct span s, struct arena *a)
{
	struct uri_target t;
	struct uri_path path;
	if (uri_target_parse(s, &t, NULL) != 0)
		return;
	struct span v = SPAN_NONE;
	if (uri_query_get(t.query, "api-version", a, &v, NULL) == 0 && v.p)
		assert(v.p[v.len] == 0);
	for (int collapse = 0; collapse < 2; collapse++) {
		if (uri_path_parse(t.path, collapse, a, &path, NULL) != 0)
			continue;
		for (size_t i = 0; i < path.n; i++)
			assert(path.seg[i].len && !span_has(path.seg[i], 0));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(arena_free) struct arena *a = arena_new(65536);
	round_trip(span_of(data, len));
	parse_target(span_of(data, len), a);
	return 0;
}
