#ifndef AGENT_RENEW_STATE_H
#define AGENT_RENEW_STATE_H
/*
 * DIR/renew.json: what is known of renewal between runs. The daemon and `status` read it;
 * losing it costs a question.
 */
#include "agent/agent_config.h"
#include "agent/keystore.h"
#include "agent/renew_plan.h"

#define RENEW_CA_TAG 129
#define RENEW_TEXT   256

struct renew_state {
	int64_t window_start_ms, window_end_ms, poll_ms;
	char ca_tag[RENEW_CA_TAG]; /* of the anchors that were fetched last */
	bool anchors_fresh;        /* old anchors were dropped, no server seen since */
	/* wall time of the last run, check-in, renewal; 0: never */
	int64_t tried_ms, asked_ms, renewed_ms;
	int failures; /* in a row */
	bool refused;
	int64_t retry_after_ms;
	char error[RENEW_TEXT]; /* the last failure's words; "" after a success */
	int proof_refusals;     /* of the staged generation, in a row */
};

/* A file that is not there, or no state, reads as one that knows nothing. */
void renew_state_get(const char *dir, struct renew_state *ret);
must_check int renew_state_put(
    const char *dir, const struct renew_state *s, struct err *e);

/* The plan's inputs. */
void renew_state_facts(const struct renew_state *s, const struct keystore_credential *c,
    const struct agent_config *cfg, struct renew_facts *ret);
struct renew_past renew_state_past(const struct renew_state *s);

#endif
