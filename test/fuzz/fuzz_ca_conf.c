/* issuers.conf: what parses writes back the same. */
#include "fuzz.h"

#include "codec/ca_conf.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct ca_conf c, again;
	auto_buf out = BUF_INIT(CA_CONF_TEXT_MAX);
	if (ca_conf_parse(span_of(data, len), &c, NULL))
		return 0;
	assert(c.n > 0);
	ca_conf_write(&c, &out);
	assert(!out.bad);
	assert(ca_conf_parse(buf_span(&out), &again, NULL) == 0);
	assert(again.n == c.n);
	for (size_t i = 0; i < c.n; i++) {
		assert(strcmp(c.rows[i].name, again.rows[i].name) == 0);
		assert(strcmp(c.rows[i].cert, again.rows[i].cert) == 0);
		assert(strcmp(c.rows[i].key, again.rows[i].key) == 0);
		assert(c.rows[i].purpose == again.rows[i].purpose);
		assert(!strchr(c.rows[i].cert, '/'));
	}
	return 0;
}
