/*
 * The nonblocking link. Sending: one output buffer, written at the end of the turn, with
 * breaks where a descriptor has to travel. Receiving: ipc_in.c. A failed write does not
 * close the link: what the peer said before it died is still read, and the end found
 * there.
 */
#include "io/ipc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/ipc_in.h"

/* of 64 KiB and more: one busy link does not starve the others */
#define READS_A_TURN 4

struct out_fd {
	uint64_t at; /* position, in bytes ever queued, of the frame it belongs to */
	int fd;
};

struct ipc_link {
	struct loop *loop;
	struct loop_fd *watch;
	struct loop_timer *again; /* dispatches what came before a pause ended */
	struct loop_task flush;
	struct ipc_opts opts;
	struct ipc_ops ops;
	void *arg;
	int fd;
	bool paused, closed, sending_ended, high;
	bool want_write;
	bool *gone; /* set while callbacks run: tells that the link was freed */

	struct ipc_in in;
	uint8_t *out;
	size_t out_start, out_end, out_cap;
	uint64_t sent; /* bytes ever sent; out[out_start] is byte number sent */
	struct out_fd out_fds[IPC_IN_FDS];
	size_t nout_fds;
};

static void
drop_output(struct ipc_link *k)
{
	for (size_t i = 0; i < k->nout_fds; i++)
		close(k->out_fds[i].fd);
	k->nout_fds = 0;
	k->out_start = k->out_end = 0;
}

/* Cannot fail for a socket that was watched before (loop_fd_watch allocates nothing
 * then). */
static void
rewatch(struct ipc_link *k)
{
	unsigned what =
	    (k->paused || k->closed ? 0u : LOOP_READ) | (k->want_write ? LOOP_WRITE : 0u);
	struct err e;
	if (loop_fd_watch(k->watch, what, &e))
		k->sending_ended = true;
}

/* --- sending --- */

size_t
ipc_queued(const struct ipc_link *k)
{
	return k->out_end - k->out_start;
}

static void
make_room(struct ipc_link *k, size_t n)
{
	if (k->out_cap - k->out_end >= n)
		return;
	size_t left = ipc_queued(k);
	if (left)
		memmove(k->out, k->out + k->out_start, left);
	k->out_start = 0;
	k->out_end = left;
	if (k->out_cap - left >= n)
		return;
	k->out_cap = 2 * (left + n) + 4096;
	k->out = own_realloc(k->out, k->out_cap);
}

static void
append(struct ipc_link *k, const void *p, size_t n)
{
	if (n)
		memcpy(k->out + k->out_end, p, n);
	k->out_end += n;
}

static int
queue_fd(struct ipc_link *k, int fd, struct err *e)
{
	if (k->nout_fds == IPC_IN_FDS)
		return err_set(e, ERR_BUSY, "link: too many descriptors waiting");
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (copy < 0)
		return err_sys(e, ERR_IO, "link: descriptor %d", fd);
	k->out_fds[k->nout_fds++] = (struct out_fd){k->sent + ipc_queued(k), copy};
	return 0;
}

int
ipc_send(struct ipc_link *k, const struct ipc_frame *f, struct err *e)
{
	size_t need = IPC_HEAD_LEN + f->body.len;
	if (k->closed || k->sending_ended)
		return err_set(e, ERR_UNAVAILABLE, "link: the peer is gone");
	if (f->body.len > k->opts.body_max)
		return err_set(e, ERR_LIMIT, "frame of type %u: %zu bytes, %zu allowed",
		    f->type, f->body.len, k->opts.body_max);
	if (need > k->opts.queue_max - ipc_queued(k))
		return err_set(
		    e, ERR_BUSY, "link: %zu bytes wait, the peer is slow", ipc_queued(k));
	if (f->fd >= 0 && queue_fd(k, f->fd, e))
		return -1;
	uint8_t head[IPC_HEAD_LEN];
	ipc_frame_write_head(f, head);
	make_room(k, need);
	append(k, head, sizeof(head));
	append(k, f->body.p, f->body.len);
	loop_defer(k->loop, LOOP_FLUSH, &k->flush);
	return 0;
}

/* Sends up to the next descriptor, and with it the one that belongs to the first byte. */
static ssize_t
send_piece(struct ipc_link *k)
{
	struct ipc_in_control control;
	struct iovec iov = {k->out + k->out_start, ipc_queued(k)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	bool with_fd = k->nout_fds && k->out_fds[0].at == k->sent;
	if (k->nout_fds > with_fd)
		iov.iov_len = k->out_fds[with_fd].at - k->sent;
	if (with_fd)
		ipc_in_attach(&m, &control, k->out_fds[0].fd);
	ssize_t n = sendmsg(k->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0 || !with_fd)
		return n;
	close(k->out_fds[0].fd);
	k->nout_fds--;
	memmove(k->out_fds, k->out_fds + 1, k->nout_fds * sizeof(k->out_fds[0]));
	return n;
}

void
ipc_flush(struct ipc_link *k)
{
	loop_defer_cancel(&k->flush);
	bool full = false;
	while (!full && ipc_queued(k) && !k->sending_ended) {
		ssize_t n = send_piece(k);
		if (n > 0) {
			k->out_start += (size_t)n;
			k->sent += (uint64_t)n;
			continue;
		}
		full = n < 0 && errno == EAGAIN;
		k->sending_ended = !full && errno != EINTR;
	}
	if (k->sending_ended)
		drop_output(k);
	k->want_write = full;
	rewatch(k);
}

static void
tell_pressure(struct ipc_link *k)
{
	size_t waiting = ipc_queued(k);
	bool turns =
	    k->high ? waiting < k->opts.queue_max / 8 : waiting > k->opts.queue_max / 2;
	if (!turns)
		return;
	k->high = !k->high;
	if (k->ops.on_pressure)
		k->ops.on_pressure(k->arg, k->high);
}

static void
on_flush(void *arg)
{
	struct ipc_link *k = arg;
	if (!k->want_write) /* else the kernel's buffer is full: on_ready goes on */
		ipc_flush(k);
	tell_pressure(k);
}

/* --- receiving --- */

static void
close_link(struct ipc_link *k, const struct err *why)
{
	k->closed = true;
	k->want_write = false;
	drop_output(k);
	loop_timer_cancel(k->again);
	loop_defer_cancel(&k->flush);
	rewatch(k);
	k->ops.on_closed(k->arg, why);
}

/* Hands out every whole frame; false when the link was closed or freed meanwhile. */
static bool
dispatch(struct ipc_link *k)
{
	bool gone = false;
	k->gone = &gone;
	while (!k->paused) {
		struct ipc_frame f;
		struct err e;
		int n = ipc_in_next(&k->in, &f, &e);
		if (n < 0) {
			k->gone = NULL;
			close_link(k, &e);
			return false;
		}
		if (n == 0)
			break;
		k->ops.on_frame(k->arg, &f);
		own_close(&f.fd);
		if (gone)
			return false;
	}
	k->gone = NULL;
	return true;
}

static void
on_again(void *arg)
{
	dispatch(arg);
}

static void
read_link(struct ipc_link *k)
{
	for (int i = 0; i < READS_A_TURN && !k->paused; i++) {
		struct err e;
		int64_t n = ipc_in_read(&k->in, k->fd, &e);
		if (n < 0) {
			close_link(k, &e);
			return;
		}
		if (n == 0 || !dispatch(k))
			return;
	}
}

static void
on_ready(void *arg, unsigned ready)
{
	struct ipc_link *k = arg;
	if (ready & LOOP_WRITE) {
		bool gone = false;
		k->gone = &gone;
		ipc_flush(k);
		tell_pressure(k);
		if (gone)
			return;
		k->gone = NULL;
	}
	if (ready & LOOP_READ && !k->paused)
		read_link(k);
}

void
ipc_pause(struct ipc_link *k, bool paused)
{
	if (k->closed || k->paused == paused)
		return;
	k->paused = paused;
	rewatch(k);
	if (paused)
		loop_timer_cancel(k->again);
	else
		loop_timer_start(k->again, 0);
}

/* --- life --- */

struct ipc_link *
ipc_new(struct loop *l, int fd, const struct ipc_opts *opts, const struct ipc_ops *ops,
    void *arg, struct err *e)
{
	assert(opts->queue_max >= opts->body_max + IPC_HEAD_LEN);
	struct ipc_link *k = own_alloc(sizeof(*k));
	k->loop = l;
	k->fd = fd;
	k->opts = *opts;
	k->ops = *ops;
	k->arg = arg;
	k->flush = (struct loop_task){.fn = on_flush, .arg = k};
	ipc_in_init(&k->in, opts->body_max);
	k->watch = loop_fd_new(l, fd, on_ready, k);
	k->again = loop_timer_new(l, on_again, k);
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
		err_sys(e, ERR_INTERNAL, "link: descriptor %d", fd);
		ipc_free(k);
		return NULL;
	}
	if (loop_fd_watch(k->watch, LOOP_READ, e)) {
		ipc_free(k);
		return NULL;
	}
	return k;
}

void
ipc_free(struct ipc_link *k)
{
	if (!k)
		return;
	if (k->gone)
		*k->gone = true;
	loop_defer_cancel(&k->flush);
	loop_timer_free(k->again);
	loop_fd_free(k->watch);
	drop_output(k);
	free(k->out);
	ipc_in_done(&k->in);
	close(k->fd);
	free(k);
}
