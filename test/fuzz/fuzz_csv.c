/* Inventories: every record is sane, every line is counted, errors do not stop the
 * reader. */
#include "fuzz.h"

#include "codec/csv.h"
#include "codec/id.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	auto_(arena_free) struct arena *a = arena_new(1 << 20);
	struct csv c = csv_of(span_of(data, len));
	struct csv_row row;
	size_t last = 0;
	for (;;) {
		bool ok = csv_next(&c, a, &row, NULL) == 0;
		if (ok && row.line == 0)
			return 0;
		assert(c.line > last);
		last = c.line;
		if (ok)
			assert(id_is_device(row.device_id) && row.address.len &&
			       row.user.len);
	}
}
