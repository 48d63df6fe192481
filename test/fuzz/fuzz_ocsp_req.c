/* OCSP requests: what is taken lies inside the input and within its bounds. */
#include "fuzz.h"

#include "codec/ocsp_req.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ocsp_req r;
	if (ocsp_req_parse(span_of(data, len), &r, NULL) < 0)
		return 0;
	assert(r.n >= 1 && r.n <= OCSP_REQ_IDS_MAX);
	assert(r.nonce.len <= OCSP_REQ_NONCE_MAX &&
	       (r.nonce.len > 0) == (r.nonce.p != NULL));
	fuzz_inside(r.nonce, data, len);
	for (size_t i = 0; i < r.n; i++) {
		const struct ocsp_req_id *id = &r.ids[i];
		fuzz_inside(id->name, data, len);
		fuzz_inside(id->key, data, len);
		fuzz_inside(id->serial, data, len);
		assert(id->serial.len <= OCSP_REQ_SERIAL_MAX);
		if (id->hash == OCSP_REQ_OTHER)
			continue;
		assert(id->name.len == ocsp_req_hash_len(id->hash));
		assert(id->key.len == id->name.len);
	}
	return 0;
}
