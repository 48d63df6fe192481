/*
 * The loop over one event_base: turns, their ends, and handles that may be freed
 * anywhere. It is no general abstraction over event libraries: src/io shares its
 * event_base.
 */
#include "io/loop.h"

#include <assert.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/log.h"

struct loop {
	struct event_base *base;
	const struct clock *clock;
	bool is_virtual; /* not the machine's clock: libevent's timers are not used */
	bool stopped;
	struct list timers; /* started ones, on a virtual clock only */
	struct list tasks[LOOP_PHASES];
};

struct loop_timer {
	struct event ev;
	struct list node;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
	int64_t due_ms, every_ms;
	bool started;
};

struct loop_fd {
	struct event ev;
	struct loop *loop;
	void (*fn)(void *arg, unsigned ready);
	void *arg;
	int fd;
	unsigned what;
};

struct loop_signal {
	struct event ev;
	void (*fn)(void *arg);
	void *arg;
};

struct loop_wake {
	struct loop_fd *watch;
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

/* What libevent would print itself. It never holds a peer's bytes. */
static void
on_libevent_says(int severity, const char *msg)
{
	log_event(severity >= EVENT_LOG_WARN ? LOG_WARN : LOG_DEBUG, "libevent",
	    LOG_STR("says", msg));
}

static void
on_libevent_died(int status)
{
	(void)status; /* said above; a broken event base is no state to go on from */
	abort();
}

struct loop *
loop_new(const struct clock *clock, struct err *e)
{
	struct event_config *cfg = event_config_new();
	if (!cfg) {
		err_set(e, ERR_INTERNAL, "event loop: no configuration");
		return NULL;
	}
	/* one thread: no locks. EPOLL_CHANGELIST is left off: it breaks on dup'ed
	 * descriptors */
	event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	struct event_base *base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	if (!base) {
		err_set(e, ERR_INTERNAL, "event loop: no event base");
		return NULL;
	}
	struct loop *l = own_alloc(sizeof(*l));
	l->base = base;
	l->clock = clock;
	l->is_virtual = clock->mono_ms != clock_system.mono_ms;
	list_init(&l->timers);
	for (int i = 0; i < LOOP_PHASES; i++)
		list_init(&l->tasks[i]);
	event_set_log_callback(on_libevent_says);
	event_set_fatal_callback(on_libevent_died);
	signal(SIGPIPE, SIG_IGN);
	return l;
}

void
loop_free(struct loop *l)
{
	if (!l)
		return;
	event_base_free(l->base);
	free(l);
}

const struct clock *
loop_clock(const struct loop *l)
{
	return l->clock;
}

int64_t
loop_now_ms(const struct loop *l)
{
	return clock_mono_ms(l->clock);
}

struct event_base *
loop_base(struct loop *l)
{
	return l->base;
}

void
loop_stop(struct loop *l)
{
	l->stopped = true;
}

/* --- end of turn --- */

void
loop_defer(struct loop *l, enum loop_phase phase, struct loop_task *t)
{
	if (list_empty(&t->node))
		list_push(&l->tasks[phase], &t->node);
}

void
loop_defer_cancel(struct loop_task *t)
{
	list_del(&t->node);
}

static bool
run_one_task(struct list *tasks)
{
	if (list_empty(tasks))
		return false;
	struct loop_task *t = list_of(tasks->next, struct loop_task, node);
	list_del(&t->node);
	t->fn(t->arg);
	return true;
}

/* A flush may queue a commit (a closed link's clean-up): every commit runs before any
 * flush. */
static void
end_turn(struct loop *l)
{
	while (
	    run_one_task(&l->tasks[LOOP_COMMIT]) || run_one_task(&l->tasks[LOOP_FLUSH]))
		;
}

static int
turn(struct loop *l, int flags, struct err *e)
{
	end_turn(l); /* what was queued between turns */
	if (event_base_loop(l->base, flags) < 0)
		return err_sys(e, ERR_INTERNAL, "event loop");
	end_turn(l);
	return 0;
}

int
loop_run(struct loop *l, struct err *e)
{
	l->stopped = false;
	while (!l->stopped)
		if (turn(l, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY, e))
			return -1;
	return 0;
}

static void
on_turn_over(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg; /* it woke the loop up, that is all */
}

int
loop_turn(struct loop *l, int64_t max_ms, struct err *e)
{
	if (max_ms == 0)
		return turn(l, EVLOOP_NONBLOCK, e);
	if (max_ms < 0)
		return turn(l, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY, e);
	struct event ev;
	struct timeval tv = {max_ms / 1000, (max_ms % 1000) * 1000};
	evtimer_assign(&ev, l->base, on_turn_over, NULL);
	evtimer_add(&ev, &tv);
	int ret = turn(l, EVLOOP_ONCE, e);
	evtimer_del(&ev);
	return ret;
}

/* --- timers --- */

static void
timer_fired(struct loop_timer *t)
{
	t->started = false;
	list_del(&t->node);
	if (t->every_ms)
		loop_timer_repeat(t, t->every_ms);
	t->fn(t->arg);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	timer_fired(arg);
}

struct loop_timer *
loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = own_alloc(sizeof(*t));
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	evtimer_assign(&t->ev, l->base, on_timer, t);
	return t;
}

static void
timer_begin(struct loop_timer *t, int64_t after_ms, int64_t every_ms)
{
	loop_timer_cancel(t);
	if (after_ms < 0)
		after_ms = 0;
	t->every_ms = every_ms;
	t->started = true;
	if (t->loop->is_virtual) {
		t->due_ms = loop_now_ms(t->loop) + after_ms;
		list_push(&t->loop->timers, &t->node);
		return;
	}
	struct timeval tv = {after_ms / 1000, (after_ms % 1000) * 1000};
	evtimer_add(&t->ev, &tv);
}

void
loop_timer_start(struct loop_timer *t, int64_t after_ms)
{
	timer_begin(t, after_ms, 0);
}

void
loop_timer_repeat(struct loop_timer *t, int64_t every_ms)
{
	assert(every_ms > 0);
	timer_begin(t, every_ms, every_ms);
}

void
loop_timer_cancel(struct loop_timer *t)
{
	t->started = false;
	list_del(&t->node);
	evtimer_del(&t->ev);
}

bool
loop_timer_is_started(const struct loop_timer *t)
{
	return t->started;
}

void
loop_timer_free(struct loop_timer *t)
{
	if (!t)
		return;
	loop_timer_cancel(t);
	free(t);
}

static struct loop_timer *
first_due(struct loop *l, int64_t now_ms)
{
	struct loop_timer *first = NULL;
	list_each (n, &l->timers) {
		struct loop_timer *t = list_of(n, struct loop_timer, node);
		if (t->due_ms <= now_ms && (!first || t->due_ms < first->due_ms))
			first = t;
	}
	return first;
}

void
loop_clock_moved(struct loop *l)
{
	struct loop_timer *t;
	while (l->is_virtual && (t = first_due(l, loop_now_ms(l))))
		timer_fired(t); /* a repeating one is due again only after now */
	end_turn(l);
}

/* --- descriptors --- */

static void
on_fd(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	struct loop_fd *f = arg;
	unsigned ready =
	    (what & EV_READ ? LOOP_READ : 0u) | (what & EV_WRITE ? LOOP_WRITE : 0u);
	f->fn(f->arg, ready);
}

struct loop_fd *
loop_fd_new(struct loop *l, int fd, void (*fn)(void *arg, unsigned ready), void *arg)
{
	struct loop_fd *f = own_alloc(sizeof(*f));
	f->loop = l;
	f->fd = fd;
	f->fn = fn;
	f->arg = arg;
	event_assign(&f->ev, l->base, fd, EV_READ | EV_PERSIST, on_fd, f);
	return f;
}

int
loop_fd_watch(struct loop_fd *f, unsigned what, struct err *e)
{
	if (what == f->what)
		return 0;
	event_del(&f->ev);
	f->what = 0;
	if (!what)
		return 0;
	short events = EV_PERSIST;
	if (what & LOOP_READ)
		events |= EV_READ;
	if (what & LOOP_WRITE)
		events |= EV_WRITE;
	event_assign(&f->ev, f->loop->base, f->fd, events, on_fd, f);
	if (event_add(&f->ev, NULL))
		return err_set(e, ERR_INTERNAL, "descriptor %d cannot be watched", f->fd);
	f->what = what;
	return 0;
}

void
loop_fd_free(struct loop_fd *f)
{
	if (!f)
		return;
	event_del(&f->ev);
	free(f);
}

/* --- signals --- */

static void
on_signal(evutil_socket_t signo, short what, void *arg)
{
	(void)signo, (void)what;
	struct loop_signal *s = arg;
	s->fn(s->arg);
}

struct loop_signal *
loop_signal_new(
    struct loop *l, int signo, void (*fn)(void *arg), void *arg, struct err *e)
{
	struct loop_signal *s = own_alloc(sizeof(*s));
	s->fn = fn;
	s->arg = arg;
	evsignal_assign(&s->ev, l->base, signo, on_signal, s);
	if (evsignal_add(&s->ev, NULL) == 0)
		return s;
	free(s);
	err_set(e, ERR_INTERNAL, "signal %d cannot be watched", signo);
	return NULL;
}

void
loop_signal_free(struct loop_signal *s)
{
	if (!s)
		return;
	evsignal_del(&s->ev);
	free(s);
}

/* --- other threads --- */

static void
on_wake(void *arg, unsigned ready)
{
	(void)ready;
	struct loop_wake *w = arg;
	uint64_t n;
	if (read(w->fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		w->fn(w->arg);
}

struct loop_wake *
loop_wake_new(struct loop *l, void (*fn)(void *arg), void *arg, struct err *e)
{
	auto_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		err_sys(e, ERR_INTERNAL, "eventfd");
		return NULL;
	}
	struct loop_wake *w = own_alloc(sizeof(*w));
	w->fn = fn;
	w->arg = arg;
	w->watch = loop_fd_new(l, fd, on_wake, w);
	if (loop_fd_watch(w->watch, LOOP_READ, e)) {
		loop_fd_free(w->watch);
		free(w);
		return NULL;
	}
	w->fd = TAKE_FD(fd);
	return w;
}

void
loop_wake_post(struct loop_wake *w)
{
	uint64_t one = 1;
	ssize_t ignored =
	    write(w->fd, &one, sizeof(one)); /* full means: posted already */
	(void)ignored;
}

void
loop_wake_free(struct loop_wake *w)
{
	if (!w)
		return;
	loop_fd_free(w->watch);
	close(w->fd);
	free(w);
}
