#ifndef FLEET_SESSION_H
#define FLEET_SESSION_H
/*
 * A conversation with muster-agent on a device: one JSON object a line over a child's
 * stdin and stdout (ssh, usually), one operation at a time, each with a deadline. Knows
 * nothing of what the operations mean. Callbacks come from the loop, never from inside a
 * call here.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/own.h"

struct js;
struct loop;
struct proc_spec;
struct session;

#define SESSION_LINE_MAX   (64 * 1024)
#define SESSION_NOISE_MAX  32 /* lines before the hello: greetings of shells and hosts */
#define SESSION_STDERR_MAX 2048 /* kept of what the child says on stderr, the last */
#define SESSION_FIX        256

/* Why an operation, or the whole session, failed. */
struct session_failure {
	struct err err;
	char fix[SESSION_FIX]; /* what to do, in the agent's words; "" where it said none
				*/
	bool answered;         /* the device itself refused: what it did is known */
};

struct session_ops {
	/* The agent is there. device_id as it calls itself. */
	void (*on_hello)(void *arg, const char *device_id, const char *version);
	/* The answer of the operation under way; borrowed. */
	void (*on_answer)(void *arg, const struct js *answer);
	/* The operation failed. answered: the session goes on; otherwise it is over and
	 * nothing more will come. Also called, with no operation under way, when the
	 * session ends before its time. */
	void (*on_failed)(void *arg, const struct session_failure *why);
	/* Puts ssh's exit status and stderr into words; NULL for plain ones. */
	void (*explain)(int exit_code, const char *said, struct session_failure *why);
};

/* Starts the child; the hello must come within hello_ms. ops, arg are borrowed. */
must_check struct session *session_new(struct loop *l, const struct proc_spec *spec,
    int64_t hello_ms, const struct session_ops *ops, void *arg, struct err *e);
/* Begins an operation: args (an object, or NULL) is taken and gets "id" and "op". One at
 * a time, after on_hello. */
void session_call(
    struct session *s, const char *op, struct js *args, int64_t deadline_ms);
bool session_is_over(const struct session *s);
/* Ends the child; for the agent the end of its input is "quit". Nothing is called any
 * more. */
void session_free(struct session *s);
own_define(struct session, session_free);

#endif
