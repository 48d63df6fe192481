#ifndef AGENT_SESSION_H
#define AGENT_SESSION_H
/*
 * The session: what the orchestrator has the device do, over ssh's stdin and stdout. One
 * JSON object a line, at most SESSION_LINE_MAX, ASCII; operations and the stage a
 * generation must be at are a table in session.c. State lives in the device directory
 * alone: a killed session leaves what its last completed operation left, and another one
 * goes on from there. One that hears nothing for agent.lock_idle lets go of the lock.
 */
#include "base/clock.h"
#include "base/err.h"

#define SESSION_LINE_MAX (64 * 1024)
#define SESSION_PROTOCOL 1

/* Serves until quit or the end of input. Fails only when the session itself cannot go on
 * (no device directory, streams broken); a failed operation is an answer. */
must_check int session_run(
    const char *dir, int in, int out, const struct clock *clock, struct err *e);

#endif
