/* Addresses and prefixes in text: what is read lies within its own prefix. */
#include "fuzz.h"

#include "codec/addr.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t ip[ADDR_LEN];
	struct addr_prefix p;
	struct err e = {0};
	struct span in = span_of(data, size);
	if (addr_parse(in, ip, &e) == 0) {
		p = (struct addr_prefix){.bits = ADDR_BITS};
		memcpy(p.ip, ip, sizeof(ip));
		assert(addr_within(ip, &p));
	}
	if (addr_parse_prefix(in, &p, &e) == 0)
		assert(p.bits <= ADDR_BITS && addr_within(p.ip, &p));
	if (addr_parse_peer(in, ip, &e))
		assert(e.text[0]);
	return 0;
}
