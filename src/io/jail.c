/*
 * Entering jails: limits, landlock, user, capabilities, seccomp, in the order in which
 * each still has the rights it needs. What is allowed is in jail_calls.c.
 */
#include "io/jail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/own.h"
#include "io/jail_calls.h"
#include "io/jail_san.h"

static char text[JAIL_TEXT];

struct kind {
	const char *name;
	rlim_t file_max;  /* RLIMIT_FSIZE: a runaway file ends here, not at a full disk */
	bool no_children; /* RLIMIT_NPROC 0; threads count as processes there */
	bool no_net;      /* landlock: no TCP bind or connect */
	bool keeps_caps;
};

#define GIB (UINT64_C(1) << 30)
static const struct kind kinds[JAIL_KINDS] = {
    [JAIL_MAIN] = {"main", RLIM_INFINITY, false, false, true},
    [JAIL_EDGE] = {"edge", 16 * GIB, true, true, false}, /* its log, at most */
    [JAIL_CORE] = {"core", 1024 * GIB, true, true, false},
    [JAIL_SIGNER] = {"signer", 64 * GIB, false, true, false},
    [JAIL_KEYD] = {"keyd", 16 * GIB, false, false, false},
    [JAIL_HOOKD] = {"hookd", 16 * GIB, false, false, false},
};

const char *
jail_name(enum jail_kind kind)
{
	return kinds[kind].name;
}

const char *
jail_describe(void)
{
	return text;
}

static void note(const char *fmt, ...) printf_like(1, 2);

static void
note(const char *fmt, ...)
{
	size_t len = strlen(text);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text + len, sizeof(text) - len, fmt, ap);
	va_end(ap);
}

static int
check_single_thread(struct err *e)
{
	DIR *d = opendir("/proc/self/task");
	if (!d)
		return err_sys(e, ERR_IO, "jail: /proc/self/task");
	int n = 0;
	for (struct dirent *it; (it = readdir(d));)
		n += it->d_name[0] != '.';
	closedir(d);
	if (n != 1)
		return err_set(e, ERR_INTERNAL, "jail: %d threads run already", n);
	return 0;
}

/* --- limits --- */

static int
limit(int what, const char *name, rlim_t most, struct err *e)
{
	struct rlimit l;
	if (getrlimit(what, &l))
		return err_sys(e, ERR_INTERNAL, "jail: %s", name);
	if (most > l.rlim_max && what == RLIMIT_NOFILE && geteuid() != 0)
		return err_set(e, ERR_PERM,
		    "jail: %ju descriptors wanted, %ju allowed: raise LimitNOFILE "
		    "(ulimit -Hn)",
		    (uintmax_t)most, (uintmax_t)l.rlim_max);
	if (most > l.rlim_max && what != RLIMIT_NOFILE)
		most = l.rlim_max;
	l = (struct rlimit){most, most};
	if (setrlimit(what, &l))
		return err_sys(e, ERR_INTERNAL, "jail: %s", name);
	return 0;
}

static int
set_limits(const struct kind *k, const struct jail_opts *o, struct err *e)
{
	signal(SIGXFSZ, SIG_IGN); /* a write past the limit fails with EFBIG instead */
	if (limit(RLIMIT_CORE, "core size", 0, e) ||
	    limit(RLIMIT_FSIZE, "file size", k->file_max, e))
		return -1;
	if (o->nofile && limit(RLIMIT_NOFILE, "descriptors", o->nofile, e))
		return -1;
	note(", rlimits");
	return 0;
}

/* --- landlock (landlock(7)) ---
 *
 * By its numbers: Debian 12's header is of ABI 2. Struct fields were only ever appended,
 * and a kernel takes a longer struct whose unknown tail is zero. */

struct ruleset_attr {
	uint64_t fs, net, scoped;
};
struct path_attr {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

enum { LL_CREATE = 444, LL_ADD_RULE = 445, LL_RESTRICT = 446 };
enum { LL_VERSION = 1, LL_PATH_BENEATH = 1 };
/* execute, read file, read directory */
#define LL_FS_READ (1u << 0 | 1u << 2 | 1u << 3)

/* Rights of each ABI: 1 to 13 original, REFER (2), TRUNCATE (3), IOCTL_DEV (5). */
static uint64_t
landlock_fs(long abi)
{
	unsigned bits = abi >= 5 ? 16 : abi >= 3 ? 15 : abi >= 2 ? 14 : 13;
	return (UINT64_C(1) << bits) - 1;
}

static int
landlock_dirs(int ruleset, const char *const *dirs, uint64_t rights, struct err *e)
{
	for (; dirs && *dirs; dirs++) {
		auto_fd int fd = open(*dirs, O_PATH | O_CLOEXEC);
		struct path_attr a = {rights, fd};
		if (fd < 0 || syscall(LL_ADD_RULE, ruleset, LL_PATH_BENEATH, &a, 0))
			return err_sys(e, ERR_IO, "jail: landlock %s", *dirs);
	}
	return 0;
}

static int
enter_landlock(
    enum jail_kind kind, const struct kind *k, const struct jail_opts *o, struct err *e)
{
	bool asked = o->write || o->read;
	if ((kind == JAIL_MAIN || kind == JAIL_KEYD) && !asked)
		return 0; /* main's children inherit it; keyd's modules open what they
			     like */
	long abi = syscall(LL_CREATE, NULL, 0, LL_VERSION);
	if (abi < 1) {
		note(", no landlock (%s)", strerror(errno));
		return 0;
	}
	struct ruleset_attr a = {.fs = landlock_fs(abi)};
	if (abi >= 4 && k->no_net)
		a.net = 3; /* TCP bind, connect */
	if (abi >= 6 && k->no_net)
		a.scoped = 3; /* abstract Unix sockets, signals */
	size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
	auto_fd int set = (int)syscall(LL_CREATE, &a, size, 0);
	if (set < 0)
		return err_sys(e, ERR_INTERNAL, "jail: landlock");
	if (landlock_dirs(set, o->write, a.fs, e) ||
	    landlock_dirs(set, o->read, LL_FS_READ, e))
		return -1;
	if (syscall(LL_RESTRICT, set, 0))
		return err_sys(e, ERR_INTERNAL, "jail: landlock");
	note(", landlock abi %ld", abi);
	return 0;
}

/* --- user and capabilities --- */

static int
drop_user(const struct jail_opts *o, struct err *e)
{
	if (geteuid() != 0 || !o->uid) {
		note(", uid %u", geteuid());
		return 0;
	}
	if (setgroups(0, NULL) || setresgid(o->gid, o->gid, o->gid) ||
	    setresuid(o->uid, o->uid, o->uid))
		return err_sys(e, ERR_PERM, "jail: become user %u", o->uid);
	if (setresuid(0, 0, 0) == 0)
		return err_set(e, ERR_INTERNAL, "jail: user 0 could be taken back");
	note(", uid %u", o->uid);
	return 0;
}

static int
drop_caps(const struct kind *k, struct err *e)
{
	if (k->keeps_caps)
		return 0;
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	if (syscall(SYS_capset, &head, none))
		return err_sys(e, ERR_INTERNAL, "jail: capabilities");
	note(", no capabilities");
	return 0;
}

/* A change of user clears the signal that follows a parent's death (prctl(2)). */
static int
change_user(const struct kind *k, const struct jail_opts *o, struct err *e)
{
	int death_signal = 0;
	prctl(PR_GET_PDEATHSIG, &death_signal);
	if (drop_user(o, e) || drop_caps(k, e))
		return -1;
	if (death_signal && prctl(PR_SET_PDEATHSIG, death_signal))
		return err_sys(e, ERR_INTERNAL, "jail: parent's death");
	if (k->no_children && limit(RLIMIT_NPROC, "processes", 0, e))
		return -1;
	/* nobody of the same user attaches a debugger or reads our memory */
	if (prctl(PR_SET_DUMPABLE, 0))
		return err_sys(e, ERR_INTERNAL, "jail: dumpable");
	return 0;
}

int
jail_enter(enum jail_kind kind, const struct jail_opts *o, struct err *e)
{
	const struct kind *k = &kinds[kind];
	text[0] = '\0';
	note("%s: no_new_privs", k->name);
	if (kind != JAIL_MAIN)
		jail_san_prepare();
	if (check_single_thread(e) || set_limits(k, o, e))
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return err_sys(e, ERR_INTERNAL, "jail: no_new_privs");
	if (enter_landlock(kind, k, o, e) || change_user(k, o, e))
		return -1;
	int n = jail_calls_load(kind, e);
	if (n < 0)
		return -1;
	note(", seccomp %d calls %s", n, jail_calls_denies(kind) ? "denied" : "allowed");
	return 0;
}
