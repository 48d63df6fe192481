/* Frames of a link: each lies inside the input, keeps its cap, and writes back its own
 * head. */
#include "fuzz.h"

#include "io/ipc_frame.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct span in = span_of(data, len);
	if (in.len == 0)
		return 0;
	size_t body_max = (size_t)in.p[0] * 16;
	in = span_skip(in, 1);
	for (;;) {
		struct ipc_frame f = {0};
		struct err e = {0};
		int64_t n = ipc_frame_parse(in, body_max, &f, &e);
		assert(n >= -1 && (n >= 0 || e.code == ERR_LIMIT));
		if (n <= 0)
			return 0;
		assert((size_t)n == IPC_HEAD_LEN + f.body.len && f.body.len <= body_max);
		assert(f.fd == 0 || f.fd == -1);
		fuzz_inside(f.body, data, len);
		uint8_t head[IPC_HEAD_LEN];
		ipc_frame_write_head(&f, head);
		assert(span_eq(span_of(head, sizeof(head)), span_head(in, IPC_HEAD_LEN)));
		in = span_skip(in, (size_t)n);
	}
}
