/*
 * The blocking link of command lines and tests: no loop, every call with its time-out.
 */
#include "io/ipc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/ipc_in.h"

struct ipc_sync {
	int fd;
	uint64_t last_id;
	struct ipc_in in;
	struct buf queue; /* frames of ipc_sync_queue */
};

struct ipc_sync *
ipc_sync_new(int fd, size_t body_max)
{
	struct ipc_sync *s = own_alloc(sizeof(*s));
	s->fd = fd;
	ipc_in_init(&s->in, body_max);
	s->queue = BUF_INIT(IPC_SYNC_QUEUE + IPC_HEAD_LEN + body_max);
	return s;
}

void
ipc_sync_free(struct ipc_sync *s)
{
	if (!s)
		return;
	ipc_in_done(&s->in);
	buf_done(&s->queue);
	close(s->fd);
	free(s);
}

static int
wait_for(int fd, short events, int64_t deadline_ms, struct err *e)
{
	int64_t left = deadline_ms - clock_mono_ms(&clock_system);
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, left > 0 ? (int)left : 0);
	if (n < 0 && errno != EINTR)
		return err_sys(e, ERR_IO, "link: poll");
	if (n == 0)
		return err_set(e, ERR_TIMEOUT, "link: no answer in time");
	return 0;
}

static int
send_all(struct ipc_sync *s, struct msghdr *m, int64_t deadline_ms, struct err *e)
{
	struct iovec *iov = m->msg_iov;
	while (iov->iov_len || m->msg_iovlen > 1) {
		if (!iov->iov_len) {
			iov = ++m->msg_iov;
			m->msg_iovlen--;
			continue;
		}
		ssize_t n = sendmsg(s->fd, m, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_UNAVAILABLE, "link: send");
		if (n < 0 && wait_for(s->fd, POLLOUT, deadline_ms, e))
			return -1;
		if (n < 0)
			continue;
		m->msg_control = NULL; /* went with the first byte */
		m->msg_controllen = 0;
		for (size_t i = 0, left = (size_t)n; left; i++) {
			size_t took = left < iov[i].iov_len ? left : iov[i].iov_len;
			iov[i].iov_base = (uint8_t *)iov[i].iov_base + took;
			iov[i].iov_len -= took;
			left -= took;
		}
	}
	return 0;
}

static int
check_size(const struct ipc_sync *s, const struct ipc_frame *f, struct err *e)
{
	if (f->body.len > s->in.body_max)
		return err_set(e, ERR_LIMIT, "frame of type %u: %zu bytes, %zu allowed",
		    f->type, f->body.len, s->in.body_max);
	return 0;
}

int
ipc_sync_flush(struct ipc_sync *s, int64_t timeout_ms, struct err *e)
{
	struct iovec iov = {s->queue.p, s->queue.len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (send_all(s, &m, clock_mono_ms(&clock_system) + timeout_ms, e))
		return -1;
	buf_reset(&s->queue);
	return 0;
}

int
ipc_sync_queue(
    struct ipc_sync *s, const struct ipc_frame *f, int64_t timeout_ms, struct err *e)
{
	uint8_t head[IPC_HEAD_LEN];
	assert(f->fd < 0);
	if (check_size(s, f, e))
		return -1;
	ipc_frame_write_head(f, head);
	buf_put(&s->queue, head, sizeof(head));
	buf_put_span(&s->queue, f->body);
	return s->queue.len < IPC_SYNC_QUEUE ? 0 : ipc_sync_flush(s, timeout_ms, e);
}

int
ipc_sync_send(
    struct ipc_sync *s, const struct ipc_frame *f, int64_t timeout_ms, struct err *e)
{
	uint8_t head[IPC_HEAD_LEN];
	/* what waits goes first */
	if (check_size(s, f, e) || ipc_sync_flush(s, timeout_ms, e))
		return -1;
	ipc_frame_write_head(f, head);
	struct iovec iov[2] = {{head, sizeof(head)}, {(void *)f->body.p, f->body.len}};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
	struct ipc_in_control control;
	if (f->fd >= 0)
		ipc_in_attach(&m, &control, f->fd);
	return send_all(s, &m, clock_mono_ms(&clock_system) + timeout_ms, e);
}

static int
recv_until(struct ipc_sync *s, int64_t deadline_ms, struct ipc_frame *ret, struct err *e)
{
	for (;;) {
		int n = ipc_in_next(&s->in, ret, e);
		if (n)
			return n > 0 ? 0 : -1;
		int64_t got = ipc_in_read(&s->in, s->fd, e);
		if (got < 0)
			return -1;
		if (got == 0 && wait_for(s->fd, POLLIN, deadline_ms, e))
			return -1;
	}
}

int
ipc_sync_recv(
    struct ipc_sync *s, int64_t timeout_ms, struct ipc_frame *ret, struct err *e)
{
	return recv_until(s, clock_mono_ms(&clock_system) + timeout_ms, ret, e);
}

int
ipc_sync_call(struct ipc_sync *s, uint16_t type, struct span body, int64_t timeout_ms,
    struct ipc_frame *ret, struct err *e)
{
	int64_t deadline_ms = clock_mono_ms(&clock_system) + timeout_ms;
	struct ipc_frame f = {.type = type, .id = ++s->last_id, .body = body, .fd = -1};
	if (ipc_sync_send(s, &f, timeout_ms, e))
		return -1;
	for (;;) {
		struct ipc_frame got;
		if (recv_until(s, deadline_ms, &got, e))
			return -1;
		if (got.id == f.id) {
			*ret = got;
			return 0;
		}
		own_close(&got.fd);
	}
}
