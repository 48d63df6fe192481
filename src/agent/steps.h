#ifndef AGENT_STEPS_H
#define AGENT_STEPS_H
/*
 * The steps of a change of credentials that a session (told by an orchestrator) and a
 * renewal (by itself) have in common: where they talk to the running agent and to the
 * key store. Blocking; for processes of their own, never for the daemon.
 */
#include "agent/agent_config.h"
#include "agent/keystore.h"
#include "agent/prove.h"

struct js;

struct steps {
	const char *dir;
	const struct agent_config *cfg;
	struct keystore *keys;
	const struct clock_floor *time;
};

/* What the running agent says to op, with waitMs where wait_ms is not 0. */
must_check int steps_call_agent(const struct steps *s, const char *op, int64_t wait_ms,
    struct js **ret, struct err *e);

bool steps_agent_runs(const struct steps *s);

/* A real second connection with the generation r, noted when it worked. alone: success
 * needs no running agent. */
must_check int steps_prove(const struct steps *s, const struct keystore_ref *r,
    const char *nonce, bool alone, struct prove_result *ret, struct err *e);

/* Has the running agent take up what `active` names (which is r), and waits until it is
 * connected with it. *ret_status, NULL allowed: its status then. */
must_check int steps_take_up(const struct steps *s, const struct keystore_ref *r,
    struct js **ret_status, struct err *e);

/* Switches `active` to r and has the running agent connect with it; goes back where it
 * does not. *ret_unsure is set where going back failed too: which credential is active
 * then nobody may say. Needs a running agent. */
must_check int steps_promote(const struct steps *s, const struct keystore_ref *r,
    struct js **ret_status, bool *ret_unsure, struct err *e);

#endif
