/*
 * Background processes of the lab.
 */
#include "lab/daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/num.h"
#include "io/file.h"

#define STEP_MS     20
#define ARGS_MAX    16
#define CMDLINE_MAX 8192
#define SWEEP_MS    5000

static void
nap(void)
{
	usleep(STEP_MS * 1000);
}

/* ---- starting ---- */

/* Between fork and exec: async-signal-safe calls only. */
static void
become(const char *self, char *const *argv, int log, int null)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (setsid() >= 0 && dup2(null, 0) == 0 && dup2(log, 1) == 1 && dup2(log, 2) == 2)
		execv(self, argv);
	_exit(127);
}

static int
write_pid(const char *pid_file, pid_t pid, struct err *e)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%d\n", (int)pid);
	return file_write(pid_file, span_of(text, (size_t)n), 0600, e);
}

int
daemon_start(const char *const *args, const char *log_file, const char *pid_file,
    pid_t *ret_pid, struct err *e)
{
	char self[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return err_sys(e, ERR_IO, "/proc/self/exe");
	self[len] = '\0';
	auto_fd int log = open(log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (log < 0 || null < 0)
		return err_sys(e, ERR_IO, "%s", log_file);
	const char *argv[ARGS_MAX] = {self};
	for (size_t i = 0; args[i] && i < ARGS_MAX - 2; i++)
		argv[i + 1] = args[i];
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(e, ERR_IO, "fork");
	if (pid == 0)
		become(self, (char *const *)(uintptr_t)argv, log, null);
	if (write_pid(pid_file, pid, e)) {
		kill(pid, SIGKILL);
		return -1;
	}
	*ret_pid = pid;
	return 0;
}

bool
daemon_has_ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

/* ---- finding ---- */

static struct span
name_of(pid_t pid, char name[32])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, name, 32);
	return span_trim(span_of(name, n > 0 ? (size_t)n : 0));
}

static bool
has_our_name(pid_t pid)
{
	char theirs[32], ours[32];
	struct span name = name_of(pid, theirs);
	return name.len && span_eq(name, name_of(getpid(), ours));
}

static bool
runs_our_program(pid_t pid)
{
	char path[64], theirs[PATH_MAX], ours[PATH_MAX];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t a = readlink(path, theirs, sizeof(theirs));
	/* a jailed process shows an ordinary user, its own, no more than its name */
	if (a < 0 && errno == EACCES)
		return has_our_name(pid);
	ssize_t b = readlink("/proc/self/exe", ours, sizeof(ours));
	if (a <= 0 || b <= 0)
		return false;
	/* after a new build the old program's link ends in " (deleted)" */
	return a >= b && memcmp(theirs, ours, (size_t)b) == 0;
}

pid_t
daemon_find(const char *pid_file)
{
	auto_buf text = BUF_INIT(64);
	struct err e;
	int64_t pid;
	if (!file_exists(pid_file) || file_read(pid_file, &text, &e) ||
	    !num_ok(span_trim(buf_span(&text)), 2, INT32_MAX, &pid))
		return 0;
	waitpid((pid_t)pid, NULL, WNOHANG); /* where it is our child and has ended */
	return runs_our_program((pid_t)pid) ? (pid_t)pid : 0;
}

/* ---- stopping ---- */

static bool
is_gone_within(const char *pid_file, int64_t ms)
{
	int64_t until = clock_mono_ms(&clock_system) + ms;
	while (daemon_find(pid_file)) {
		if (clock_mono_ms(&clock_system) >= until)
			return false;
		nap();
	}
	return true;
}

int
daemon_stop(const char *pid_file, int64_t grace_ms, struct err *e)
{
	pid_t pid = daemon_find(pid_file);
	if (pid) {
		kill(pid, SIGTERM);
		if (!is_gone_within(pid_file, grace_ms))
			kill(-pid,
			    SIGKILL); /* the leader of its session, so of its group */
		if (!is_gone_within(pid_file, grace_ms))
			return err_set(
			    e, ERR_TIMEOUT, "process %d does not end", (int)pid);
	}
	return file_remove(pid_file, e);
}

/* What a lab leaves: sshd, and the session that it became. Whoever else names the
 * directory (an editor, a pager, a shell's script) is not ours to kill. */
static bool
is_of_lab(pid_t pid)
{
	char name[32];
	struct span s = name_of(pid, name);
	return span_starts(s, SPAN_LIT("sshd")) || span_eq_str(s, "muster-agent");
}

static bool
mentions(pid_t pid, const char *dir)
{
	char path[64], text[CMDLINE_MAX];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	return n > 0 && memmem(text, (size_t)n, dir, strlen(dir));
}

/* Kills every process of a lab that names dir; how many there were. */
static int
sweep_once(const char *dir)
{
	int n = 0;
	DIR *proc = opendir("/proc");
	for (struct dirent *d; proc && (d = readdir(proc));) {
		int64_t pid;
		if (!num_ok(span_str(d->d_name), 2, INT32_MAX, &pid) || pid == getpid() ||
		    pid == getppid() || !is_of_lab((pid_t)pid) ||
		    !mentions((pid_t)pid, dir))
			continue;
		n += kill((pid_t)pid, SIGKILL) == 0;
	}
	if (proc)
		closedir(proc);
	return n;
}

int
daemon_sweep(const char *dir)
{
	int64_t until = clock_mono_ms(&clock_system) + SWEEP_MS;
	int first = sweep_once(dir);
	for (int left = first; left && clock_mono_ms(&clock_system) < until;
	     left = sweep_once(dir))
		nap();
	return first;
}

void
daemon_last_words(const char *log_file, char *out, size_t size)
{
	auto_buf text = BUF_INIT(64 * 1024 * 1024);
	struct err e;
	out[0] = '\0';
	if (file_read(log_file, &text, &e))
		return;
	struct span all = span_trim(buf_span(&text));
	size_t line = span_rfind(all, '\n');
	struct span last = line < all.len ? span_skip(all, line + 1) : all;
	snprintf(out, size, "%.*s", SPAN_FMT(last));
}
