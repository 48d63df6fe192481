#ifndef IO_LOOP_H
#define IO_LOOP_H
/*
 * The event loop, one a process, never touched from a second thread (loop_wake_post
 * aside). A turn = wait, dispatch every event that is ready, then run the tasks queued
 * for the end of the turn: first LOOP_COMMIT (the core ends its transaction), then
 * LOOP_FLUSH (what the commit released is written). A handle may be freed from any
 * callback, its own included; after free or cancel its callback is not called again.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/list.h"
#include "base/own.h"

struct event_base;
struct loop;

/* Borrows clock for its life. Ignores SIGPIPE in the whole process. */
struct loop *loop_new(const struct clock *clock, struct err *e);
/* Every handle made on the loop must have been freed before. */
void loop_free(struct loop *l);
own_define(struct loop, loop_free);

/* Runs turns until loop_stop, also when nothing is left to wait for. */
must_check int loop_run(struct loop *l, struct err *e);
/* One turn that waits at most max_ms (-1: as long as it takes). For tests and tools. */
must_check int loop_turn(struct loop *l, int64_t max_ms, struct err *e);
/* Ends loop_run after the turn under way, its end tasks included. */
void loop_stop(struct loop *l);
const struct clock *loop_clock(const struct loop *l);
/* Monotonic milliseconds of the loop's clock. */
int64_t loop_now_ms(const struct loop *l);
/* On a clock that is not the machine's, timers fire only here: call it after moving the
 * clock. */
void loop_clock_moved(struct loop *l);
struct event_base *loop_base(struct loop *l); /* for src/io only */

/* Timers, on the monotonic clock. Starting a started timer moves it. */
struct loop_timer;
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_start(struct loop_timer *t, int64_t after_ms); /* once */
void loop_timer_repeat(
    struct loop_timer *t, int64_t every_ms); /* > 0; first after every_ms */
void loop_timer_cancel(struct loop_timer *t);
bool loop_timer_is_started(const struct loop_timer *t);
void loop_timer_free(struct loop_timer *t);
own_define(struct loop_timer, loop_timer_free);

/* Descriptors. Level triggered. The descriptor stays its owner's and is closed after
 * free. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_fd;
struct loop_fd *loop_fd_new(
    struct loop *l, int fd, void (*fn)(void *arg, unsigned ready), void *arg);
/* what: LOOP_READ | LOOP_WRITE, 0 to rest. Fails where epoll refuses the descriptor. */
must_check int loop_fd_watch(struct loop_fd *f, unsigned what, struct err *e);
void loop_fd_free(struct loop_fd *f);
own_define(struct loop_fd, loop_fd_free);

/* Signals, delivered as events of a turn. */
struct loop_signal;
struct loop_signal *loop_signal_new(
    struct loop *l, int signo, void (*fn)(void *arg), void *arg, struct err *e);
void loop_signal_free(struct loop_signal *s);
own_define(struct loop_signal, loop_signal_free);

/* Tasks for the end of this turn (of the next, when queued between turns). A task runs
 * once a queueing; one queued while the end runs still runs in it. Embedded. */
enum loop_phase { LOOP_COMMIT, LOOP_FLUSH, LOOP_PHASES };
struct loop_task {
	struct list node; /* the loop's */
	void (*fn)(void *arg);
	void *arg;
};
/* Harmless when it is queued already. */
void loop_defer(struct loop *l, enum loop_phase phase, struct loop_task *t);
void loop_defer_cancel(struct loop_task *t);

/* The one door for other threads: posts from any thread (or a signal handler) are merged,
 * and fn runs in the loop at least once after the last of them. */
struct loop_wake;
struct loop_wake *loop_wake_new(
    struct loop *l, void (*fn)(void *arg), void *arg, struct err *e);
void loop_wake_post(struct loop_wake *w);
void loop_wake_free(struct loop_wake *w);
own_define(struct loop_wake, loop_wake_free);

#endif
