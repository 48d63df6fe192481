/*
 * The seccomp tables. Whatever a table does not allow kills the process (SIGSYS), which
 * main reports and the audit log names: "killed by SIGSYS (jail)"; the number of the call
 * is in dmesg (type=1326 ... syscall=N) and `scmp_sys_resolver N` gives its name.
 *
 * To extend: add a row below, say in its comment who needs it, and add to test_jail.c
 * what now works. Ask first whether the thing cannot be done before jail_enter. A new
 * glibc that takes another call for an old job (fstat: newfstatat, then fstat again;
 * clone3 for clone) gets a row beside the old one. A call whose dangerous half is in its
 * arguments gets a condition.
 */
#include "io/jail_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/jail_san.h"

enum { E = 1 << JAIL_EDGE, C = 1 << JAIL_CORE, S = 1 << JAIL_SIGNER, ALL = E | C | S };

struct allowed {
	int nr;
	unsigned kinds;
	/* with mask: only where (argument & mask) == value */
	unsigned arg;
	uint64_t mask, value;
};

#define ANY           0, 0, 0
#define NO_EXEC       2, PROT_EXEC, 0 /* of mmap and mprotect: memory is never code */
#define WHOLE(n, val) n, UINT32_MAX, (uint32_t)(val)
#define BY_FD(n)      n, AT_EMPTY_PATH, AT_EMPTY_PATH
/* pthread_create: everything is shared, so it is a thread and no process */
#define THREAD                                                                           \
	0, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD,             \
	    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD

static const struct allowed allowed[] = {
    /* bytes, on descriptors that are open */
    {SCMP_SYS(read), ALL, ANY},
    {SCMP_SYS(write), ALL, ANY},
    {SCMP_SYS(readv), ALL, ANY},
    {SCMP_SYS(writev), ALL, ANY},
    {SCMP_SYS(close), ALL, ANY},
    {SCMP_SYS(lseek), ALL, ANY},
    {SCMP_SYS(fcntl), ALL, WHOLE(1, F_GETFD)},
    {SCMP_SYS(fcntl), ALL, WHOLE(1, F_SETFD)},
    {SCMP_SYS(fcntl), ALL, WHOLE(1, F_GETFL)},
    {SCMP_SYS(fcntl), ALL, WHOLE(1, F_SETFL)},
    {SCMP_SYS(fcntl), ALL, WHOLE(1, F_DUPFD_CLOEXEC)}, /* ipc_send with a descriptor */
    {SCMP_SYS(fstat), ALL, ANY},
    {SCMP_SYS(newfstatat), E | S, BY_FD(3)}, /* fstat of glibc 2.33 to 2.38 */
    {SCMP_SYS(statx), ALL, BY_FD(2)},

    /* links, and the connections that main's listeners bring */
    {SCMP_SYS(sendmsg), ALL, ANY},
    {SCMP_SYS(recvmsg), ALL, ANY},
    {SCMP_SYS(sendto), ALL, ANY},
    {SCMP_SYS(recvfrom), ALL, ANY},
    {SCMP_SYS(shutdown), ALL, ANY},
    {SCMP_SYS(getsockopt), ALL, ANY},
    {SCMP_SYS(accept4), E, ANY},
    {SCMP_SYS(setsockopt), E, ANY}, /* TCP_NODELAY */
    {SCMP_SYS(getsockname), E, ANY},
    {SCMP_SYS(getpeername), E, ANY},
    {SCMP_SYS(ioctl), E, WHOLE(1, FIONREAD)}, /* evbuffer_read */
    {SCMP_SYS(ioctl), ALL, WHOLE(1, TCGETS)}, /* isatty, which stdio asks on first use */

    /* waiting */
    {SCMP_SYS(epoll_wait), ALL, ANY},
    {SCMP_SYS(epoll_pwait), ALL, ANY},
    {SCMP_SYS(epoll_pwait2), ALL, ANY},
    {SCMP_SYS(epoll_ctl), ALL, ANY},
    {SCMP_SYS(poll), ALL, ANY},
    {SCMP_SYS(ppoll), ALL, ANY},
    {SCMP_SYS(nanosleep), ALL, ANY},
    {SCMP_SYS(clock_nanosleep), ALL, ANY},
    {SCMP_SYS(restart_syscall), ALL, ANY},
    {SCMP_SYS(sched_yield), ALL, ANY},
    {SCMP_SYS(futex), ALL, ANY},

    /* memory */
    {SCMP_SYS(mmap), ALL, NO_EXEC},
    {SCMP_SYS(mprotect), ALL, NO_EXEC},
    {SCMP_SYS(munmap), ALL, ANY},
    {SCMP_SYS(mremap), ALL, ANY},
    {SCMP_SYS(madvise), ALL, ANY},
    {SCMP_SYS(brk), ALL, ANY},
    {SCMP_SYS(membarrier), ALL, ANY},

    /* clocks and chance; the first mostly stay in the vDSO */
    {SCMP_SYS(clock_gettime), ALL, ANY},
    {SCMP_SYS(clock_getres), ALL, ANY},
    {SCMP_SYS(gettimeofday), ALL, ANY},
    {SCMP_SYS(time), ALL, ANY},
    {SCMP_SYS(getrandom), ALL, ANY},

    /* itself: identity, signals, the end */
    {SCMP_SYS(getpid), ALL, ANY},
    {SCMP_SYS(gettid), ALL, ANY},
    {SCMP_SYS(getppid), ALL, ANY},
    {SCMP_SYS(getuid), ALL, ANY},
    {SCMP_SYS(geteuid), ALL, ANY}, /* sqlite, before it would chown */
    {SCMP_SYS(getgid), ALL, ANY},
    {SCMP_SYS(getegid), ALL, ANY},
    {SCMP_SYS(getrusage), ALL, ANY}, /* metrics */
    {SCMP_SYS(sysinfo), ALL, ANY},   /* qsort of glibc before 2.37 */
    {SCMP_SYS(uname), ALL, ANY},
    {SCMP_SYS(rt_sigaction), ALL, ANY},
    {SCMP_SYS(rt_sigprocmask), ALL, ANY},
    {SCMP_SYS(rt_sigreturn), ALL, ANY},
    {SCMP_SYS(sigaltstack), ALL, ANY},
    {SCMP_SYS(exit), ALL, ANY},
    {SCMP_SYS(exit_group), ALL, ANY},

    /* the database and the journal, open before the jail */
    {SCMP_SYS(pread64), C | S, ANY},
    {SCMP_SYS(pwrite64), C | S, ANY},
    {SCMP_SYS(fsync), C | S, ANY},
    {SCMP_SYS(fdatasync), C | S, ANY},
    {SCMP_SYS(ftruncate), C | S, ANY},
    {SCMP_SYS(fallocate), C, ANY},
    {SCMP_SYS(fcntl), C, WHOLE(1, F_SETLK)}, /* sqlite's locks */
    {SCMP_SYS(fcntl), C, WHOLE(1, F_GETLK)},
    /* sqlite asks by name whether its files are still the ones it opened, and removes its
     * log when it closes. Landlock keeps the names to core's own directories. */
    {SCMP_SYS(newfstatat), C, ANY},
    {SCMP_SYS(stat), C, ANY},
    {SCMP_SYS(lstat), C, ANY},
    {SCMP_SYS(access), C, ANY},
    {SCMP_SYS(faccessat), C, ANY},
    {SCMP_SYS(faccessat2), C, ANY},
    {SCMP_SYS(unlink), C, ANY},
    {SCMP_SYS(unlinkat), C, ANY},
    {SCMP_SYS(fstatfs), C, ANY},
    {SCMP_SYS(getcwd), C, ANY},

    /* the signer's workers */
    {SCMP_SYS(clone), S, THREAD},
    {SCMP_SYS(set_robust_list), S, ANY},
    {SCMP_SYS(rseq), S, ANY},
    {SCMP_SYS(sched_getaffinity), S, ANY},
    {SCMP_SYS(prctl), S, WHOLE(0, PR_SET_NAME)},
};

/* main starts the others, who inherit its filter, so it has no list of its own that would
 * have to hold all of theirs. What no part of muster ever has a reason for is refused
 * (EPERM: a child's library that only probes goes on). */
static const int denied[] = {
    /* other processes' memory */
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(process_madvise),
#if !JAIL_SAN /* LeakSanitizer's, in children not jailed yet */
    SCMP_SYS(ptrace),
#endif
    /* the view of the file system, and ways around it */
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(quotactl),
    SCMP_SYS(acct),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    /* the kernel */
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(syslog),
    SCMP_SYS(reboot),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(personality),
    SCMP_SYS(vhangup),
    /* the machine's clock and name */
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
};

/* In no header of Debian 12; the same number on every architecture. */
#define SYS_FCHMODAT2 452

/* The key holder and the caller of webhooks besides: they use tokens, or connect out;
 * they start nothing, signal nobody else, give no file to anybody and serve nobody but
 * the links that main gave them. */
static const int denied_helper[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(listen),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(kill),
    SCMP_SYS(tkill),
    SCMP_SYS(rt_sigqueueinfo),
    SCMP_SYS(rt_tgsigqueueinfo),
    SCMP_SYS(pidfd_send_signal),
    SCMP_SYS(chmod),
    SCMP_SYS(fchmod),
    SCMP_SYS(fchmodat),
    SYS_FCHMODAT2,
    SCMP_SYS(chown),
    SCMP_SYS(fchown),
    SCMP_SYS(lchown),
    SCMP_SYS(fchownat),
};

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static int
failed(int ret, const char *what, struct err *e)
{
	errno = ret < 0 ? -ret : ENOMEM;
	return err_sys(e, ERR_INTERNAL, "jail: seccomp %s", what);
}

bool
jail_calls_denies(enum jail_kind kind)
{
	return kind == JAIL_MAIN || kind == JAIL_KEYD || kind == JAIL_HOOKD;
}

static int
add_denied(scmp_filter_ctx f, const int *calls, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		int ret = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), calls[i], 0);
		if (ret)
			return failed(ret, "rule", e);
	}
	return (int)n;
}

static int
add_all_denied(scmp_filter_ctx f, enum jail_kind kind, struct err *e)
{
	int n = add_denied(f, denied, LEN(denied), e);
	if (n < 0 || kind == JAIL_MAIN)
		return n;
	/* its own threads it may signal: abort() does, and a module's pthread_kill */
	struct scmp_arg_cmp others = {0, SCMP_CMP_NE, (scmp_datum_t)getpid(), 0};
	int ret = seccomp_rule_add_array(
	    f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 1, &others);
	int more = ret ? -1 : add_denied(f, denied_helper, LEN(denied_helper), e);
	if (ret)
		return failed(ret, "rule", e);
	return more < 0 ? -1 : n + more + 1;
}

static int
add_row(scmp_filter_ctx f, const struct allowed *a, struct err *e)
{
	struct scmp_arg_cmp when = {a->arg, SCMP_CMP_MASKED_EQ, a->mask, a->value};
	int ret =
	    seccomp_rule_add_array(f, SCMP_ACT_ALLOW, a->nr, a->mask ? 1 : 0, &when);
	return ret ? failed(ret, "rule", e) : 0;
}

/* Rules that a constant table cannot hold. */
static int
add_special(scmp_filter_ctx f, enum jail_kind kind, struct err *e)
{
	/* abort() signals itself; nobody else may be signalled */
	struct scmp_arg_cmp self = {
	    0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid()};
	/* getnameinfo (in evhttp) wants the name of the interface of a peer with a
	 * link-local address, over a datagram socket. It does without when it gets none;
	 * a peer must not be able to kill an edge by its address. */
	struct scmp_arg_cmp dgram = {
	    1, SCMP_CMP_MASKED_EQ, UINT32_MAX, SOCK_DGRAM | SOCK_CLOEXEC};
	int ret = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &self);
	if (!ret && kind == JAIL_EDGE)
		ret = seccomp_rule_add_array(
		    f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(socket), 1, &dgram);
	/* clone3 has its flags in memory, where a filter cannot look: glibc is told that
	 * it does not exist and takes clone */
	if (!ret && kind == JAIL_SIGNER)
		ret = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	/* UBSan feels for readable memory by writing it into a pipe */
	if (!ret && JAIL_SAN)
		ret = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(pipe2), 0);
	return ret ? failed(ret, "rule", e) : 0;
}

static int
add_allowed(scmp_filter_ctx f, enum jail_kind kind, struct err *e)
{
	int n = 0;
	for (size_t i = 0; i < LEN(allowed); i++) {
		if (!(allowed[i].kinds & (1u << kind)))
			continue;
		if (add_row(f, &allowed[i], e))
			return -1;
		n++;
	}
	return add_special(f, kind, e) ? -1 : n;
}

static int
load(scmp_filter_ctx f, enum jail_kind kind, struct err *e)
{
	/* calls of another architecture (32-bit on a 64-bit kernel) as any foreign one */
	int ret = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH,
	    jail_calls_denies(kind) ? SCMP_ACT_ERRNO(EPERM) : SCMP_ACT_KILL_PROCESS);
	if (ret)
		return failed(ret, "architecture", e);
	int n = jail_calls_denies(kind) ? add_all_denied(f, kind, e)
					: add_allowed(f, kind, e);
	if (n < 0)
		return -1;
	ret = seccomp_attr_set(
	    f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: fewer comparisons */
	if (ret)
		return failed(ret, "tree", e);
	ret = seccomp_load(f);
	return ret ? failed(ret, "filter", e) : n;
}

int
jail_calls_load(enum jail_kind kind, struct err *e)
{
	/* a sanitizer has to look first, and then the end is the same (jail_san.h) */
	const uint32_t kill = JAIL_SAN ? SCMP_ACT_TRAP : SCMP_ACT_KILL_PROCESS;
	scmp_filter_ctx f = seccomp_init(jail_calls_denies(kind) ? SCMP_ACT_ALLOW : kill);
	if (!f)
		return failed(0, "context", e);
	int n = load(f, kind, e);
	seccomp_release(f);
	return n;
}
