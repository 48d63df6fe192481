#ifndef ROLE_CORE_H
#define ROLE_CORE_H
/*
 * The core: holds the database, decides, stores, routes between edges. It takes messages
 * from edges over their links, asks the signer, and lets answers out when they are
 * durable.
 */
#include "domain/domain.h"
#include "domain/session.h"
#include "domain/throttle.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "role/turn.h"

#define CORE_EDGES_MAX 64

/* The process: fd is the link to main. Returns its exit status. */
int core_main(int fd);

/* ---- shared among the core's own files ------------------------------------------------
 */

struct core_edge {
	struct core *core;
	unsigned index;
	struct ipc_link *link; /* NULL: not connected */
};

/* A request that waits for the signer. */
struct core_signing {
	uint64_t id; /* of our question */
	struct ask ask;
	bool orphan;                   /* the edge that asked is gone */
	struct ipc_signer_issue issue; /* spans into bytes */
	struct buf bytes;
	UT_hash_handle hh;
};

struct core {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct store *store;
	struct turn *turn;
	struct domain d;
	struct throttle registrations, refusals;
	int64_t refusals_unlogged;
	struct ipc_link *main, *signer;
	struct core_edge edges[CORE_EDGES_MAX];
	struct session_table sessions;
	struct core_signing *signing;
	uint64_t next_id;
	struct buf ca[3]; /* DER: root, device CA, service CA; from the signer */
	bool anchors_changed;
	struct loop_timer *housekeeping;
	char home[4096];
	int status;
};

/* A handler answers by core_answer and friends and returns 0; -1 makes the answer a DONE
 * with the error. msg is the unpacked struct of the row's type. */
typedef int core_handler(
    struct core *c, const struct ask *a, const void *msg, struct err *e);

/* The table's halves: core_device.c has DPS and hub, core_service.c the service API. NULL
 * where the message is not theirs. */
core_handler *core_device_handler(enum ipc_type type);
core_handler *core_service_handler(enum ipc_type type);

/* An answer row to a. */
must_check int core_answer(struct core *c, const struct ask *a, enum ipc_type type,
    const void *msg, struct err *e);
/* The last answer. next: "" or a continuation. */
must_check int core_done(
    struct core *c, const struct ask *a, const char *next, int64_t number, struct err *e);
/* The last answer to something refused by rule. */
must_check int core_refused(struct core *c, const struct ask *a, const struct refusal *no,
    int wire_number, struct err *e);
/* Writes a line of the connection log (rate limited where it is a refusal). */
must_check int core_log_conn(
    struct core *c, const struct store_conn *line, struct err *e);
/* The line of a refusal. id: device or registration ID, "" where none. */
must_check int core_log_refusal(struct core *c, const char *plane, struct span id,
    const struct ipc_peer *peer, const struct ipc_cred *cred, const struct refusal *no,
    int code, struct err *e);
/* Asks the signer; the answer goes to a (CERT and DONE, or TLS_CERT). */
must_check int core_sign(struct core *c, const struct ask *a,
    const struct ipc_signer_issue *issue, struct err *e);
/* For turn.h: sends a packed frame over an edge's link, now; tells a request that its
 * turn failed. Both take the core as arg. */
void core_send(
    void *arg, unsigned edge, enum ipc_type type, uint64_t id, struct span body);
void core_fail(void *arg, const struct ask *a, const struct err *why);
/* The answer to a request that failed by class; spans borrow from why. */
void core_failure(const struct err *why, struct ipc_done *m);
/* Tells edges (NULL: all) what chains are judged with. */
void core_send_anchors(struct core *c, struct core_edge *only);
/* A session is over: the connection log's line, and the device's state, unless it was
 * taken over (in this turn perhaps) or is no more. */
must_check int core_record_end(struct core *c, const struct session *s, uint32_t code,
    const char *reason, struct err *e);
/* An edge is gone, and with it every connection it held and who asked for certificates.
 */
void core_forget_sessions(struct core *c, unsigned edge);
void core_forget_signings(struct core *c, unsigned edge);
/* Of every link the core holds. */
extern const struct ipc_opts core_link_opts;
/* A new link to the signer; takes fd over. */
void core_link_signer(struct core *c, int fd);
/* After the turn: closes the sessions that the identity or the hub no longer admits. */
void core_recheck_device(struct core *c, const char *device_id);
void core_recheck_all(struct core *c);

#endif
