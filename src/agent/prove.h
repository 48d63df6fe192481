#ifndef AGENT_PROVE_H
#define AGENT_PROVE_H
/*
 * The proof of a new credential: a real second connection. Registration at the
 * provisioning service, connection to the assigned hub, one acknowledged telemetry
 * message that carries the orchestrator's nonce. Blocking: it runs a loop of its own.
 */
#include "agent/agent_config.h"
#include "agent/clock_floor.h"
#include "agent/dps_answer.h"
#include "agent/keystore.h"

struct prove_opts {
	const char *dir;
	const struct agent_config *cfg;
	const struct keystore_credential *credential;
	const struct clock_floor *time; /* its base runs the loop */
	const char *nonce; /* goes out as the application property musterProof */
	bool alone;        /* where no agent runs nobody is disturbed: go on */
};

struct prove_result {
	struct keystore_assignment assignment;
	char substatus[DPS_ANSWER_SUBSTATUS];
};

/* The running agent is told to keep away from the hub meanwhile: a hub serves one
 * connection a device. */
must_check int prove_run(
    const struct prove_opts *o, struct prove_result *ret, struct err *e);

#endif
