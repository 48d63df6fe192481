#ifndef FLEET_REVOKER_H
#define FLEET_REVOKER_H
/*
 * Revoking a device at a target: muster's own server, which offers all five effects, or
 * Azure's service APIs, which offer some. A target is a table of what it offers and how;
 * what it does not offer is said, never passed over.
 */
#include "fleet/rest.h"

enum revoker_effect {
	REVOKER_CRL,
	REVOKER_OCSP,
	REVOKER_IDENTITY,
	REVOKER_ENROLLMENT,
	REVOKER_SESSION,
	REVOKER_EFFECTS
};
const char *revoker_effect_name(enum revoker_effect id);

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
	/* Both fill the effects that the target offers; texts live in a. */
	int (*revoke)(struct rest *r, const struct revoker_order *o, struct arena *a,
	    struct revoker_report *ret, struct err *e);
	/* Ends a certificateHold. ERR_CONFLICT where there is none to end. */
	int (*undo)(struct rest *r, const struct revoker_order *o, struct arena *a,
	    struct revoker_report *ret, struct err *e);
};

/* "muster", "azure". ERR_USAGE names those there are. */
must_check int revoker_find(
    const char *name, const struct revoker_target **ret, struct err *e);
/* Carries the order out, and fills in what the target does not offer. */
must_check int revoker_run(const struct revoker_target *t, struct rest *r,
    const struct revoker_order *o, bool undo, struct arena *a, struct revoker_report *ret,
    struct err *e);

#endif
