#ifndef IO_PROC_H
#define IO_PROC_H
/*
 * Children: started without a shell, with exactly the descriptors named and a clean
 * environment, reaped by the loop.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/own.h"

struct loop;
struct proc;

struct proc_fd {
	int from, to; /* the child finds from at number to */
};

enum {
	PROC_STDIN =
	    1, /* pipes to and from the child; a stream without one is /dev/null, */
	PROC_STDOUT = 2, /* stderr without one is ours */
	PROC_STDERR = 4,
	PROC_GROUP = 8, /* own process group: proc_kill reaches what the child starts */
};

struct proc_spec {
	const char *file; /* a path, or a name sought in PATH; NULL: this program again */
	const char *const *argv;   /* argv[0] included, NULL at the end */
	const char *const *env;    /* NAME=value, NULL at the end; NULL: PATH HOME LANG TZ
				      TERM of    ours. Nothing else is handed on */
	const struct proc_fd *fds; /* numbers from 3 on */
	size_t nfds;
	unsigned flags;
};

#define PROC_EXIT_TEXT 64
struct proc_exit {
	int code; /* exit status, -1 when a signal ended it */
	int signal;
	char text[PROC_EXIT_TEXT]; /* "exit status 3", "killed by SIGSYS (jail)" */
};

/* on_exit is called from the loop, once; the proc is still to be freed by its owner, in
 * it or later. The child gets SIGKILL when we die (PR_SET_PDEATHSIG). ERR_NOT_FOUND when
 * there is no such program. */
must_check int proc_start(struct loop *l, const struct proc_spec *spec,
    void (*on_exit)(void *arg, const struct proc_exit *x), void *arg, struct proc **ret,
    struct err *e);
/* Our end of a pipe (flag PROC_STDIN...), nonblocking; -1 when there is none. It stays
 * the proc's: proc_close_fd closes it early, proc_free in the end. */
int proc_fd_of(const struct proc *p, unsigned which);
void proc_close_fd(struct proc *p, unsigned which);
pid_t proc_pid(const struct proc *p);
/* Signals the child, with PROC_GROUP all of its group. Harmless once it was reaped. */
void proc_kill(struct proc *p, int signo);
/* A child still running is killed (SIGKILL) and reaped; on_exit is not called. */
void proc_free(struct proc *p);
own_define(struct proc, proc_free);

#endif
