/*
 * Children: what they inherit, how they end, what is left of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../test.h"

#include "base/buf.h"
#include "io/loop.h"
#include "io/proc.h"

struct rig {
	struct loop *loop;
	struct proc *p;
	struct proc_exit x;
	unsigned exits;
};

static void
on_exit_(void *arg, const struct proc_exit *x)
{
	struct rig *r = arg;
	r->exits++;
	r->x = *x;
}

static void
start(struct rig *r, const char *const *argv, unsigned flags, const struct proc_fd *fds,
    size_t n)
{
	struct err e;
	struct proc_spec spec = {
	    .file = argv[0], .argv = argv, .flags = flags, .fds = fds, .nfds = n};
	*r = (struct rig){.loop = loop_new(&clock_system, &e)};
	assert_non_null(r->loop);
	assert_ok(proc_start(r->loop, &spec, on_exit_, r, &r->p, &e), &e);
}

static void
finish(struct rig *r)
{
	struct err e;
	for (int i = 0; i < 100 && !r->exits; i++)
		assert_ok(loop_turn(r->loop, 100, &e), &e);
	assert_int_equal(r->exits, 1);
}

static void
rig_close(struct rig *r)
{
	proc_free(r->p);
	loop_free(r->loop);
}

static void
slurp(int fd, struct buf *out)
{
	uint8_t b[4096];
	for (int i = 0; i < 500; i++) {
		ssize_t n = read(fd, b, sizeof(b));
		if (n == 0)
			return;
		if (n > 0)
			buf_put(out, b, (size_t)n);
		else
			usleep(10 * 1000);
	}
	fail_msg("no end of output");
}

#define SH(script) ((const char *const[]){"sh", "-c", script, NULL})

static void
an_exit_is_told_once_with_its_reason(void **state)
{
	(void)state;
	struct rig r;
	start(&r, SH("exit 3"), 0, NULL, 0);
	finish(&r);
	assert_int_equal(r.x.code, 3);
	assert_string_equal(r.x.text, "exit status 3");
	proc_kill(r.p, SIGKILL);
	rig_close(&r);
	start(&r, SH("kill -SYS $$"), 0, NULL, 0);
	finish(&r);
	assert_int_equal(r.x.code, -1);
	assert_int_equal(r.x.signal, SIGSYS);
	assert_string_equal(r.x.text, "killed by SIGSYS (jail)");
	rig_close(&r);
}

static void
a_program_that_is_not_there_fails_at_once(void **state)
{
	(void)state;
	struct err e;
	struct loop *l = loop_new(&clock_system, &e);
	struct proc *p = NULL;
	struct proc_spec spec = {
	    .file = "no-such-program-here", .argv = (const char *const[]){"x", NULL}};
	assert_fails(proc_start(l, &spec, on_exit_, NULL, &p, &e), &e, NOT_FOUND);
	assert_non_null(strstr(e.text, "no-such-program-here"));
	assert_null(p);
	loop_free(l);
}

static void
pipes_carry_stdin_stdout_and_stderr(void **state)
{
	(void)state;
	struct rig r;
	auto_buf out = BUF_INIT(4096);
	auto_buf err = BUF_INIT(4096);
	start(&r, SH("cat; echo oops >&2"), PROC_STDIN | PROC_STDOUT | PROC_STDERR, NULL,
	    0);
	int in = proc_fd_of(r.p, PROC_STDIN);
	assert_true(fcntl(in, F_GETFL) & O_NONBLOCK);
	assert_int_equal(write(in, "hello", 5), 5);
	proc_close_fd(r.p, PROC_STDIN);
	slurp(proc_fd_of(r.p, PROC_STDOUT), &out);
	slurp(proc_fd_of(r.p, PROC_STDERR), &err);
	assert_string_equal(buf_text(&out), "hello");
	assert_string_equal(buf_text(&err), "oops\n");
	finish(&r);
	rig_close(&r);
}

static void
descriptors_come_at_their_numbers_and_no_others(void **state)
{
	(void)state;
	struct rig r;
	auto_buf out = BUF_INIT(4096);
	int a[2], b[2];
	assert_int_equal(pipe(a), 0); /* not close-on-exec: still not inherited */
	assert_int_equal(pipe(b), 0);
	int leak = fcntl(a[0], F_DUPFD, 50);
	/* crossed on purpose: each source stands where the other is to go */
	struct proc_fd fds[] = {{a[1], b[1]}, {b[1], a[1]}};
	char script[200];
	snprintf(script, sizeof(script),
	    "echo A >&%d; echo B >&%d; ls /proc/self/fd | wc -l", b[1], a[1]);
	start(&r, SH(script), PROC_STDOUT, fds, 2);
	slurp(proc_fd_of(r.p, PROC_STDOUT), &out);
	finish(&r);
	char c;
	assert_int_equal(read(a[0], &c, 1), 1);
	assert_int_equal(c, 'A');
	assert_int_equal(read(b[0], &c, 1), 1);
	assert_int_equal(c, 'B');
	/* 0 1 2, the two, and what ls opened */
	assert_string_equal(buf_text(&out), "6\n");
	close(leak);
	for (int i = 0; i < 2; i++) {
		close(a[i]);
		close(b[i]);
	}
	rig_close(&r);
}

static void
the_environment_and_signals_are_clean(void **state)
{
	(void)state;
	struct rig r;
	auto_buf out = BUF_INIT(4096);
	setenv("MUSTER_SECRET", "must not leak", 1);
	start(&r, SH("env; grep SigIgn /proc/self/status"), PROC_STDOUT, NULL, 0);
	slurp(proc_fd_of(r.p, PROC_STDOUT), &out);
	assert_null(strstr(buf_text(&out), "MUSTER_SECRET"));
	assert_non_null(strstr(buf_text(&out), "PATH="));
	assert_non_null(
	    strstr(buf_text(&out), "SigIgn:\t0000000000000000")); /* SIGPIPE too */
	finish(&r);
	rig_close(&r);
}

static void
a_group_is_killed_as_a_whole(void **state)
{
	(void)state;
	struct rig r;
	auto_buf out = BUF_INIT(4096);
	start(&r, SH("sleep 100 & echo $!; wait"), PROC_STDOUT | PROC_GROUP, NULL, 0);
	char pid[32] = "";
	for (int i = 0; i < 500 && !strchr(pid, '\n'); i++) {
		ssize_t n = read(proc_fd_of(r.p, PROC_STDOUT), pid, sizeof(pid) - 1);
		pid[n > 0 ? n : 0] = '\0';
		usleep(10 * 1000);
	}
	proc_kill(r.p, SIGTERM);
	finish(&r);
	assert_string_equal(r.x.text, "killed by SIGTERM");
	slurp(proc_fd_of(r.p, PROC_STDOUT), &out); /* ends: the grandchild held it open */
	rig_close(&r);
}

static void
freeing_kills_and_reaps(void **state)
{
	(void)state;
	struct rig r;
	start(&r, SH("exec sleep 100"), 0, NULL, 0);
	pid_t pid = proc_pid(r.p);
	rig_close(&r);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(r.exits, 0);
}

static void
a_child_dies_with_its_parent(void **state)
{
	(void)state;
	int out[2];
	assert_int_equal(pipe(out), 0);
	pid_t middle = fork();
	if (middle == 0) {
		struct rig r;
		struct proc_fd fd = {out[1], 3};
		start(&r, SH("exec sleep 100"), 0, &fd, 1);
		_exit(0);
	}
	close(out[1]);
	waitpid(middle, NULL, 0);
	char c;
	assert_int_equal(
	    read(out[0], &c, 1), 0); /* the last holder of the pipe is gone */
	close(out[0]);
}

static void
without_a_file_this_program_is_started_again(void **state)
{
	(void)state;
	struct err e;
	struct rig r = {.loop = loop_new(&clock_system, &e)};
	struct proc_spec spec = {.argv = (const char *const[]){"role", "again", NULL}};
	assert_ok(proc_start(r.loop, &spec, on_exit_, &r, &r.p, &e), &e);
	finish(&r);
	assert_int_equal(r.x.code, 42);
	rig_close(&r);
}

int
main(int argc, char **argv)
{
	if (argc > 1) /* started again by the test below */
		return strcmp(argv[1], "again") == 0 ? 42 : 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_exit_is_told_once_with_its_reason),
	    cmocka_unit_test(a_program_that_is_not_there_fails_at_once),
	    cmocka_unit_test(pipes_carry_stdin_stdout_and_stderr),
	    cmocka_unit_test(descriptors_come_at_their_numbers_and_no_others),
	    cmocka_unit_test(the_environment_and_signals_are_clean),
	    cmocka_unit_test(a_group_is_killed_as_a_whole),
	    cmocka_unit_test(freeing_kills_and_reaps),
	    cmocka_unit_test(a_child_dies_with_its_parent),
	    cmocka_unit_test(without_a_file_this_program_is_started_again),
	};
	return cmocka_run_group_tests_name("io/proc", tests, NULL, NULL);
}
