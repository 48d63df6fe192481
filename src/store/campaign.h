#ifndef STORE_CAMPAIGN_H
#define STORE_CAMPAIGN_H
/*
 * The campaign file: what one fleet's migration has done so far, in one SQLite database
 * of mode 0600 (it holds the old identities, keys included, for a rollback). Typed verbs;
 * the rules are src/fleet's.
 *
 * Contract of time: verbs are synchronous. Writes stand in a transaction of the caller
 * (campaign_begin, campaign_commit); a write outside of one is its own. After
 * campaign_commit returned 0 the writes survive kill -9 and a power cut (WAL,
 * synchronous=FULL). Several processes may have the file open: one runs, others look or
 * set the pause flag; who waits longer than 5 s for a lock gets ERR_BUSY.
 *
 * Contract of memory: rows are copied into the caller's arena; "" stands for NULL.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/own.h"

struct campaign;

/* Makes the file; ERR_EXISTS when it is there. */
must_check struct campaign *campaign_create(const char *path, struct err *e);
/* ERR_NOT_FOUND, ERR_PERM when others may read it, ERR_UNSUPPORTED for a newer schema,
 * ERR_CORRUPT. */
must_check struct campaign *campaign_open(const char *path, struct err *e);
void campaign_close(struct campaign *c);
own_define(struct campaign, campaign_close);

must_check int campaign_begin(struct campaign *c, struct err *e);
must_check int campaign_commit(struct campaign *c, struct err *e);
void campaign_rollback(struct campaign *c);
bool campaign_in_transaction(const struct campaign *c);

/* Small named values. ERR_NOT_FOUND. */
must_check int campaign_meta_get(struct campaign *c, const char *key, struct arena *a,
    const char **ret, struct err *e);
must_check int campaign_meta_put(
    struct campaign *c, const char *key, const char *value, struct err *e);

struct campaign_device {
	const char *id;
	int64_t ord;  /* place in the campaign's order, from 0 */
	int64_t wave; /* from 1; 0 = in no wave (was on X.509 already) */
	int64_t line; /* of the inventory */
	const char *address, *user, *host_key;
	const char *state;                /* fleet/state.h */
	const char *step;                 /* where it failed; "" unless failed */
	const char *error, *reason, *fix; /* name of an err_code; for people */
	int64_t attempts;
	const char *auth_before; /* authenticationType before the campaign */
	const char *identity;    /* JSON of the old identity: a secret */
	const char *generation, *csr,
	    *chain;        /* the last two only while they are needed */
	const char *thumb; /* SHA-256 of the leaf, lower-case hex */
	const char *nonce;
	int64_t proof_seq; /* of the event that proves the new credential */
	int64_t conn_seq; /* of its connection, later of the first one after the switch */
	/* of a hub that has no logs both are its time in ms: identity changed, heard */
	int64_t not_after_ms;
	int64_t started_ms, proved_ms, promoted_ms, done_ms, updated_ms;
};

/* All of d with its texts in a. */
void campaign_device_copy(
    const struct campaign_device *d, struct arena *a, struct campaign_device *ret);

must_check int campaign_device_add(
    struct campaign *c, const struct campaign_device *d, struct err *e);
/* Rewrites all columns of d->id; ERR_NOT_FOUND. */
must_check int campaign_device_put(
    struct campaign *c, const struct campaign_device *d, struct err *e);
must_check int campaign_device_get(struct campaign *c, const char *id, struct arena *a,
    struct campaign_device *ret, struct err *e);
/* Visits in order (wave -1: all). The row lives during the call; a non-zero return stops
 * and is handed on. The visitor must not write. */
must_check int campaign_device_each(struct campaign *c, int64_t wave,
    int (*visit)(void *ctx, const struct campaign_device *d, struct err *e), void *ctx,
    struct err *e);

struct campaign_wave {
	int64_t n; /* from 1 */
	int64_t size;
	bool passed;      /* its gate, at the last try */
	const char *gate; /* the numbers, as a line */
	int64_t started_ms, ended_ms;
	int64_t busy_ms; /* all runs together */
};
must_check int campaign_wave_put(
    struct campaign *c, const struct campaign_wave *w, struct err *e);
must_check int campaign_wave_each(struct campaign *c,
    int (*visit)(void *ctx, const struct campaign_wave *w, struct err *e), void *ctx,
    struct err *e);

/* A stage of the seal and what a SAS credential got before and after it. Codes are
 * CONNACK codes or HTTP statuses; -1 = not tried. */
struct campaign_stage {
	const char *name; /* "device", "module", "hub" */
	const char *what; /* "MQTT CONNECT of dev-17 with its device key" */
	int64_t before, after;
	const char *unit; /* "CONNACK" or "HTTP" */
	int64_t at_ms;
};
/* One row a (name, what); a later one replaces it, keeping an earlier "before". */
must_check int campaign_stage_put(
    struct campaign *c, const struct campaign_stage *s, struct err *e);
must_check int campaign_stage_each(struct campaign *c,
    int (*visit)(void *ctx, const struct campaign_stage *s, struct err *e), void *ctx,
    struct err *e);

#endif
