#ifndef IO_IPC_IN_H
#define IO_IPC_IN_H
/*
 * What the nonblocking and the blocking flavour of a link share (ipc.c, ipc_sync.c), of
 * no use elsewhere: bytes and descriptors in, whole frames out.
 */
#include <sys/socket.h>

#include "io/ipc_frame.h"

enum { IPC_IN_FDS = 16 }; /* descriptors in flight on a link */

struct ipc_in {
	uint8_t *p;
	size_t start, end, cap; /* unread bytes are p[start, end) */
	size_t body_max;
	int fds[IPC_IN_FDS]; /* came, but their frames are not yet handed out */
	size_t nfds;
};

void ipc_in_init(struct ipc_in *in, size_t body_max);
void ipc_in_done(struct ipc_in *in);
/* One recvmsg. Returns the bytes read, 0 when it would block, -1 at the end of the link
 * (ERR_UNAVAILABLE) or when it is broken. Spans of frames taken before become invalid. */
must_check int64_t ipc_in_read(struct ipc_in *in, int fd, struct err *e);
/* The next whole frame: 1, 0 when there is none, -1 when the framing is broken. The
 * descriptor in ret->fd becomes the caller's. */
must_check int ipc_in_next(struct ipc_in *in, struct ipc_frame *ret, struct err *e);

/* Makes fd travel with the first byte that m sends. c lives as long as m. */
struct ipc_in_control {
	_Alignas(struct cmsghdr) char bytes[CMSG_SPACE(sizeof(int))];
};
void ipc_in_attach(struct msghdr *m, struct ipc_in_control *c, int fd);

#endif
