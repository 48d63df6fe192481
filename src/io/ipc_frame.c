/*
 * The framing of a link. Pure; test/fuzz/fuzz_ipc_frame.c runs it on anything.
 */
#include "io/ipc_frame.h"

#include <assert.h>

int64_t
ipc_frame_parse(struct span in, size_t body_max, struct ipc_frame *ret, struct err *e)
{
	if (in.len < IPC_HEAD_LEN)
		return 0;
	struct cursor c = cursor_of(in);
	uint32_t len = cursor_u32(&c);
	uint16_t type = cursor_u16(&c);
	uint16_t flags = cursor_u16(&c);
	uint64_t id = cursor_u64(&c);
	if (len > body_max)
		return err_set(e, ERR_LIMIT, "frame of type %u: %u bytes, %zu allowed",
		    type, len, body_max);
	if (len > c.left)
		return 0;
	*ret = (struct ipc_frame){
	    .type = type,
	    .flags = flags & (uint16_t)~IPC_FD,
	    .id = id,
	    .body = cursor_take(&c, len),
	    .fd = flags & IPC_FD ? 0 : -1,
	};
	return IPC_HEAD_LEN + (int64_t)len;
}

static void
put(uint8_t *p, uint64_t v, size_t n)
{
	while (n--) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

void
ipc_frame_write_head(const struct ipc_frame *f, uint8_t out[IPC_HEAD_LEN])
{
	assert(f->body.len <= UINT32_MAX && !(f->flags & IPC_FD));
	put(out, f->body.len, 4);
	put(out + 4, f->type, 2);
	put(out + 6, f->flags | (f->fd >= 0 ? IPC_FD : 0u), 2);
	put(out + 8, f->id, 8);
}
