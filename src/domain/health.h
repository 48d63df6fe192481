#ifndef DOMAIN_HEALTH_H
#define DOMAIN_HEALTH_H
/*
 * What an operator should know before it hurts: CRLs and OCSP answers that are not made
 * anew in time, a signer that is not there, certificates that end (CAs, responders,
 * servers, operators), CAs that cannot be used, devices in quarantine, signs of copied
 * keys, a journal that is shorter than the record. Each is an item with a state.
 */
#include "domain/domain.h"

struct clone_list;

enum health_state { HEALTH_OK, HEALTH_WARN, HEALTH_BAD };
const char *health_state_name(enum health_state s); /* "ok" "warn" "bad" */

struct health_item {
	const char *name; /* "crl device-ca", "signer", "operator admin" */
	enum health_state state;
	const char *text;
	int64_t at_ms; /* when it gets worse: a nextUpdate, a notAfter; 0 = never */
};

/* What the store does not know. */
struct health_inputs {
	bool signer_up;
	int64_t journal_count;  /* entries of the signer's journal, -1 unknown */
	const char *ca_problem; /* of issuers.conf: what is not in use; NULL, "" none */
	const struct clone_list *clones;
	int64_t started_ms; /* of this process: what is new gets a moment */
	bool deep; /* also what takes a walk over all certificates: the journal */
};

/* Visits every item. A non-zero return of visit stops and is handed on; items live in
 * d->arena. */
must_check int health_each(struct domain *d, const struct health_inputs *in,
    int (*visit)(void *ctx, const struct health_item *i, struct err *e), void *ctx,
    struct err *e);

/* Remembers states, so that a change is told once. */
#define HEALTH_WATCH_MAX 256
struct health_watch {
	struct {
		char name[64];
		enum health_state state;
	} v[HEALTH_WATCH_MAX];
	size_t n;
};
void health_watch_init(struct health_watch *w);
/* True where the item's state is another than last time, or is not OK the first time. */
bool health_watch_changed(struct health_watch *w, const struct health_item *i);

#endif
