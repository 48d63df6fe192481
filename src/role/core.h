#ifndef ROLE_CORE_H
#define ROLE_CORE_H
/*
 * The core: holds the database, decides, stores, routes between edges. It takes messages
 * from edges over their links, asks the signer, and lets answers out when they are
 * durable.
 */
#include "crypto/tls.h"
#include "domain/pki/issuer.h"
#include "domain/access/est_guard.h"
#include "domain/hub/session.h"
#include "domain/access/poll_guard.h"
#include "domain/access/signin_guard.h"
#include "domain/access/throttle.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "role/turn.h"

#define CORE_EDGES_MAX 64

struct clone_list;
struct core_backlog;
struct metrics;
struct core_pki;
struct core_upload;
struct sightings;

/* The process: fd is the link to main. Returns its exit status. */
int core_main(int fd);

/* ---- shared among the core's own files ------------------------------------------------
 */

struct core_edge {
	struct core *core;
	unsigned index;
	struct ipc_link *link; /* NULL: not connected */
};

struct core;

/* One answer of the signer. ask: who asked, for core_answer, where it stands (NULL: our
 * own work, or the edge is gone). type: a row (SIGNER_ISSUED, SIGNER_SIGNED) or DONE,
 * with msg unpacked. why: what failed (msg may be NULL then), NULL where nothing did.
 * last: nothing follows, arg can go; ask is given with the last alone, so rows for an
 * asker are kept in arg until then. */
struct core_reply {
	const struct ask *ask;
	enum ipc_type type;
	const void *msg;
	const struct err *why;
	bool last;
};
/* Called inside a turn: what it writes and answers is durable or told as failed. -1
 * answers DONE with the error, or spoils the turn where the store failed. */
typedef int core_reply_fn(
    struct core *c, void *arg, const struct core_reply *r, struct err *e);

/* A question that waits for the signer. */
struct core_asked {
	uint64_t id; /* of our question */
	struct ask ask;
	bool orphan; /* nobody asked, or the edge that did is gone */
	core_reply_fn *fn;
	void *arg;
	UT_hash_handle hh;
};

struct core_tickets {
	uint8_t now[TLS_TICKET_KEY], before[TLS_TICKET_KEY];
	int64_t made_ms; /* of the loop's clock; 0: not yet */
};

struct core {
	struct loop *loop;
	struct config cfg;
	struct arena *cfg_arena;
	struct store *store;
	struct turn *turn;
	struct domain d;
	struct throttle registrations, operations, refusals;
	struct poll_guard polls;
	struct core_hook *hook;
	int64_t refusals_unlogged;
	struct est_guard est;
	struct signin_guard signins;
	int64_t est_trim_ms; /* when enrolment requests are trimmed next */
	struct ipc_link *main, *signer;
	struct core_edge edges[CORE_EDGES_MAX];
	struct session_table sessions;
	struct loop_timer *rechecks; /* of all sessions, under way */
	bool recheck_again;          /* once more when it ends */
	struct sightings *sightings; /* of devices over HTTPS */
	struct core_asked *asked;    /* of the signer */
	uint64_t next_id;
	struct issuer_book issuers; /* as they are in the store */
	/* what of issuers.conf is not in use, as the signer says; "" none */
	char ca_problem[CAP_PROBLEM + 1];
	bool anchors_changed; /* seen to when the turn is durable */
	uint64_t silent_hubs; /* a bit each of hub.name: its routes take no message */
	struct loop_timer *housekeeping;
	struct core_backlog *backlog;
	struct core_tickets tickets;
	struct core_pki *pki;
	struct metrics *metrics;
	struct core_upload *uploads;
	struct clone_list *clones; /* devices with signs of a copied key */
	struct core_c2d *c2d;
	struct core_method *methods;
	struct core_queries *queries;
	struct core_schedule *schedule;
	struct core_transfers *transfers;
	struct core_configurations *configurations;
	struct list jobs; /* what waits for a count (core_rollover.c) */
	int n_jobs;
	struct loop_timer *job_timer;
	/* the last answer that ended a request: whose, and how */
	struct {
		uint64_t id;
		unsigned edge;
		enum err_code code;
	} last_done;
	char home[4096];
	int status;
};

/* A handler answers by core_answer and friends and returns 0; -1 makes the answer a DONE
 * with the error. msg is the unpacked struct of the row's type. */
typedef int core_handler(
    struct core *c, const struct ask *a, const void *msg, struct err *e);

/* Routing, as the store has it: read at start, and after each change of it. */
must_check int core_load_routing(struct core *c, struct err *e);
/* Whether messages to this hub go nowhere. */
bool core_is_silent(const struct core *c, const char *hub);

/* The table's parts: core_device.c has DPS, core_hub.c connections to the hub,
 * core_service.c the service API. NULL where the message is not theirs. A new file adds
 * its own to parts[] in core.c. */
core_handler *core_device_handler(enum ipc_type type);
core_handler *core_hub_handler(enum ipc_type type);
core_handler *core_twin_handler(enum ipc_type type);
core_handler *core_http_handler(enum ipc_type type);
core_handler *core_service_handler(enum ipc_type type);
core_handler *core_module_handler(enum ipc_type type);
core_handler *core_upload_handler(enum ipc_type type);
core_handler *core_dps_handler(enum ipc_type type);
core_handler *core_enrollment_handler(enum ipc_type type);
core_handler *core_issuer_handler(enum ipc_type type);
core_handler *core_rollover_handler(enum ipc_type type);
core_handler *core_est_handler(enum ipc_type type);
core_handler *core_compliance_handler(enum ipc_type type);
core_handler *core_certificates_handler(enum ipc_type type);
core_handler *core_revoke_handler(enum ipc_type type);
core_handler *core_crl_handler(enum ipc_type type);
core_handler *core_ocsp_handler(enum ipc_type type);
core_handler *core_health_handler(enum ipc_type type);
core_handler *core_method_handler(enum ipc_type type);
core_handler *core_c2d_handler(enum ipc_type type);
core_handler *core_operator_handler(enum ipc_type type);
core_handler *core_query_handler(enum ipc_type type);
core_handler *core_arm_handler(enum ipc_type type);
core_handler *core_consumer_handler(enum ipc_type type);
core_handler *core_registry_handler(enum ipc_type type);
core_handler *core_audit_handler(enum ipc_type type);
core_handler *core_schedule_handler(enum ipc_type type);
core_handler *core_configuration_handler(enum ipc_type type);
core_handler *core_keys_handler(enum ipc_type type);
core_handler *core_login_handler(enum ipc_type type);
core_handler *core_transfer_handler(enum ipc_type type);

/* What the request of a device over HTTPS begins with (c2d_receive and the like). */
struct core_device_head {
	struct ipc_peer peer;
	struct ipc_cred cred;
	struct span host, device_id, module_id;
};
/* Judges such a request (msg: its struct) by its own credential, as a connection would
 * be: *ret says who it is, and is in no table. !*ret_ok: refused; that is logged and
 * answered. */
must_check int core_admit(struct core *c, const struct ask *a, const void *msg,
    struct session *ret, bool *ret_ok, struct err *e);
/* A session was opened, or its subscriptions changed, and that is durable and told to its
 * edge: what waits for it goes out. */
void core_session_ready(struct core *c, int64_t session);

/* An answer row to a. */
must_check int core_answer(struct core *c, const struct ask *a, enum ipc_type type,
    const void *msg, struct err *e);
/* The row of an identity, a device's or a module's; it borrows what d does. counts: of
 * messages that wait for it. */
must_check int core_device_row(struct core *c, const struct store_device *d, bool keys,
    bool counts, struct ipc_device *ret, struct err *e);
must_check int core_answer_device(struct core *c, const struct ask *a,
    const struct store_device *d, bool keys, struct err *e);
/* The last answer. next: "" or a continuation. */
must_check int core_done(
    struct core *c, const struct ask *a, const char *next, int64_t number, struct err *e);
/* The last answer to something refused by rule. */
must_check int core_refused(struct core *c, const struct ask *a, const struct refusal *no,
    int wire_number, struct err *e);
/* "operator:NAME", of the turn's memory: whoever a message's right let in, where no
 * policy may have it. */
const char *core_operator_of(struct core *c, const struct ipc_cred *cred);
/* Writes the line of a message that its handler has seen, where tbl/audit.def has it.
 * why: what the handler failed with, NULL: it did not. */
must_check int core_audit(struct core *c, const struct ask *a, const void *msg,
    const struct err *why, struct err *e);
/* One of several things that a message did; what is static. */
must_check int core_audit_item(struct core *c, const struct ipc_peer *peer,
    const struct ipc_cred *cred, const char *what, struct span target,
    const struct err *why, struct err *e);
/* "none", "sas", "x509", "token", "bearer". */
const char *core_auth_name(const struct ipc_cred *cred);
/* Writes a line of the connection log (rate limited where it is a refusal). */
must_check int core_log_conn(
    struct core *c, const struct store_conn *line, struct err *e);
/* The line of a refusal. id: device or registration ID, or "device/module"; "" where
 * none. */
must_check int core_log_refusal(struct core *c, const char *plane, struct span id,
    const struct ipc_peer *peer, const struct ipc_cred *cred, const struct refusal *no,
    int code, struct err *e);
/* The line of one who was not let in as a device or module. */
must_check int core_log_not_open(struct core *c, const struct ipc_hub_open *m,
    const struct refusal *no, int code, struct err *e);
/* Sends the signer a message and has fn called with each answer, once with last. a:
 * whose request it is, NULL: our own. On failure nothing was sent and fn is not called
 * (arg is still the caller's); a signer that ends meanwhile is a reply of UNAVAILABLE. */
must_check int core_ask_signer(struct core *c, const struct ask *a, enum ipc_type type,
    const void *msg, core_reply_fn *fn, void *arg, struct err *e);
/* Asks for a certificate, which is put on record whatever becomes of who asked. Where
 * issue names no issuer, it is the one that is active for the profile. The answer goes to
 * a (CERT and DONE, or TLS_CERT). */
must_check int core_sign(struct core *c, const struct ask *a,
    const struct ipc_signer_issue *issue, struct err *e);
/* The same, but the answer is fn's: after the record, with SIGNER_ISSUED, or with why. */
must_check int core_sign_then(struct core *c, const struct ask *a,
    const struct ipc_signer_issue *issue, core_reply_fn *fn, void *arg, struct err *e);
/* A connection by certificate that was granted: what the device uses now, and signs that
 * its key is in two hands. Fills the members of s that tell its address. */
must_check int core_note_cert(
    struct core *c, const struct ipc_hub_open *m, struct session *s, struct err *e);
/* Stores a message of s, the sender. */
must_check int core_keep_event(struct core *c, const struct session *s, struct span props,
    struct span body, int64_t *ret_seq, struct err *e);
/* For turn.h: sends a packed frame over an edge's link, now; tells a request that its
 * turn failed. Both take the core as arg. */
void core_send(
    void *arg, unsigned edge, enum ipc_type type, uint64_t id, struct span body);
void core_fail(void *arg, const struct ask *a, const struct err *why);
/* For turn_after: packs and sends, now. To a link that is gone it is lost, as is the
 * connection behind it. */
void core_send_late(
    struct core *c, unsigned edge, enum ipc_type type, uint64_t id, const void *msg);
/* The session an edge names, if it is one of its own; NULL: it is over. */
const struct session *core_session(struct core *c, const struct ask *a, int64_t id);
/* Tells the device that its desired properties changed (change: from domain/hub/twin.h,
 * empty: they did not), where it is connected and wants to know. */
must_check int core_twin_changed(
    struct core *c, const char *name, struct span change, int64_t version, struct err *e);
/* The answer to a request that failed by class; spans borrow from why. */
void core_failure(const struct err *why, struct ipc_done *m);
/* Whether the store failed, not the request: the turn must not become durable. */
bool core_is_lost(const struct err *why);
/* What a handler's failure becomes: an answer to a (NULL: none), or a spoiled turn. */
void core_settle(struct core *c, const struct ask *a, const struct err *why);
/* For a store that begins no transaction: it has seen a sync fail and trusts itself no
 * more; a fresh process opens it anew and finds what is really on the disk. */
void core_give_up(struct core *c, const struct err *why);
/* Tells edges (NULL: all) what chains are judged with. */
void core_send_anchors(struct core *c, struct core_edge *only);
/* Tells edges (NULL: all) the keys of TLS session tickets; makes new ones when it is
 * time. */
void core_send_tickets(struct core *c, const struct core_edge *only);
void core_rotate_tickets(struct core *c);
/* A session is over: the connection log's line, and the device's state, unless it was
 * taken over (in this turn perhaps) or is no more. */
must_check int core_record_end(struct core *c, const struct session *s, uint32_t code,
    const char *reason, struct err *e);
/* An edge is gone, and with it every connection it held and who asked for certificates.
 */
void core_forget_sessions(struct core *c, unsigned edge);
void core_forget_signings(struct core *c, unsigned edge);
/* Forgets enrolment requests of long ago, now and then; inside a turn. */
must_check int core_est_trim(struct core *c, struct err *e);
/* A slice of the counts that rollovers wait for; arg: the core. */
void core_rollover_slice(void *arg);
/* Drops what an edge's requests wait for; CORE_EDGES_MAX: all. */
void core_forget_rollovers(struct core *c, unsigned edge);
/* Of every link the core holds. */
extern const struct ipc_opts core_link_opts;
/* A new link to the signer; takes fd over. */
void core_link_signer(struct core *c, int fd);
/* Loads the CAs from the store; from then chains are judged by them. */
must_check int core_load_issuers(struct core *c, struct err *e);
/* A CA was added or its state changed: once that is durable they are loaded anew, then
 * edges are told. */
void core_issuers_changed(struct core *c);
/* Appends the DER of each CA of those purposes (a bit each: 1 << enum ca_purpose) that is
 * in one of those states (1 << enum issuer_state). */
must_check int core_put_issuers(
    struct core *c, unsigned purposes, unsigned states, struct buf *out, struct err *e);
/* After the turn: closes the sessions that the identity or the hub no longer admits; a
 * device's modules' too (before they are deleted with it). name: as domain/hub/session.h.
 * All: in slices, with turns of others between them. */
void core_recheck_device(struct core *c, const char *name);
void core_recheck_all(struct core *c);
void core_recheck_slice(void *core); /* c->rechecks */
/* Why a session must go, as the store has it now; NULL where it may stay. */
must_check int core_session_ends(
    struct core *c, const struct session *s, const char **ret_why, struct err *e);

#endif
