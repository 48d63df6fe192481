/* What an EST server answers. The first byte chooses: c the check-in's JSON, b a body of
 * certificates in base64, d the same as bare DER, f the words of a refusal. */
#include "fuzz.h"

#include <string.h>

#include "agent/est_answer.h"
#include "crypto/p7.h"

static void
check_in(struct span body)
{
	struct renew_checkin c = {.leaf_not_before_ms = 7};
	if (est_answer_checkin(body, &c, NULL))
		return;
	assert(c.now_ms >= 0 && c.poll_ms >= 0 && c.leaf_not_before_ms == 7);
	assert(strlen(c.ca_tag) < sizeof(c.ca_tag));
}

static void
certificates(struct span body)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX), der = BUF_INIT(CERT_MAX);
	if (est_answer_cacerts(body, &pem, NULL) == 0)
		assert(pem.len > 0);
	if (est_answer_cert(body, SPAN_LIT("no key"), &der, NULL) == 0)
		assert(0);
	assert(der.len == 0);
}

static void
bare(struct span der)
{
	struct span certs[P7_CERTS_MAX];
	size_t n;
	if (p7_parse(der, certs, P7_CERTS_MAX, &n, NULL))
		return;
	assert(n <= P7_CERTS_MAX);
	for (size_t i = 0; i < n; i++)
		fuzz_inside(certs[i], der.p, der.len);
}

static void
refusal(struct span body)
{
	struct err e;
	est_answer_failure(403, body, &e);
	for (const char *p = e.text; *p; p++)
		assert(*p >= ' ' && *p < 0x7f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span body = span_skip(span_of(data, len), 1);
	if (!len)
		return 0;
	if (data[0] == 'c')
		check_in(body);
	else if (data[0] == 'b')
		certificates(body);
	else if (data[0] == 'd')
		bare(body);
	else
		refusal(body);
	return 0;
}
