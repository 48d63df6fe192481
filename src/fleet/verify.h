#ifndef FLEET_VERIFY_H
#define FLEET_VERIFY_H
/*
 * Is the whole fleet on X.509? By the hub's own records; what cannot be known counts
 * against.
 */
#include "fleet/migration.h"

#define VERIFY_WINDOW_MS (24 * 3600 * INT64_C(1000))
#define VERIFY_PROMOTION (-1) /* each device since its own switch */
#define VERIFY_NAMED     20   /* devices named a finding */

struct verify_finding {
	const char *what; /* "missing from the hub" */
	size_t n;
	const char *names; /* the first of them, "dev-1, dev-2, ..." */
	bool blocks;
};

struct verify_report {
	bool clean;
	size_t inventory, migrated, proved;
	size_t by_auth[4]; /* of the inventory's devices: sas, selfSigned, CA, other */
	size_t sas_connections;
	char window[384]; /* which window was asked, which was known */
	struct verify_finding findings[16];
	size_t n_findings;
};

/* Asks and judges; window_ms or VERIFY_PROMOTION. keep_modules: SAS of modules is noted
 * and does not count against. 0 also when not clean. */
must_check int verify_fleet(struct migration *m, int64_t window_ms, bool keep_modules,
    struct verify_report *ret, struct err *e);
void verify_print(const struct migration *m, const struct verify_report *r);
/* ERR_GATE with the first blocking finding, or 0. */
must_check int verify_judge(const struct verify_report *r, struct err *e);

#endif
