#ifndef LAB_DAEMON_H
#define LAB_DAEMON_H
/*
 * Processes that outlive the command that starts them: this program again, in a session
 * of its own, its output in a log, its number in a file.
 */
#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* args: behind argv[0], NULL at the end. pid_file is written before this returns. */
must_check int daemon_start(const char *const *args, const char *log_file,
    const char *pid_file, pid_t *ret_pid, struct err *e);
/* The process that pid_file names, when it still runs this program; 0 otherwise. */
pid_t daemon_find(const char *pid_file);
/* A child of daemon_start that has ended is reaped and true returned. */
bool daemon_has_ended(pid_t pid);
/* SIGTERM, after grace_ms SIGKILL to its whole session, until it is gone. Removes
 * pid_file. Nothing running is fine. */
must_check int daemon_stop(const char *pid_file, int64_t grace_ms, struct err *e);
/* Kills the sshd and muster-agent that still run with a path under dir on their command
 * line, and waits until none does. Returns how many there were. */
int daemon_sweep(const char *dir);
/* The last line of a log, for an error's text. */
void daemon_last_words(const char *log_file, char *out, size_t size);

#endif
