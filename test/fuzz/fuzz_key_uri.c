/* Key URIs: what parses writes back the same, within the limit. */
#include "fuzz.h"

#include "codec/key_uri.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct key_uri u, again;
	auto_buf out = BUF_INIT(KEY_URI_MAX);
	if (key_uri_parse(span_of(data, len), &u, NULL))
		return 0;
	key_uri_write(&u, &out);
	assert(!out.bad);
	assert(key_uri_parse(buf_span(&out), &again, NULL) == 0);
	assert(memcmp(&u, &again, sizeof(u)) == 0);
	assert(u.kind == KEY_URI_FILE || !u.path[0]);
	return 0;
}
