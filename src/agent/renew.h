#ifndef AGENT_RENEW_H
#define AGENT_RENEW_H
/*
 * One renewal, from the question whether it is due to the promoted certificate:
 *
 *	check in -> due? -> key beside the old -> certificate -> installed beside the old
 *	-> proved on a real second connection -> promoted -> old generations pruned
 *
 * Every step is kept in the device directory before the next begins, so a run that ended
 * anywhere (power, signal, network) is gone on with by the next: the same staged key asks
 * again, an installed certificate is proved without asking, a proved one is promoted. The
 * old credential stays active, and on disk after that, so no end of a run leaves the
 * device without a working pair.
 *
 * The outside is behind struct renew_ops: renew_live.h has the real one, tests and the
 * simulator have others. Time comes from the clock handed in; nothing here sleeps, but
 *for who asked to wait for another run (wait_ms).
 */
#include "agent/agent_config.h"
#include "agent/clock_floor.h"
#include "agent/keystore.h"
#include "agent/renew_state.h"

#define RENEW_REASON  128
#define RENEW_ANCHORS 32

/* What the device tells the server when it checks in. */
struct renew_report {
	const char *custody;    /* of the active key: "file", "pkcs11", "tpm2" */
	const char *generation; /* the active one: "0003" */
	int64_t clock_ms;       /* the device's own clock, as it is */
	/* SHA-256 of the server trust anchors, lower-case hex */
	char anchors[RENEW_ANCHORS][2 * DIGEST_SHA256 + 1];
	size_t n_anchors;
};

/* Its answer. Absent numbers are 0, absent texts "". */
struct renew_checkin {
	int64_t now_ms;
	int64_t leaf_not_before_ms, leaf_not_after_ms; /* of the server's certificate */
	int64_t renew_start_ms, renew_end_ms, poll_ms;
	char reason[RENEW_REASON]; /* why the window is what it is; for the log */
	char ca_tag[RENEW_CA_TAG]; /* names the set that EST cacerts answers */
};

/* A failure's companion: what the server asked for. */
struct renew_later {
	int64_t retry_after_ms; /* 0: nothing */
	bool pending;           /* 202: an operator has to approve; ask the same again */
};

/* The outside. All return -1 with e; ERR_DENIED, ERR_FORBIDDEN, ERR_NOT_FOUND and
 * ERR_UNSUPPORTED mean that the server said no. */
struct renew_ops {
	/* ERR_NOT_FOUND where the server knows no check-in: the device goes by its own
	 * rules then. c: what the connection is authenticated with. */
	int (*checkin)(void *arg, const struct keystore_credential *c,
	    const struct renew_report *r, struct renew_checkin *ret, struct err *e);
	/* EST cacerts as PEM, any order. */
	int (*cacerts)(void *arg, struct buf *ret_pem, struct err *e);
	/* A certificate for key (PEM, leaf first, appended), asked for with c. */
	int (*enrol)(void *arg, const struct keystore_credential *c, struct key *key,
	    struct buf *ret_chain_pem, struct renew_later *ret_later, struct err *e);
	/* A real connection with c beside the running one. */
	int (*prove)(void *arg, const struct keystore_credential *c,
	    struct keystore_assignment *ret, struct err *e);
	/* Has the running agent use what `active` names and waits until it is connected;
	 * success where no agent runs. */
	int (*take_up)(void *arg, const struct keystore_ref *r, struct err *e);
	/* Whether every server of the device's verifies against these anchors alone
	 * (PEM): asked before old anchors are dropped. NULL: anchors are never changed.
	 */
	int (*try_anchors)(void *arg, struct span pem, struct err *e);
};

struct renew_opts {
	const char *dir;
	const struct agent_config *cfg;
	struct clock_floor *time; /* learns from the check-in */
	bool told;                /* due or not */
	bool first;               /* the first certificate, of whatever is active */
	int64_t wait_ms; /* how long another renewal or session is waited for; 0: ERR_BUSY
			    at once */
	const struct renew_ops *ops;
	void *arg;
};

enum renew_result {
	RENEW_NOTHING, /* not due, or nothing to renew: SAS, or no EST server configured
			*/
	RENEW_DONE,
	RENEW_PENDING, /* an operator has to approve */
	RENEW_FAILED,
};

/* Filled also after a failure. */
struct renew_outcome {
	enum renew_result result;
	enum renew_why why;
	struct keystore_ref active; /* at the end */
};

/* Does what is due and keeps what became of it. -1: RENEW_FAILED, e says why, the device
 * is on its old credential (or, where the running agent could not be told, on what
 * `active` names). ERR_BUSY when a session or another renewal is at work. */
must_check int renew_run(
    const struct renew_opts *o, struct renew_outcome *ret, struct err *e);

#endif
