#ifndef IO_JAIL_H
#define IO_JAIL_H
/*
 * The rights a process gives up before it reads its first byte (DESIGN section 3):
 * another user, resource limits, landlock where the kernel has it, and a seccomp filter
 * from a table. There is no way back.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

enum jail_kind {
	JAIL_MAIN,   /* binds, spawns, reaps: a list of what is denied */
	JAIL_EDGE,   /* sockets it was given; no path, no connect, no exec */
	JAIL_CORE,   /* files that are open, links; no path, no socket, no exec */
	JAIL_SIGNER, /* as core, with threads */
	JAIL_KEYD,   /* loads vendors' modules: a list of what is denied, with exec */
	JAIL_HOOKD,  /* connects out: a list of what is denied, reads no home */
	JAIL_KINDS
};

struct jail_opts {
	uid_t uid; /* to become when root; 0 to stay */
	gid_t gid;
	unsigned nofile; /* descriptors; 0 to leave the limit */
	const char *const
	    *write; /* NULL-terminated directories that landlock leaves open for */
	const char *const *read; /* writing, for reading; NULL for none */
};

#define JAIL_TEXT 256

/* Enters the jail. On failure the process has lost an unknown part of its rights and must
 * end. Threads started before are not jailed, so there must be none: ERR_INTERNAL. */
must_check int jail_enter(enum jail_kind kind, const struct jail_opts *o, struct err *e);
/* What holds, for one log line: "edge: uid 990, no_new_privs, rlimits, landlock abi 6,
 * seccomp 71 calls". Valid after jail_enter. */
const char *jail_describe(void);
const char *jail_name(enum jail_kind kind);

#endif
