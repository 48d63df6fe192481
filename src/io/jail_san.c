/*
 * The sanitizers' runtime makes its system calls itself, everything else here goes
 * through libc. So a call that the filter traps is told apart by its address: from libc,
 * it is the process that breaks out, and it dies of the same SIGSYS as in a release; from
 * elsewhere it is the runtime, which can do without.
 */
#include "io/jail_san.h"

#if JAIL_SAN
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* The runtime's, as in its headers, which only the compiler's own package brings. */
void __sanitizer_symbolize_pc(void *pc, const char *fmt, char *out, size_t size);
void __lsan_do_leak_check(void);

static void *libc_base;

static void
on_sigsys(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	Dl_info from;
	if (dladdr(info->si_call_addr, &from) && from.dli_fbase != libc_base) {
#if defined(__x86_64__)
		u->uc_mcontext.gregs[REG_RAX] = -EACCES;
#elif defined(__aarch64__)
		u->uc_mcontext.regs[0] = (unsigned long long)-EACCES;
#endif
		return;
	}
	signal(signo, SIG_DFL);
	raise(signo);
}

void
jail_san_prepare(void)
{
	char line[256];
	struct sigaction trap = {
	    .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO | SA_NODEFER};
	Dl_info libc;
	if (dladdr((void *)&syscall, &libc))
		libc_base = libc.dli_fbase;
	sigaction(SIGSYS, &trap, NULL);
	/* the symbolizer maps the program's debug information on first use */
	__sanitizer_symbolize_pc(
	    __builtin_return_address(0), "%f %L", line, sizeof(line));
	/* the leak check needs ptrace: it is made now, and not again at exit */
	__lsan_do_leak_check();
}
#else
void
jail_san_prepare(void)
{
}
#endif
