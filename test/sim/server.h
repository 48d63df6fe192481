#ifndef TEST_SIM_SERVER_H
#define TEST_SIM_SERVER_H
/*
 * The server's side of the simulation: a real store, the rules of domain/ in turns of one
 * transaction each, a signer on virtual time with its journal, the edge's judgement of
 * chains. What cannot fail unless something is broken ends the process.
 */
#include "crypto/chain.h"
#include "crypto/crl.h"
#include "crypto/csr.h"
#include "crypto/issuer.h"
#include "crypto/ocsp.h"
#include "domain/access/est_guard.h"
#include "domain/pki/issuer.h"
#include "domain/pki/ocsp_book.h"
#include "domain/hub/session.h"
#include "domain/access/throttle.h"
#include "agent/renew.h"

#define MINUTE  INT64_C(60000)
#define HOUR    (60 * MINUTE)
#define DAY     (24 * HOUR)
#define SIM_CAS 8

extern int64_t sim_now_ms; /* the truth */

/* Prints and ends the process: the simulation itself is broken. */
_Noreturn void sim_die(const char *what, const struct err *e);

/* What a peer shows of itself, as an edge judges it. */
struct face {
	struct cert_list chain;
	char thumb[65], serial[49];
	struct chain_verdict v;
	uint64_t epoch; /* of the anchors it was judged by */
	int64_t judged_ms;
};
must_check int face_of(struct span chain_pem, struct face *ret, struct err *e);
void face_done(struct face *f);

struct sim_ca {
	char name[33];
	enum ca_purpose purpose;
	struct issuer *issuer;
	struct ocsp_responder *ocsp;
	int64_t ocsp_renew_ms;
};

/* Every certificate that was ever signed. */
struct sim_cert {
	char serial[49], issuer[65], subject[129];
	bool recorded; /* the core wrote it down before it crashed */
	UT_hash_handle hh;
};

struct sim_counts {
	int64_t signed_, renewals, late, tokens, allowances, releases;
	int64_t checkins, opens, registrations, refusals, crls, ocsps;
	int64_t crashes, lost_replies;
};

struct server {
	char dir[128];
	struct store *store;
	struct journal *journal;
	struct config cfg;
	struct arena *cfg_arena, *arena;
	struct clock clock;
	struct domain d;
	struct issuer_book book;
	struct est_guard guard;
	struct throttle registrations;
	struct sim_ca ca[SIM_CAS];
	size_t n_ca;
	struct chain_set *anchors;
	uint64_t epoch;
	struct ocsp_book ocsp;
	uint64_t ocsp_epoch;
	struct buf ca_pem; /* EST cacerts */
	char ca_tag[65];
	struct key *tls_key;
	struct face tls; /* the server's own certificate */
	bool down, signer_down;
	bool token_away; /* of the device CAs' keys: the signer is up, they are not */
	bool crash_next, lose_next; /* the next issuance: before its record, its answer */
	struct sim_cert *certs;
	struct sim_counts n;
};

void server_open(struct server *s, const char *dir);
void server_close(struct server *s);

/* The operator's and main's hands. */
void server_add_ca(struct server *s, const char *name, enum ca_purpose purpose);
void server_put_group(struct server *s, const char *primary, const char *secondary);
/* After CAs or groups changed: what edges judge by, what EST hands out. */
void server_reload(struct server *s);
const struct sim_ca *server_ca(const struct server *s, const char *name);
void server_token(struct server *s, const char *device_id, char out[64]);
void server_allow(struct server *s, const char *device_id, int64_t until_ms);
void server_release(struct server *s, const char *device_id);
void server_enable(struct server *s, const char *device_id, bool on);
void server_revoke(
    struct server *s, const char *device_id, const char *reason, bool undo);

/* What time brings: certificate of the server, CRLs, OCSP answers, superseded
 * certificates, trimming. */
void server_housekeeping(struct server *s);

/* Doors. Fail as a client of each sees it. f NULL: no certificate. */
must_check int server_checkin(struct server *s, struct face *f, const char *peer,
    const struct renew_report *r, struct renew_checkin *ret, struct err *e);
struct sim_request {
	struct face *face;
	const char *user, *secret; /* a one-time token in its place; NULL: none */
	const char *peer;
	bool renew;
	const struct csr *csr;
};
must_check int server_enrol(struct server *s, const struct sim_request *q,
    struct buf *der, struct renew_later *later, struct err *e);
must_check int server_register(
    struct server *s, struct face *f, const char *id, const char *peer, struct err *e);
/* *ret_close_ms: when the session ends. */
must_check int server_hub(struct server *s, struct face *f, const char *id,
    const char *peer, int64_t *ret_close_ms, struct err *e);

#endif
