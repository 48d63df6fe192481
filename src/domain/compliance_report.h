#ifndef DOMAIN_COMPLIANCE_REPORT_H
#define DOMAIN_COMPLIANCE_REPORT_H
/*
 * What breaks the rows of a policy now, whether it is enforced or not: the hub's
 * switches, the CAs (its own and those that enrollment groups name), every device that is
 * enabled.
 */
#include "domain/compliance.h"

struct compliance_finding {
	enum compliance_id row;
	const char *name; /* device ID, name of a CA, "" for the hub */
	const char *text; /* for people */
};
typedef int compliance_report_visit(
    void *ctx, const struct compliance_finding *f, struct err *e);

struct compliance_page {
	enum config_compliance policy; /* not NONE */
	const char *after; /* device ID; "": the hub and the CAs, then the first device */
	int64_t limit;     /* devices that are looked at */
};
/* *ret_next: the last device looked at where there may be more, else ""; *ret_n: how many
 * were. Texts live in d->arena. visit as in store/store.h. */
must_check int compliance_report_page(struct domain *d, const struct compliance_page *p,
    compliance_report_visit *visit, void *ctx, const char **ret_next, int64_t *ret_n,
    struct err *e);

#endif
