/* A message of another process: a line with its name, then its body. What unpacks packs
 * to the same bytes, within the caps of its fields. */
#include "fuzz.h"

#include <stdlib.h>

#include "codec/ipc_msg.h"

/* A name that is none says a number. */
static enum ipc_type
type_of(struct span name)
{
	for (unsigned i = 0; i < IPC_N; i++)
		if (span_eq_str(name, ipc_msg_row(i)->name))
			return (enum ipc_type)i;
	return (enum ipc_type)(name.len ? name.p[0] % IPC_N : 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span body = span_of(data, len);
	enum ipc_type type = type_of(span_split(&body, '\n'));
	auto_buf out = BUF_INIT(IPC_BODY_MAX);
	struct err e = {0};
	void *msg = malloc(ipc_msg_row(type)->size + 1);
	assert(msg);
	if (ipc_msg_unpack(type, body, msg, &e) == 0) {
		assert(ipc_msg_pack(type, msg, &out, &e) == 0);
		assert(span_eq(buf_span(&out), body));
	} else {
		assert(e.code == ERR_PARSE || e.code == ERR_LIMIT);
	}
	free(msg);
	return 0;
}
