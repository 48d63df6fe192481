/* Configuration files: what parses dumps, and the dump gives the same configuration. */
#include "fuzz.h"

#include "codec/config.h"

static void
dump(const struct config *c, struct buf *out)
{
	conf_dump(&config_table, c, out);
	assert(!out->bad);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(arena_free) struct arena *a = arena_new(8 * CONF_FILE_MAX);
	struct config was = {0}, is = {0};
	conf_defaults(&config_table, &was, a);
	if (conf_parse(&config_table, span_of(data, len), &was, a, NULL) != 0)
		return 0;
	auto_buf first = BUF_INIT(CONF_FILE_MAX);
	auto_buf second = BUF_INIT(CONF_FILE_MAX);
	dump(&was, &first);
	conf_defaults(&config_table, &is, a);
	assert(conf_parse(&config_table, buf_span(&first), &is, a, NULL) == 0);
	dump(&is, &second);
	assert(span_eq(buf_span(&first), buf_span(&second)));
	assert(!conf_needs_restart(&config_table, &was, &is));
	return 0;
}
