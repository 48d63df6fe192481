#ifndef AGENT_CONTROL_H
#define AGENT_CONTROL_H
/*
 * agent.sock: how a session or a person talks to the running agent. One JSON object a
 * line both ways; only the owner of the device directory reaches the socket (mode 0600 in
 * a directory of 0700).
 *
 *	{"op":"status"}			what the agent is doing
 *	{"op":"hold","ms":N}		keep away from the hub
 *	{"op":"release"}
 *	{"op":"reload","waitMs":N}	use what `active` names now
 *	{"op":"time","nowMs":N}		what an authenticated server said it is
 *
 * An answer is {"ok":true,"state":..,"auth":..,"generation":..,"thumbprint":..,
 * "connected":..,"hub":.., counters, "renewal":{..}} or {"ok":false,"code":..,"text":..}.
 *With waitMs it comes when the agent is connected, was refused, or N ms have passed.
 */
#include "base/err.h"
#include "base/own.h"

struct agent;
struct control;
struct js;
struct loop;

#define CONTROL_LINE_MAX    (64 * 1024)
#define CONTROL_HOLD_MAX_MS (10 * 60 * 1000)
#define CONTROL_WAIT_MAX_MS (10 * 60 * 1000)

/* Serves dir/agent.sock for a. ERR_EXISTS when a running agent has it. */
must_check int control_open(const char *dir, struct loop *l, struct agent *a,
    struct control **ret, struct err *e);
void control_free(struct control *c);
own_define(struct control, control_free);
/* The agent's state changed: answers whoever waits for that. */
void control_notify(struct control *c);

/* The client: sends one request, waits for its answer (blocking). ERR_UNAVAILABLE when no
 * agent runs there; an answer with ok = false becomes its error. */
must_check int control_call(const char *dir, const struct js *request, int64_t timeout_ms,
    struct js **ret, struct err *e);

#endif
