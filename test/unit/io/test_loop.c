/*
 * Turns, timers on both kinds of clock, and freeing from within callbacks.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "../test.h"

#include "io/loop.h"

static char order[64];

static void
mark(char c)
{
	size_t n = strlen(order);
	order[n] = c;
	order[n + 1] = '\0';
}

static struct loop *
fresh(const struct clock *c)
{
	struct err e;
	order[0] = '\0';
	struct loop *l = loop_new(c, &e);
	assert_non_null(l);
	return l;
}

struct tasks {
	struct loop *loop;
	struct loop_task commit, flush, late;
};

static void
on_late(void *arg)
{
	(void)arg;
	mark('l');
}

static void
on_commit(void *arg)
{
	struct tasks *t = arg;
	mark('c');
	loop_defer(t->loop, LOOP_COMMIT, &t->late);
}

static void
on_flush(void *arg)
{
	(void)arg;
	mark('f');
}

static void
on_event(void *arg)
{
	struct tasks *t = arg;
	mark('e');
	loop_defer(t->loop, LOOP_FLUSH, &t->flush);
	loop_defer(t->loop, LOOP_COMMIT, &t->commit);
	loop_defer(t->loop, LOOP_COMMIT, &t->commit);
}

static void
loop_runs_commit_then_flush_after_all_events_of_a_turn(void **state)
{
	(void)state;
	struct err e;
	struct tasks t = {.loop = fresh(&clock_system)};
	t.commit = (struct loop_task){.fn = on_commit, .arg = &t};
	t.late = (struct loop_task){.fn = on_late};
	t.flush = (struct loop_task){.fn = on_flush};
	struct loop_timer *a = loop_timer_new(t.loop, on_event, &t);
	struct loop_timer *b = loop_timer_new(t.loop, on_event, &t);
	loop_timer_start(a, 0);
	loop_timer_start(b, 0);
	usleep(2000);
	assert_ok(loop_turn(t.loop, 1000, &e), &e);
	assert_string_equal(order, "eeclf");
	loop_timer_free(a);
	loop_timer_free(b);
	loop_free(t.loop);
}

struct self_freed {
	struct loop_timer *timer;
	struct loop_fd *fd;
};

static void
on_free_timer(void *arg)
{
	struct self_freed *s = arg;
	mark('t');
	loop_timer_free(s->timer);
}

static void
on_free_fd(void *arg, unsigned ready)
{
	struct self_freed *s = arg;
	assert_int_equal(ready, LOOP_READ);
	mark('r');
	loop_fd_free(s->fd);
}

static void
handles_may_be_freed_in_their_own_callback(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = fresh(&clock_system);
	struct self_freed s;
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(write(p[1], "x", 1), 1);
	s.timer = loop_timer_new(l, on_free_timer, &s);
	loop_timer_repeat(s.timer, 1);
	s.fd = loop_fd_new(l, p[0], on_free_fd, &s);
	assert_ok(loop_fd_watch(s.fd, LOOP_READ, &e), &e);
	for (int i = 0; i < 3; i++)
		assert_ok(loop_turn(l, 5, &e), &e);
	assert_true(strcmp(order, "rt") == 0 || strcmp(order, "tr") == 0);
	close(p[0]);
	close(p[1]);
	loop_free(l);
}

static void
on_tick(void *arg)
{
	(void)arg;
	mark('t');
}

static void
timers_on_a_fake_clock_fire_only_when_it_moves(void **state)
{
	(void)state;
	struct err e;
	struct clock c = clock_fake(1000);
	struct loop *l = fresh(&c);
	struct loop_timer *once = loop_timer_new(l, on_tick, NULL);
	struct loop_timer *every = loop_timer_new(l, on_tick, NULL);
	loop_timer_start(once, 100);
	loop_timer_repeat(every, 60000);
	assert_ok(loop_turn(l, 1, &e), &e);
	assert_string_equal(order, "");
	c.skew_ms += 99;
	loop_clock_moved(l);
	assert_string_equal(order, "");
	c.skew_ms += 1;
	loop_clock_moved(l);
	assert_string_equal(order, "t");
	assert_false(loop_timer_is_started(once));
	c.skew_ms += 3600000;
	loop_clock_moved(l);
	assert_string_equal(order, "tt");
	assert_true(loop_timer_is_started(every));
	loop_timer_free(once);
	loop_timer_free(every);
	loop_free(l);
}

static void
a_cancelled_timer_does_not_fire_even_when_it_was_due(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = fresh(&clock_system);
	struct loop_timer *t = loop_timer_new(l, on_tick, NULL);
	loop_timer_start(t, 0);
	usleep(2000);
	loop_timer_cancel(t);
	assert_ok(loop_turn(l, 5, &e), &e);
	assert_string_equal(order, "");
	loop_timer_free(t);
	loop_free(l);
}

static void
on_stop(void *arg)
{
	mark('s');
	loop_stop(arg);
}

static void *
post(void *arg)
{
	loop_wake_post(arg);
	loop_wake_post(arg);
	return NULL;
}

static void
a_post_from_another_thread_wakes_the_loop(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = fresh(&clock_system);
	struct loop_wake *w = loop_wake_new(l, on_stop, l, &e);
	assert_non_null(w);
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, post, w), 0);
	assert_ok(loop_run(l, &e), &e);
	pthread_join(t, NULL);
	assert_int_equal(order[0], 's');
	loop_wake_free(w);
	loop_free(l);
}

static void
a_signal_is_an_event_of_the_loop(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = fresh(&clock_system);
	struct loop_signal *s = loop_signal_new(l, SIGUSR1, on_stop, l, &e);
	assert_non_null(s);
	raise(SIGUSR1);
	assert_ok(loop_run(l, &e), &e);
	assert_string_equal(order, "s");
	loop_signal_free(s);
	loop_free(l);
}

static void
watching_a_regular_file_fails_with_its_descriptor(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = fresh(&clock_system);
	FILE *f = tmpfile();
	struct loop_fd *w = loop_fd_new(l, fileno(f), on_free_fd, NULL);
	assert_fails(loop_fd_watch(w, LOOP_READ, &e), &e, INTERNAL);
	loop_fd_free(w);
	fclose(f);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(loop_runs_commit_then_flush_after_all_events_of_a_turn),
	    cmocka_unit_test(handles_may_be_freed_in_their_own_callback),
	    cmocka_unit_test(timers_on_a_fake_clock_fire_only_when_it_moves),
	    cmocka_unit_test(a_cancelled_timer_does_not_fire_even_when_it_was_due),
	    cmocka_unit_test(a_post_from_another_thread_wakes_the_loop),
	    cmocka_unit_test(a_signal_is_an_event_of_the_loop),
	    cmocka_unit_test(watching_a_regular_file_fails_with_its_descriptor),
	};
	return cmocka_run_group_tests_name("io/loop", tests, NULL, NULL);
}
