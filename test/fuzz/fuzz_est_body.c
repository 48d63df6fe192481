/*
 * Bodies of EST requests, as clients send them: what is read out of one reads back, sent
 * as it should be, with nothing to remark on; what is remarked on can stand in a header.
 */
#include "fuzz.h"

#include <string.h>

#include "base/base64.h"
#include "crypto/csr.h"
#include "proto/est/est_body.h"
#include "proto/est/est_parts.h"

static void
is_header_text(const struct buf *odd)
{
	for (size_t i = 0; i < odd->len; i++)
		assert(odd->p[i] >= 0x20 && odd->p[i] < 0x7f);
}

static void
reads_back(struct span der)
{
	auto_buf text = BUF_INIT(4 * CSR_MAX), again = BUF_INIT(CSR_MAX);
	auto_buf odd = BUF_INIT(EST_BODY_ODD_MAX);
	base64_put(&text, der);
	const struct est_body_in in = {
	    .body = buf_span(&text), .content_type = "application/pkcs10"};
	assert(est_body_read(&in, &again, &odd, NULL) == 0);
	assert(span_eq(der, buf_span(&again)));
	assert(odd.len == 0);
}

/* Two bits choose the headers, three bytes of the input are in one. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span rest = span_of(data, len), san;
	char header[4] = {0};
	auto_buf der = BUF_INIT(CSR_MAX), odd = BUF_INIT(EST_BODY_ODD_MAX);
	struct span text = fuzz_part(&rest, 3);
	(void)span_to_str(text, header, sizeof(header));
	const struct est_body_in in = {.body = rest,
	    .content_type = len & 1 ? header : NULL,
	    .transfer_encoding = len & 2 ? header : NULL};
	int rc = est_body_read(&in, &der, &odd, NULL);
	is_header_text(&odd);
	if (est_parts_san(rest, &san, NULL) == 0)
		fuzz_inside(san, data, len);
	if (rc)
		return 0;
	if (der.len)
		reads_back(buf_span(&der));
	return 0;
}
