#ifndef IO_IPC_FRAME_H
#define IO_IPC_FRAME_H
/*
 * The framing of a link between two of our processes, bytes only:
 *	u32 body length | u16 type | u16 flags | u64 request id | body     (big endian)
 * What types there are and what bodies hold is none of its business.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define IPC_HEAD_LEN 16
enum { IPC_FD = 1 << 15 }; /* flag, the link's own: a descriptor travels with the frame */

struct ipc_frame {
	uint16_t type;
	uint16_t flags; /* without IPC_FD */
	uint64_t id;
	struct span body; /* borrowed */
	int fd; /* -1, or the descriptor that came along; see ipc.h on who owns it */
};

/* Reads the frame at the start of in. Returns its whole length (head included), 0 when
 * more bytes are needed, -1 (ERR_LIMIT) when its body is longer than body_max, which ends
 * the link. ret->fd becomes 0 for a frame that brings a descriptor, else -1. */
must_check int64_t ipc_frame_parse(
    struct span in, size_t body_max, struct ipc_frame *ret, struct err *e);
void ipc_frame_write_head(const struct ipc_frame *f, uint8_t out[IPC_HEAD_LEN]);

#endif
