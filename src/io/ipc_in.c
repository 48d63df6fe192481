/*
 * Receiving frames. The kernel hands descriptors out with the bytes they were sent with
 * and in order, so the n-th frame that announces one owns the n-th that came (unix(7)).
 */
#include "io/ipc_in.h"

#include <errno.h>
#include <unistd.h>

#include "base/own.h"

#define READ_SIZE ((size_t)64 * 1024)

void
ipc_in_init(struct ipc_in *in, size_t body_max)
{
	*in = (struct ipc_in){.body_max = body_max};
}

void
ipc_in_done(struct ipc_in *in)
{
	for (size_t i = 0; i < in->nfds; i++)
		close(in->fds[i]);
	free(in->p);
	*in = (struct ipc_in){0};
}

static void
make_room(struct ipc_in *in)
{
	size_t left = in->end - in->start;
	if (in->start && left)
		memmove(in->p, in->p + in->start, left);
	in->start = 0;
	in->end = left;
	if (in->cap - left >= READ_SIZE / 2)
		return;
	/* left is less than one frame, so this stays below twice the longest frame */
	in->cap = 2 * left + READ_SIZE;
	in->p = own_realloc(in->p, in->cap);
}

static int
keep_fds(struct ipc_in *in, struct msghdr *m, struct err *e)
{
	bool lost = m->msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (in->nfds < IPC_IN_FDS) {
				in->fds[in->nfds++] = fd;
				continue;
			}
			close(fd);
			lost = true;
		}
	}
	return lost ? err_set(e, ERR_LIMIT, "link: too many descriptors at once") : 0;
}

int64_t
ipc_in_read(struct ipc_in *in, int fd, struct err *e)
{
	make_room(in);
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * IPC_IN_FDS)];
	struct iovec iov = {in->p + in->end, in->cap - in->end};
	struct msghdr m = {
	    .msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control,
	    .msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(e, ERR_UNAVAILABLE, "link: receive");
	if (n == 0)
		return err_set(e, ERR_UNAVAILABLE, "link: closed by the peer");
	in->end += (size_t)n;
	return keep_fds(in, &m, e) ? -1 : n;
}

static int
take_fd(struct ipc_in *in, struct ipc_frame *f, struct err *e)
{
	if (f->fd < 0)
		return 0;
	f->fd = -1;
	if (!in->nfds)
		return err_set(e, ERR_PARSE,
		    "link: frame of type %u without its descriptor", f->type);
	f->fd = in->fds[0];
	in->nfds--;
	memmove(in->fds, in->fds + 1, in->nfds * sizeof(in->fds[0]));
	return 0;
}

int
ipc_in_next(struct ipc_in *in, struct ipc_frame *ret, struct err *e)
{
	struct ipc_frame f;
	struct span left = span_skip(span_of(in->p, in->end), in->start);
	int64_t n = ipc_frame_parse(left, in->body_max, &f, e);
	if (n < 0)
		return -1;
	if (n == 0 && left.len == 0 && in->nfds)
		return err_set(
		    e, ERR_PARSE, "link: a descriptor that no frame announced");
	if (n == 0)
		return 0;
	if (take_fd(in, &f, e))
		return -1;
	in->start += (size_t)n;
	*ret = f;
	return 1;
}

void
ipc_in_attach(struct msghdr *m, struct ipc_in_control *c, int fd)
{
	*c = (struct ipc_in_control){{0}};
	m->msg_control = c->bytes;
	m->msg_controllen = sizeof(c->bytes);
	struct cmsghdr *head = CMSG_FIRSTHDR(m);
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(head), &fd, sizeof(fd));
}
