/*
 * Starting and reaping children. Between fork and exec only async-signal-safe calls are
 * made; everything that allocates is done before.
 */
#include "io/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/loop.h"

enum { FDS_MAX = 64, ENV_MAX = 64, STDS = 3 };

struct proc {
	pid_t pid;
	int pidfd;
	struct loop_fd *watch;
	void (*on_exit)(void *arg, const struct proc_exit *x);
	void *arg;
	bool is_group, is_reaped;
	int ours[STDS]; /* our ends of the pipes, -1 for none */
};

static const unsigned std_flags[STDS] = {PROC_STDIN, PROC_STDOUT, PROC_STDERR};

/* What the child needs to know, made before fork. */
struct plan {
	const struct proc_spec *spec;
	const char *file;
	const char *const *env;
	pid_t parent;
	int std[STDS]; /* the child's ends, -1: as it is */
	int error;     /* where the child reports errno; closed by a successful exec */
};

/* --- the child's side of fork --- */

static void
reset_signals(void)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	for (int i = 1; i < NSIG; i++)
		sigaction(i, &dfl, NULL); /* fails for KILL, STOP and glibc's own */
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Every descriptor from 3 on will be closed by exec; what is passed is put back after
 * this. */
static void
close_on_exec_all(void)
{
	if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) == 0)
		return;
	for (int fd = 3; fd < 65536; fd++) /* a kernel before 5.11 */
		fcntl(fd, F_SETFD, FD_CLOEXEC);
}

/* Moves all sources out of the way of all targets first: any permutation works. */
static int
place_fds(struct plan *p)
{
	int from[FDS_MAX + STDS], to[FDS_MAX + STDS], n = 0, above = 3;
	for (size_t i = 0; i < p->spec->nfds; i++, n++) {
		from[n] = p->spec->fds[i].from;
		to[n] = p->spec->fds[i].to;
		above = to[n] >= above ? to[n] + 1 : above;
	}
	for (int i = 0; i < STDS; i++) {
		if (p->std[i] < 0)
			continue;
		from[n] = p->std[i];
		to[n++] = i;
	}
	p->error = fcntl(p->error, F_DUPFD_CLOEXEC, above);
	for (int i = 0; i < n; i++)
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, above);
	close_on_exec_all();
	for (int i = 0; i < n; i++)
		if (from[i] < 0 || dup2(from[i], to[i]) < 0)
			return -1;
	return 0;
}

static void
become_child(struct plan *p)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != p->parent)
		_exit(127); /* it died before the line above */
	if (p->spec->flags & PROC_GROUP)
		setpgid(0, 0);
	reset_signals();
	if (place_fds(p) == 0)
		execvpe(p->file, (char *const *)(uintptr_t)p->spec->argv,
		    (char *const *)(uintptr_t)p->env);
	int why = errno;
	ssize_t ignored = write(p->error, &why, sizeof(why));
	(void)ignored;
	_exit(127);
}

/* --- the parent's --- */

static void
default_env(const char *env[ENV_MAX])
{
	/* the last three mean something in a build with sanitizers alone */
	static const char *const names[] = {"PATH=", "HOME=", "LANG=", "TZ=", "TERM=",
	    "ASAN_OPTIONS=", "LSAN_OPTIONS=", "UBSAN_OPTIONS="};
	size_t n = 0;
	for (char **it = environ; *it && n < ENV_MAX - 1; it++)
		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strncmp(*it, names[i], strlen(names[i])) == 0)
				env[n++] = *it;
	env[n] = NULL;
}

static int
open_pipe(struct proc *p, struct plan *plan, int i, int null, struct err *e)
{
	bool piped = plan->spec->flags & std_flags[i];
	if (!piped) {
		plan->std[i] = i == STDERR_FILENO ? -1 : fcntl(null, F_DUPFD_CLOEXEC, 3);
		return 0;
	}
	int fds[2];
	if (pipe2(fds, O_CLOEXEC))
		return err_sys(e, ERR_IO, "%s: pipe", plan->file);
	int ours = i == STDIN_FILENO ? 1 : 0;
	p->ours[i] = fds[ours];
	plan->std[i] = fds[!ours];
	if (fcntl(p->ours[i], F_SETFL, O_NONBLOCK))
		return err_sys(e, ERR_IO, "%s: pipe", plan->file);
	return 0;
}

/* Waits for the child to exec, which closes the pipe, or to say why it cannot. */
static int
await_exec(int error, const char *file, struct err *e)
{
	int why = 0;
	ssize_t n;
	while ((n = read(error, &why, sizeof(why))) < 0 && errno == EINTR)
		;
	if (n == 0)
		return 0;
	errno = why;
	return err_sys(e, why == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: start", file);
}

static int
fork_child(struct proc *p, struct plan *plan, struct err *e)
{
	int error[2];
	if (pipe2(error, O_CLOEXEC))
		return err_sys(e, ERR_IO, "%s: pipe", plan->file);
	plan->error = error[1];
	plan->parent = getpid();
	p->pid = fork();
	if (p->pid == 0)
		become_child(plan);
	close(error[1]);
	int ret = p->pid < 0 ? err_sys(e, ERR_IO, "%s: fork", plan->file)
			     : await_exec(error[0], plan->file, e);
	close(error[0]);
	return ret;
}

static void
describe(int status, struct proc_exit *x)
{
	x->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	x->code = x->signal ? -1 : WEXITSTATUS(status);
	const char *name = x->signal ? sigabbrev_np(x->signal) : NULL;
	if (!x->signal)
		snprintf(x->text, sizeof(x->text), "exit status %d", x->code);
	else
		snprintf(x->text, sizeof(x->text), "killed by SIG%s%s", name ? name : "?",
		    x->signal == SIGSYS ? " (jail)" : "");
}

static void
on_pidfd(void *arg, unsigned ready)
{
	(void)ready;
	struct proc *p = arg;
	int status;
	pid_t n = waitpid(p->pid, &status, WNOHANG);
	if (n == 0 || (n < 0 && errno == EINTR))
		return;
	p->is_reaped = true;
	loop_fd_free(TAKE(p->watch));
	struct proc_exit x;
	describe(n < 0 ? 0 : status, &x);
	p->on_exit(p->arg, &x);
}

static int
watch(struct loop *l, struct proc *p, const char *file, struct err *e)
{
	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return err_sys(e, ERR_UNSUPPORTED, "%s: pidfd (Linux 5.3)", file);
	p->watch = loop_fd_new(l, p->pidfd, on_pidfd, p);
	return loop_fd_watch(p->watch, LOOP_READ, e);
}

static int
start(struct loop *l, struct proc *p, struct plan *plan, struct err *e)
{
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return err_sys(e, ERR_IO, "/dev/null");
	for (int i = 0; i < STDS; i++)
		if (open_pipe(p, plan, i, null, e))
			return -1;
	if (fork_child(p, plan, e))
		return -1;
	return watch(l, p, plan->file, e);
}

int
proc_start(struct loop *l, const struct proc_spec *spec,
    void (*on_exit)(void *arg, const struct proc_exit *x), void *arg, struct proc **ret,
    struct err *e)
{
	const char *env[ENV_MAX];
	default_env(env);
	struct plan plan = {
	    .spec = spec,
	    .file = spec->file ? spec->file : "/proc/self/exe",
	    .env = spec->env ? spec->env : env,
	    .std = {-1, -1, -1},
	};
	if (spec->nfds > FDS_MAX)
		return err_set(
		    e, ERR_LIMIT, "%s: more than %d descriptors", plan.file, FDS_MAX);
	struct proc *p = own_alloc(sizeof(*p));
	*p = (struct proc){
	    .pidfd = -1,
	    .on_exit = on_exit,
	    .arg = arg,
	    .is_group = spec->flags & PROC_GROUP,
	    .ours = {-1, -1, -1},
	};
	int failed = start(l, p, &plan, e);
	for (int i = 0; i < STDS; i++)
		own_close(&plan.std[i]);
	if (failed) {
		proc_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

static int
index_of(unsigned which)
{
	int i = 0;
	while (i < STDS - 1 && std_flags[i] != which)
		i++;
	return i;
}

int
proc_fd_of(const struct proc *p, unsigned which)
{
	return p->ours[index_of(which)];
}

void
proc_close_fd(struct proc *p, unsigned which)
{
	own_close(&p->ours[index_of(which)]);
}

pid_t
proc_pid(const struct proc *p)
{
	return p->pid;
}

void
proc_kill(struct proc *p, int signo)
{
	/* not reaped, so the number is still the child's */
	if (p->pid > 0 && !p->is_reaped)
		kill(p->is_group ? -p->pid : p->pid, signo);
}

void
proc_free(struct proc *p)
{
	if (!p)
		return;
	proc_kill(p, SIGKILL);
	if (p->pid > 0 && !p->is_reaped)
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	loop_fd_free(p->watch);
	own_close(&p->pidfd);
	for (int i = 0; i < STDS; i++)
		own_close(&p->ours[i]);
	free(p);
}
