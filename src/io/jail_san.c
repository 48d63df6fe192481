/*
 * The sanitizers' runtime makes its system calls itself, everything else here goes
 * through libc. So a call that the filter traps is told apart by its address: from libc,
 * it is the process that breaks out, and it dies of the same SIGSYS as in a release; from
 * elsewhere it is the runtime, which can do without.
 */
#include "io/jail_san.h"

#if JAIL_SAN
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>
#include <unistd.h>

#include <sanitizer/common_interface_defs.h>
#include <sanitizer/lsan_interface.h>

static uintptr_t libc_start, libc_end;

static int
find_libc(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size, (void)arg;
	uintptr_t ours = (uintptr_t)&syscall;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		uintptr_t end = start + info->dlpi_phdr[i].p_memsz;
		if (info->dlpi_phdr[i].p_type != PT_LOAD || ours < start || ours >= end)
			continue;
		libc_start = start;
		libc_end = end;
		return 1;
	}
	return 0;
}

static void
on_sigsys(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	uintptr_t at = (uintptr_t)info->si_call_addr;
	if (at < libc_start || at >= libc_end) {
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
	dl_iterate_phdr(find_libc, NULL);
	sigaction(SIGSYS, &trap, NULL);
	/* the symbolizer maps the program's debug information on first use */
	__sanitizer_symbolize_pc(
	    __builtin_return_address(0), "%f %L", line, sizeof(line));
	/* the leak check stops threads by ptrace: it is made now, and not again at exit
	 */
	__lsan_do_leak_check();
}
#else
void
jail_san_prepare(void)
{
}
#endif
