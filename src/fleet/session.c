/*
 * The line protocol with muster-agent, over the pipes of a child. However it ends (a line
 * that is none, the child's end, a deadline), it ends in over().
 */
#include "fleet/session.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/buf.h"
#include "codec/js.h"
#include "io/loop.h"
#include "io/proc.h"

#define JSON_DEPTH 8
#define GRACE_MS   2000 /* between end of output and end of the child */
#define LAST_READS 17   /* of stderr: what a pipe holds (pipe(7)) */

struct session {
	struct loop *loop;
	struct proc *proc;
	const struct session_ops *ops;
	void *arg;
	struct loop_fd *in, *out, *errs; /* as the child calls them */
	struct loop_timer *timer;
	struct loop_task tell; /* the end, to the owner */
	struct loop_task more; /* lines behind the first of a read */
	struct buf pending;    /* read, not yet a whole line */
	struct buf sending;
	struct buf said; /* stderr */
	struct session_failure why;
	const char *op; /* under way; NULL: none */
	int64_t id;
	size_t noise;
	bool greeted, over, failed_told;
	bool exited;
	int exit_code;
};

static void
stop_io(struct session *s)
{
	loop_fd_free(TAKE(s->in));
	loop_fd_free(TAKE(s->out));
	loop_fd_free(TAKE(s->errs));
	loop_timer_cancel(s->timer);
}

static void
tell(void *arg)
{
	struct session *s = arg;
	if (s->failed_told)
		return;
	s->failed_told = true;
	s->ops->on_failed(s->arg, &s->why);
}

/* The end. s->why is filled; the owner hears of it at the turn's end, never from inside a
 * call of its own. */
static void
over(struct session *s)
{
	if (s->over)
		return;
	s->over = true;
	stop_io(s);
	if (s->proc)
		proc_kill(s->proc, SIGKILL);
	loop_defer(s->loop, LOOP_FLUSH, &s->tell);
}

static void
fail(struct session *s, enum err_code code, const char *text)
{
	err_set(&s->why.err, code, "%s", text);
	over(s);
}

/* ---- what the child says ---- */

static void
answer_failed(struct session *s, const struct js *answer)
{
	struct session_failure why = {.answered = true};
	const char *name = js_as_text(js_get(answer, "code"));
	const char *text = js_as_text(js_get(answer, "text"));
	enum err_code code = ERR_INTERNAL;
	for (int i = 1; i < ERR_N; i++)
		if (strcmp(err_row((enum err_code)i)->name, name) == 0)
			code = (enum err_code)i;
	err_set(&why.err, code, "%s", text[0] ? text : "the agent gave no reason");
	snprintf(why.fix, sizeof(why.fix), "%s", js_as_text(js_get(answer, "fix")));
	s->ops->on_failed(s->arg, &why);
}

static void
take_answer(struct session *s, const struct js *answer)
{
	int64_t id;
	bool ok;
	struct err why;
	if (js_need_int(answer, "id", 0, INT64_MAX, &id, &why) ||
	    js_need_bool(answer, "ok", &ok, &why)) {
		err_wrap(&why, "answer of the agent");
		fail(s, ERR_PARSE, why.text);
		return;
	}
	if (!s->op || id != s->id) {
		fail(s, ERR_PARSE, "the agent answered what was not asked");
		return;
	}
	s->op = NULL;
	loop_timer_cancel(s->timer);
	if (ok)
		s->ops->on_answer(s->arg, answer);
	else
		answer_failed(s, answer);
}

static void
take_hello(struct session *s, const struct js *hello)
{
	if (strcmp(js_as_text(js_get(hello, "hello")), "muster-agent") != 0) {
		fail(s, ERR_PARSE, "what answers is not muster-agent");
		return;
	}
	if (js_as_int(js_get(hello, "protocol")) != 1) {
		fail(s, ERR_UNSUPPORTED,
		    "muster-agent on the device speaks another version of the protocol");
		return;
	}
	s->greeted = true;
	loop_timer_cancel(s->timer);
	s->ops->on_hello(s->arg, js_as_text(js_get(hello, "deviceId")),
	    js_as_text(js_get(hello, "version")));
}

static void
take_line(struct session *s, struct span line)
{
	struct err why;
	auto_(js_free) struct js *v = js_parse(line, SESSION_LINE_MAX, JSON_DEPTH, &why);
	if (!s->greeted && !js_is(v, JS_OBJECT)) { /* a greeting of the host */
		if (++s->noise > SESSION_NOISE_MAX)
			fail(s, ERR_PARSE, "what answers is not muster-agent");
		return;
	}
	if (!js_is(v, JS_OBJECT)) {
		fail(s, ERR_PARSE, "the agent's answer is not a JSON object");
		return;
	}
	if (s->greeted)
		take_answer(s, v);
	else
		take_hello(s, v);
}

/* One line a call, and the callback last: it may free the session. */
static void
work(void *arg)
{
	struct session *s = arg;
	if (s->over)
		return;
	size_t len = span_find(buf_span(&s->pending), '\n');
	if (len == s->pending.len) {
		if (len >= SESSION_LINE_MAX)
			fail(s, ERR_LIMIT, "the agent's answer is longer than 64 KB");
		return;
	}
	auto_buf line = BUF_INIT(SESSION_LINE_MAX + 1);
	buf_put(&line, s->pending.p, len);
	buf_drop(&s->pending, len + 1);
	if (span_has(buf_span(&s->pending), '\n'))
		loop_defer(s->loop, LOOP_FLUSH, &s->more);
	take_line(s, span_trim(buf_span(&line)));
}

/* ---- pipes ---- */

/* At most one read a turn, so that a talkative device does not starve the others. 1 when
 * something came, 0 when nothing is there now, -1 at the end. */
static int
read_some(struct proc *p, unsigned which, struct buf *into)
{
	uint8_t *room = buf_room(into, 4096);
	if (!room)
		return -1;
	ssize_t n = read(proc_fd_of(p, which), room, 4096);
	if (n > 0) {
		buf_grew(into, (size_t)n);
		return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* Everything is known: why it ended, in the words of whoever knows best. */
static void
finish(struct session *s)
{
	/* counted: who goes on talking would hold up every other device */
	for (int i = 0; i < LAST_READS && s->errs; i++) {
		if (read_some(s->proc, PROC_STDERR, &s->said) <= 0)
			break;
		if (s->said.len > SESSION_STDERR_MAX)
			buf_drop(&s->said, s->said.len - SESSION_STDERR_MAX);
	}
	if (s->ops->explain && s->exited)
		s->ops->explain(s->exit_code, buf_text(&s->said), &s->why);
	else
		err_set(&s->why.err, ERR_UNAVAILABLE, "the session was cut");
	if (s->op)
		err_wrap(&s->why.err, "%s", s->op);
	over(s);
}

static void
on_out(void *arg, unsigned ready)
{
	struct session *s = arg;
	int got = read_some(s->proc, PROC_STDOUT, &s->pending);
	if (got > 0) {
		work(s);
		return;
	}
	if (got == 0)
		return;
	loop_fd_free(TAKE(s->out));
	if (s->exited)
		finish(s);
	else /* the exit status and the last words on stderr will say more */
		loop_timer_start(s->timer, GRACE_MS);
}

static void
on_errs(void *arg, unsigned ready)
{
	struct session *s = arg;
	int got = read_some(s->proc, PROC_STDERR, &s->said);
	if (s->said.len > SESSION_STDERR_MAX)
		buf_drop(&s->said, s->said.len - SESSION_STDERR_MAX);
	if (got < 0)
		loop_fd_free(TAKE(s->errs));
}

static void
send_some(struct session *s)
{
	struct err e;
	ssize_t n = write(proc_fd_of(s->proc, PROC_STDIN), s->sending.p, s->sending.len);
	if (n > 0)
		buf_drop(&s->sending, (size_t)n);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		loop_fd_free(TAKE(s->in)); /* the child is ending; its output says why */
		return;
	}
	if (loop_fd_watch(s->in, s->sending.len ? LOOP_WRITE : 0, &e))
		fail(s, e.code, e.text);
}

static void
on_in(void *arg, unsigned ready)
{
	send_some(arg);
}

static void
on_exit_(void *arg, const struct proc_exit *x)
{
	struct session *s = arg;
	s->exited = true;
	s->exit_code = x->code;
	if (s->over)
		return;
	if (s->out) /* what it wrote before is still to be read */
		loop_timer_start(s->timer, GRACE_MS);
	else
		finish(s);
}

static void
on_timer(void *arg)
{
	struct session *s = arg;
	if (s->exited || !s->out) {
		finish(s);
		return;
	}
	err_set(&s->why.err, ERR_TIMEOUT, "%s: no answer in time",
	    s->greeted ? s->op : "muster-agent's greeting");
	over(s);
}

/* ---- life ---- */

static int
watch(struct session *s, struct err *e)
{
	struct proc *p = s->proc;
	s->in = loop_fd_new(s->loop, proc_fd_of(p, PROC_STDIN), on_in, s);
	s->out = loop_fd_new(s->loop, proc_fd_of(p, PROC_STDOUT), on_out, s);
	s->errs = loop_fd_new(s->loop, proc_fd_of(p, PROC_STDERR), on_errs, s);
	return loop_fd_watch(s->out, LOOP_READ, e) || loop_fd_watch(s->errs, LOOP_READ, e)
		   ? -1
		   : 0;
}

struct session *
session_new(struct loop *l, const struct proc_spec *spec, int64_t hello_ms,
    const struct session_ops *ops, void *arg, struct err *e)
{
	auto_(session_free) struct session *s = own_alloc(sizeof(*s));
	*s = (struct session){
	    .loop = l,
	    .ops = ops,
	    .arg = arg,
	    .tell = {.fn = tell, .arg = s},
	    .more = {.fn = work, .arg = s},
	    .pending = BUF_INIT(2 * SESSION_LINE_MAX),
	    .sending = BUF_INIT(SESSION_LINE_MAX),
	    .said = BUF_INIT(4 * SESSION_STDERR_MAX + 4096),
	};
	s->timer = loop_timer_new(l, on_timer, s);
	if (proc_start(l, spec, on_exit_, s, &s->proc, e) || watch(s, e))
		return NULL;
	loop_timer_start(s->timer, hello_ms);
	return TAKE(s);
}

void
session_call(struct session *s, const char *op, struct js *args, int64_t deadline_ms)
{
	auto_(js_free) struct js *request = args ? args : js_object();
	if (s->over) /* its end is being told already */
		return;
	js_set_int(request, "id", ++s->id);
	js_set_text(request, "op", op);
	s->op = op;
	buf_reset(&s->sending);
	js_dump(request, JS_AS_BUILT, &s->sending);
	buf_u8(&s->sending, '\n');
	loop_timer_start(s->timer, deadline_ms);
	if (s->in)
		send_some(s);
}

bool
session_is_over(const struct session *s)
{
	return s->over;
}

void
session_free(struct session *s)
{
	if (!s)
		return;
	loop_defer_cancel(&s->tell);
	loop_defer_cancel(&s->more);
	loop_fd_free(s->in);
	loop_fd_free(s->out);
	loop_fd_free(s->errs);
	loop_timer_free(s->timer);
	proc_free(s->proc);
	buf_done(&s->pending);
	buf_done(&s->sending);
	buf_done(&s->said);
	free(s);
}
