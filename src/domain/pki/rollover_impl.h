#ifndef DOMAIN_ROLLOVER_IMPL_H
#define DOMAIN_ROLLOVER_IMPL_H
/*
 * What the files of rollovers share: rollover.c has the campaign, rollover_alarm.c a CA
 * in other hands. Nobody else's.
 */
#include "domain/pki/rollover.h"
#include "domain/pki/rollover_group.h"

/* The CAs of a rollover, and their roots. */
struct rollover_sides {
	struct store_issuer from, to, from_root, to_root;
	bool has_roots; /* both are ours, and two */
	bool has_to_root;
};

/* Fills the roots of s->from and s->to. */
must_check int rollover_load_roots(
    struct domain *d, struct rollover_sides *s, struct err *e);

/* What is under way of the purpose of that CA; n 0: nothing. */
must_check int rollover_open_of_purpose(struct domain *d, const struct store_issuer *ca,
    struct store_rollover *ret, struct err *e);
bool rollover_is_in(const struct store_rollover *r, enum rollover_state s);
/* To one of its successors; another is a bug. */
void rollover_move(struct store_rollover *r, enum rollover_state to);
must_check int rollover_end(
    struct domain *d, struct store_rollover *r, enum rollover_state as, struct err *e);

/* Of a CA, whatever the gates. */
must_check int rollover_put_state(
    struct domain *d, const char *name, enum issuer_state to, int reason, struct err *e);
bool rollover_is_state(const struct store_issuer *i, enum issuer_state s);
/* The new CA and its root are trusted from now on, where they were not. */
must_check int rollover_trust_side(
    struct domain *d, const struct rollover_sides *s, struct err *e);

typedef int rollover_edit(struct domain *d, const struct rollover_pair *p, struct err *e);
/* What is done for a CA is not always right for its root, which may have other CAs. */
must_check int rollover_edit_groups(struct domain *d, const struct rollover_sides *s,
    rollover_edit *of_cas, rollover_edit *of_roots, struct err *e);
rollover_edit rollover_check_beside, rollover_check_instead;

#endif
