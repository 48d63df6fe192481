/* Revocation lists: what is taken lies inside the input, and its entries, packed, come
 * back the same. */
#include "fuzz.h"

#include <string.h>

#include "crypto/crl.h"

static void
pack_and_back(const struct crl_entry *en)
{
	struct crl_entry again;
	auto_buf b = BUF_INIT(CRL_PACKED_MAX);
	crl_entry_pack(en, &b);
	assert(!b.bad);
	struct span in = buf_span(&b);
	assert(crl_entry_unpack(&in, &again, NULL) == 0 && in.len == 0);
	assert(memcmp(en, &again, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct crl c;
	struct crl_entry en, found;
	struct span packed = span_of(data, len);
	if (crl_entry_unpack(&packed, &en, NULL) == 0)
		pack_and_back(&en);
	if (crl_parse(span_of(data, len), &c, NULL) < 0)
		return 0;
	fuzz_inside(c.tbs, data, len);
	fuzz_inside(c.sig, data, len);
	fuzz_inside(c.issuer, c.tbs.p, c.tbs.len);
	fuzz_inside(c.aki, c.tbs.p, c.tbs.len);
	fuzz_inside(c.url, c.tbs.p, c.tbs.len);
	struct span rest = c.entries;
	size_t n = 0;
	for (; crl_next(&rest, &en); n++) {
		assert(en.serial_len && en.serial[0] && crl_reason_name(en.reason));
		pack_and_back(&en);
		assert(n || crl_find(&c, span_of(en.serial, en.serial_len), &found));
	}
	assert(rest.len == 0 && n == c.n);
	return 0;
}
