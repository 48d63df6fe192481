#ifndef FLEET_REVOKER_H
#define FLEET_REVOKER_H
/*
 * Revoking a device at a target: muster's own server, which offers all five effects, or
 * Azure's service APIs, which offer some. A target is a table of what it offers and how;
 * what it does not offer is said, never passed over.
 */
#include "fleet/service.h"

enum revoker_effect {
	REVOKER_CRL,
	REVOKER_OCSP,
	REVOKER_IDENTITY,
	REVOKER_ENROLLMENT,
	REVOKER_SESSION,
	REVOKER_EFFECTS
};
const char *revoker_effect_name(enum revoker_effect id);

enum revoker_verb {
	REVOKER_REVOKE,
	REVOKER_UNDO,  /* ends a certificateHold; ERR_CONFLICT where there is none */
	REVOKER_ALLOW, /* the registration ID may enrol again, nothing else; ERR_CONFLICT
			  where it is not blocked for good */
	REVOKER_VERBS
};

struct revoker_order {
	const char *device;     /* "" where a thumbprint alone names it */
	const char *thumbprint; /* SHA-256, hex; "": all certificates of the device */
	const char *reason;     /* RFC 5280's word, "" = unspecified */
	const char *comment;
	bool only_certificate;
};

/* state: "done", "unchanged"; "partly": the target cannot do it fully, the text says what
 * is left; "unknown": the target does not tell; "not offered". */
struct revoker_report {
	struct {
		const char *state, *text;
	} effect[REVOKER_EFFECTS];
};

struct revoker_target {
	const char *name;
	unsigned offers; /* 1 << enum revoker_effect */
	/* Each fills the effects that the target offers; texts live in a. NULL: the
	 * target has no such verb. */
	int (*verb[REVOKER_VERBS])(struct service *s, const struct revoker_order *o,
	    struct arena *a, struct revoker_report *ret, struct err *e);
};

const struct revoker_target *revoker_find(enum targets_kind kind);
/* Carries the order out, and fills in what the target does not offer. ERR_UNSUPPORTED
 * for a verb that the target does not have. */
must_check int revoker_run(const struct revoker_target *t, enum revoker_verb verb,
    struct service *s, const struct revoker_order *o, struct arena *a,
    struct revoker_report *ret, struct err *e);

#endif
