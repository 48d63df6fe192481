/* targets.conf: what parses is whole. */
#include "fuzz.h"

#include "codec/targets.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct targets t;
	auto_(arena_free) struct arena *a = arena_new(2 * len + (1 << 20));
	if (targets_parse(span_of(data, len), a, &t, NULL))
		return 0;
	for (size_t i = 0; i < t.n; i++) {
		const struct targets_row *r = &t.row[i];
		assert(targets_find(&t, span_str(r->name)) == r);
		assert(
		    (r->kind == TARGETS_MUSTER) == (r->sign_in == TARGETS_CERTIFICATE));
		assert((r->server[0] != '\0') == (r->kind == TARGETS_MUSTER));
		assert(
		    (r->secret[0] != '\0') == (r->sign_in == TARGETS_SERVICE_PRINCIPAL));
		assert(r->ca && r->cert && r->key && r->hub && r->dps && r->arm &&
		       r->tenant && r->client_id && r->authority && r->imds);
	}
	return 0;
}
