/* Connection strings: what parses has its three parts. */
#include "fuzz.h"

#include "codec/conn_string.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct conn_string c;
	if (conn_string_parse(span_of(data, len), &c, NULL))
		return 0;
	assert(c.host.len && c.policy.len && c.key.len);
	assert(!span_has(c.key, ';') && !span_has(c.host, ';'));
	return 0;
}
