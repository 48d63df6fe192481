/*
 * Lines of a file of identities. What is taken unpacks; the same bytes in two pieces come
 * to the same items and errors.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "proto/hub/import_item.h"

static size_t
unpack(struct span items)
{
	struct cursor all = cursor_of(items);
	size_t n = 0;
	while (all.left) {
		struct ipc_registry_item m;
		struct err e;
		struct span packed = cursor_take(&all, cursor_u32(&all));
		assert(
		    !all.bad && ipc_msg_unpack(IPC_REGISTRY_ITEM, packed, &m, &e) == 0);
		assert(m.id.len && m.mode < IPC_IMPORT_N);
		n++;
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct err e;
	auto_buf items = BUF_INIT(CAP_BULK);
	auto_buf errors = BUF_INIT(CAP_BODY);
	auto_buf items_again = BUF_INIT(CAP_BULK);
	auto_buf errors_again = BUF_INIT(CAP_BODY);
	size_t used, bad, first, first_bad, rest, rest_bad;
	if (len > 65536)
		return 0;
	const struct span text = span_of(data, len);
	if (import_item_lines(text, true, &items, &errors, &used, &bad, &e))
		return 0;
	if (used != len)
		return 0; /* so many errors that they are for the next piece */
	unpack(buf_span(&items));
	assert(import_item_lines(span_head(text, len / 2), false, &items_again,
		   &errors_again, &first, &first_bad, &e) == 0);
	assert(first <= len / 2);
	assert(import_item_lines(span_skip(text, first), true, &items_again,
		   &errors_again, &rest, &rest_bad, &e) == 0);
	assert(first + rest == len && first_bad + rest_bad == bad);
	assert(span_eq(buf_span(&items), buf_span(&items_again)));
	assert(span_eq(buf_span(&errors), buf_span(&errors_again)));
	return 0;
}
