#ifndef DOMAIN_CENSUS_H
#define DOMAIN_CENSUS_H
/*
 * How far a rollover is: a count over what each device used last and told of itself, and
 * at its end over what is still valid of the old CA. A million rows take seconds, so it
 * is made in steps, with turns of others between them; what changed meanwhile is counted
 * as it was when its row was looked at.
 */
#include "domain/domain.h"
#include "store/pki.h"

#define CENSUS_NAMES 5 /* of devices, for who reads a refusal */

enum census_kind {
	CENSUS_STATUS, /* what devices used last */
	CENSUS_FINAL,  /* and all of the old CA that is still good for something */
};

struct census_names {
	char v[CENSUS_NAMES][CAP_ID + 1];
	size_t n;
};

struct census {
	/* what is counted */
	enum census_kind kind;
	char from[65], to[65], root[65]; /* SHA-256, hex; root of `to`, "" = not ours */
	bool is_service, same_root;
	int64_t share, wave_ms, window_end_ms; /* window_end_ms 0: nobody was called */
	int64_t now_ms, alive_ms;              /* seen since then: it is around */

	int64_t old, moved;       /* devices that used the old, the new CA's last */
	int64_t wave, wave_moved; /* of them in the wave and around: all, moved */
	int64_t called;           /* in the wave, still on the old */
	int64_t silent;           /* of the called: not heard of since the wave */
	int64_t overdue;          /* of the called: heard of, and its time is over */
	int64_t ended; /* on the old, past its end: needs est.expired or a token */
	int64_t mute;  /* on the old, never checked in: no agent of ours */
	int64_t lacking_anchor; /* service: around, and its report lacks the new root */
	int64_t disabled;       /* CENSUS_FINAL: on the old, and locked out anyway */
	int64_t loose;          /* CENSUS_FINAL: valid, of the old, never superseded */
	int64_t operators;      /* CENSUS_FINAL, service: certificates of operators */
	int64_t last_old_ms;    /* when one was last seen with the old */
	struct census_names on_old, is_overdue, lacking, loose_names, operator_names;

	/* where it stands */
	int phase;
	char after[CAP_ID + 1];
	int64_t after_n;
};

/* A census of r, where to_issuer may be "" (nothing is known to come after it). */
must_check int census_init(struct census *c, struct domain *d,
    const struct store_rollover *r, enum census_kind kind, struct err *e);
/* Looks at up to rows more; *ret_more: there are more. */
must_check int census_step(
    struct domain *d, struct census *c, int64_t rows, bool *ret_more, struct err *e);
/* When the last of the called will have moved, by the pace since the wave; 0: nobody is
 * left, or there is no telling. */
int64_t census_eta_ms(const struct census *c);

/* Where a device lies among the ten thousandths of the fleet, the same for ever: who is
 * in a wave is in every larger one. */
#define CENSUS_ALL 10000
int64_t census_place(struct span device_id);

/* Devices of a list, for who wants to look at them. */
enum census_list { CENSUS_ON_OLD, CENSUS_SILENT, CENSUS_OVERDUE, CENSUS_LACKING };
must_check int census_list_parse(struct span name, enum census_list *ret, struct err *e);
bool census_is_in(
    const struct census *c, enum census_list l, const struct store_device_cert *row);

#endif
