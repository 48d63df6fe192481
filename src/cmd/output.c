/*
 * Standard output as commands have it.
 */
#include "cmd/output.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* Ends the process where the reader of a pipe has gone. Else 0 after ms, -1 where it is
 * otherwise of no use. */
static int
look(int ms)
{
	struct pollfd out = {.fd = STDOUT_FILENO};
	if (poll(&out, 1, ms) <= 0)
		return 0;
	if (out.revents & POLLERR) {
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	return -1;
}

int
output_check(struct err *e)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	(void)look(0);
	return err_set(e, ERR_IO, "not all was written to standard output");
}

int
output_wait(int ms, struct err *e)
{
	return look(ms) ? err_set(e, ERR_IO, "standard output is closed") : 0;
}
