/*
 * agent.sock, both ends. The server's connections are plain streams of io/stream.h; the
 * client is a command that may wait.
 */
#include "agent/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/backoff.h"
#include "base/list.h"
#include "codec/js.h"
#include "io/loop.h"
#include "io/sock.h"
#include "io/stream.h"

#define CONNS_MAX   16
#define IDLE_MS     (11 * 60 * 1000) /* longer than the longest wait */
#define DEPTH_MAX   4
#define SOCKET_NAME "agent.sock"

struct control {
	struct agent *agent;
	struct loop *loop;
	struct stream_listener *listener;
	struct list conns;
	char path[PATH_MAX];
};

struct conn {
	struct list node;
	struct control *control;
	struct stream *stream;
	struct loop_timer *deadline; /* of a waiting request */
	bool waiting;
};

/* A path that fits sockaddr_un: the directory by descriptor where its name is too long.
 * *ret_dir stays open as long as out is used. */
static int
socket_path(const char *dir, char out[PATH_MAX], int *ret_dir, struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/" SOCKET_NAME, dir);
	if (n < 0 || n >= PATH_MAX)
		return err_set(e, ERR_LIMIT, "%s: path too long", dir);
	if ((size_t)n < sizeof(((struct sockaddr_un *)0)->sun_path))
		return 0;
	*ret_dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_dir < 0)
		return err_sys(e, ERR_IO, "%s", dir);
	snprintf(out, PATH_MAX, "/proc/self/fd/%d/" SOCKET_NAME, *ret_dir);
	return 0;
}

/* --- answers --- */

static void
set_words(struct js *o, const char *key, const char *words)
{
	struct js *text = js_str(span_str(words), NULL);
	js_set(o, key, text ? text : js_text(""));
}

/* Where the certificate stands; absent where there is none to renew from here. */
static void
put_renewal(struct js *o, const struct renewal_status *r)
{
	if (!r->on)
		return;
	struct js *m = js_object();
	js_set_int(m, "dueMs", r->due_ms);
	js_set_int(m, "nextInMs", r->next_ms);
	js_set_bool(m, "running", r->running);
	js_set_int(m, "failures", r->state.failures);
	js_set_int(m, "askedMs", r->state.asked_ms);
	js_set_int(m, "renewedMs", r->state.renewed_ms);
	set_words(m, "lastError", r->state.error);
	js_set(o, "renewal", m);
}

static struct js *
answer_ok(struct agent *a)
{
	struct agent_status st;
	agent_status(a, &st);
	struct js *o = js_object();
	js_set_bool(o, "ok", true);
	js_set_text(o, "deviceId", st.device_id);
	js_set_text(o, "state", agent_state_name(st.state));
	js_set_text(o, "auth", st.active.x509 ? "x509" : "sas");
	js_set_text(o, "generation", st.active.generation);
	js_set_text(o, "thumbprint", st.thumbprint);
	js_set_bool(o, "connected", st.state == AGENT_CONNECTED);
	js_set_text(o, "hub", st.hub);
	js_set_int(o, "notAfterMs", st.not_after_ms);
	js_set_int(o, "sinceMs", st.since_ms);
	js_set_int(o, "retryInMs", st.retry_in_ms);
	js_set_int(o, "attempts", st.attempts);
	js_set_int(o, "connack", st.connack);
	js_set_int(o, "connects", (int64_t)st.connects);
	js_set_int(o, "disconnects", (int64_t)st.disconnects);
	js_set_int(o, "refused", (int64_t)st.refused);
	js_set_int(o, "sent", (int64_t)st.sent);
	js_set_int(o, "acked", (int64_t)st.acked);
	js_set_int(o, "dropped", (int64_t)st.dropped);
	set_words(o, "lastError", st.last.text);
	put_renewal(o, &st.renewal);
	return o;
}

static struct js *
answer_error(const struct err *e)
{
	struct js *o = js_object();
	js_set_bool(o, "ok", false);
	js_set_text(o, "code", err_row(e->code)->name);
	struct js *text = js_str(span_str(e->text), NULL);
	js_set(o, "text", text ? text : js_text(err_row(e->code)->words));
	return o;
}

static void
answer(struct conn *c, struct js *o)
{
	auto_(js_free) struct js *owned = o;
	auto_buf line = BUF_INIT(CONTROL_LINE_MAX);
	js_dump(owned, JS_AS_BUILT, &line);
	buf_u8(&line, '\n');
	stream_write(c->stream, buf_span(&line));
}

/* --- operations --- */

static int
op_status(struct conn *c, const struct js *req, struct err *e)
{
	answer(c, answer_ok(c->control->agent));
	return 0;
}

static int
op_hold(struct conn *c, const struct js *req, struct err *e)
{
	int64_t ms;
	if (js_need_int(req, "ms", 1, CONTROL_HOLD_MAX_MS, &ms, e))
		return -1;
	agent_hold(c->control->agent, ms);
	return op_status(c, req, e);
}

static int
op_release(struct conn *c, const struct js *req, struct err *e)
{
	agent_release(c->control->agent);
	return op_status(c, req, e);
}

/* Answers a waiting request when there is something to say. */
static void
settle(struct conn *c, bool late)
{
	struct agent_status st;
	agent_status(c->control->agent, &st);
	bool refused = st.state == AGENT_BACKOFF && backoff_is_refusal(st.last.code);
	if (!late && !refused && st.state != AGENT_CONNECTED)
		return;
	c->waiting = false;
	loop_timer_cancel(c->deadline);
	if (st.state == AGENT_CONNECTED)
		return answer(c, answer_ok(c->control->agent));
	struct err e = st.last;
	if (e.code == ERR_OK)
		err_set(&e, ERR_TIMEOUT, "not connected in time: %s",
		    agent_state_name(st.state));
	answer(c, answer_error(&e));
}

static int
op_reload(struct conn *c, const struct js *req, struct err *e)
{
	int64_t wait_ms = 0;
	if (js_opt_int(req, "waitMs", 0, CONTROL_WAIT_MAX_MS, &wait_ms, e) ||
	    agent_reload(c->control->agent, e))
		return -1;
	if (!wait_ms)
		return op_status(c, req, e);
	c->waiting = true;
	loop_timer_start(c->deadline, wait_ms);
	settle(c, false);
	return 0;
}

static int
op_time(struct conn *c, const struct js *req, struct err *e)
{
	int64_t now_ms;
	if (js_need_int(req, "nowMs", 0, INT64_MAX / 4, &now_ms, e) ||
	    agent_learn_time(c->control->agent, now_ms, e))
		return -1;
	return op_status(c, req, e);
}

static const struct {
	const char *name;
	int (*fn)(struct conn *c, const struct js *req, struct err *e);
} ops[] = {
    {"status", op_status},
    {"hold", op_hold},
    {"release", op_release},
    {"reload", op_reload},
    {"time", op_time},
};

static int
dispatch(struct conn *c, struct span line, struct err *e)
{
	auto_(js_free) struct js *req = js_parse(line, CONTROL_LINE_MAX, DEPTH_MAX, e);
	struct span op;
	if (!req || js_need_str(req, "op", &op, e))
		return -1;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		if (span_eq_str(op, ops[i].name))
			return ops[i].fn(c, req, e);
	return err_set(e, ERR_UNSUPPORTED, "no operation of that name");
}

/* --- connections --- */

static void
handle_lines(struct conn *c)
{
	struct err e;
	for (;;) {
		struct span in = stream_pending(c->stream);
		size_t len = span_find(in, '\n');
		if (c->waiting || len == in.len)
			return;
		if (dispatch(c, span_head(in, len), &e))
			answer(c, answer_error(&e));
		stream_consume(c->stream, len + 1);
	}
}

static void
on_data(void *arg, struct span pending)
{
	handle_lines(arg);
}

static void
conn_free(struct conn *c)
{
	list_del(&c->node);
	loop_timer_free(c->deadline);
	free(c);
}

static void
on_closed(void *arg, const struct err *why)
{
	conn_free(arg);
}

static void
on_deadline(void *arg)
{
	struct conn *c = arg;
	settle(c, true);
	handle_lines(c);
}

static const struct stream_ops stream_ops = {.on_data = on_data, .on_closed = on_closed};

static void
on_accept(void *arg, struct stream *s)
{
	struct control *ctl = arg;
	struct conn *c = own_alloc(sizeof(*c));
	c->control = ctl;
	c->stream = s;
	c->deadline = loop_timer_new(ctl->loop, on_deadline, c);
	list_push(&ctl->conns, &c->node);
	stream_handle(s, &stream_ops, c);
}

int
control_open(
    const char *dir, struct loop *l, struct agent *a, struct control **ret, struct err *e)
{
	auto_(control_free) struct control *c = own_alloc(sizeof(*c));
	c->agent = a;
	c->loop = l;
	list_init(&c->conns);
	auto_fd int held = -1;
	char path[PATH_MAX];
	int fd;
	if (socket_path(dir, path, &held, e))
		return -1;
	if (sock_listen_unix(path, &fd, e))
		return err_wrap(e, "%s", dir);
	snprintf(c->path, sizeof(c->path), "%s/" SOCKET_NAME, dir);
	const struct stream_opts o = {.handshake_ms = IDLE_MS,
	    .idle_ms = IDLE_MS,
	    .close_ms = 1000,
	    .in_max = CONTROL_LINE_MAX,
	    .out_max = 2 * CONTROL_LINE_MAX};
	c->listener = stream_listen(l, fd, NULL, &o, CONNS_MAX, on_accept, c, e);
	if (!c->listener)
		return -1;
	*ret = TAKE(c);
	return 0;
}

void
control_free(struct control *c)
{
	if (!c)
		return;
	stream_listener_free(c->listener);
	list_each_safe (it, &c->conns)
		conn_free(list_of(it, struct conn, node));
	if (c->path[0])
		unlink(c->path);
	free(c);
}

void
control_notify(struct control *c)
{
	list_each_safe (it, &c->conns) {
		struct conn *conn = list_of(it, struct conn, node);
		if (conn->waiting)
			settle(conn, false);
	}
}

/* --- the client --- */

static int64_t
now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int
wait_until(int fd, short what, int64_t deadline_ms, struct err *e)
{
	for (;;) {
		int64_t left = deadline_ms - now_ms();
		struct pollfd p = {.fd = fd, .events = what};
		int n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n > 0)
			return 0;
		if (n == 0)
			return err_set(
			    e, ERR_TIMEOUT, "the running agent does not answer");
		if (errno != EINTR)
			return err_sys(e, ERR_IO, "the running agent");
	}
}

static int
send_all(int fd, struct span s, int64_t deadline_ms, struct err *e)
{
	while (s.len) {
		if (wait_until(fd, POLLOUT, deadline_ms, e))
			return -1;
		ssize_t n = send(fd, s.p, s.len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_UNAVAILABLE, "the running agent");
		s = span_skip(s, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static int
receive_line(int fd, struct buf *in, int64_t deadline_ms, struct err *e)
{
	while (!span_has(buf_span(in), '\n')) {
		uint8_t *room = buf_room(in, 4096);
		if (!room)
			return err_set(
			    e, ERR_LIMIT, "the running agent's answer is too long");
		if (wait_until(fd, POLLIN, deadline_ms, e))
			return -1;
		ssize_t n = recv(fd, room, 4096, 0);
		if (n == 0)
			return err_set(e, ERR_UNAVAILABLE, "the running agent hung up");
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_UNAVAILABLE, "the running agent");
		buf_grew(in, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

static enum err_code
code_named(struct span name)
{
	for (int i = ERR_OK + 1; i < ERR_N; i++)
		if (span_eq_str(name, err_row((enum err_code)i)->name))
			return (enum err_code)i;
	return ERR_INTERNAL;
}

static int
refusal(const struct js *o, struct err *e)
{
	struct span code = SPAN_NONE, text = SPAN_NONE;
	if (js_need_str(o, "code", &code, e) || js_need_str(o, "text", &text, e))
		return -1;
	return err_set(e, code_named(code), "%.*s", SPAN_FMT(text));
}

int
control_call(const char *dir, const struct js *request, int64_t timeout_ms,
    struct js **ret, struct err *e)
{
	char path[PATH_MAX];
	auto_fd int held = -1, fd = -1;
	int64_t deadline_ms = now_ms() + timeout_ms;
	if (socket_path(dir, path, &held, e))
		return -1;
	struct err why;
	if (sock_connect_unix(path, &fd, &why))
		return err_set(e, ERR_UNAVAILABLE, "no running agent answers in %s: %s",
		    dir, why.text);
	auto_buf out = BUF_INIT(CONTROL_LINE_MAX), in = BUF_INIT(CONTROL_LINE_MAX);
	js_dump(request, JS_AS_BUILT, &out);
	buf_u8(&out, '\n');
	if (buf_check(&out, "request", e) ||
	    send_all(fd, buf_span(&out), deadline_ms, e) ||
	    receive_line(fd, &in, deadline_ms, e))
		return -1;
	struct span line = span_head(buf_span(&in), span_find(buf_span(&in), '\n'));
	auto_(js_free) struct js *o = js_parse(line, CONTROL_LINE_MAX, DEPTH_MAX, e);
	bool ok;
	if (!o || js_need_bool(o, "ok", &ok, e))
		return err_wrap(e, "the running agent's answer");
	if (!ok)
		return refusal(o, e);
	*ret = TAKE(o);
	return 0;
}
