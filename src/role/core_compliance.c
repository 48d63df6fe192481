/*
 * The report of compliance, a page at a time.
 */
#include "domain/compliance_report.h"
#include "role/core.h"

#define PAGE_MAX 256 /* devices: the turn stays short */

struct page {
	struct core *c;
	const struct ask *a;
};

static int
on_finding(void *ctx, const struct compliance_finding *f, struct err *e)
{
	const struct page *p = ctx;
	const struct compliance_row *row = compliance_row(f->row);
	const struct ipc_finding m = {
	    .subject = span_str(compliance_subject_name(row->subject)),
	    .name = span_str(f->name),
	    .row = span_str(row->name),
	    .control = span_str(row->control),
	    .text = span_str(f->text)};
	return core_answer(p->c, p->a, IPC_FINDING, &m, e);
}

static int
choose_policy(
    const struct core *c, struct span name, enum config_compliance *ret, struct err *e)
{
	if (name.len)
		return compliance_policy_parse(name, ret, e);
	if (c->cfg.pki.compliance == CONFIG_COMPLIANCE_NONE)
		return err_set(e, ERR_PARSE,
		    "pki.compliance is none: name a policy, fedramp-high or il5");
	*ret = (enum config_compliance)c->cfg.pki.compliance;
	return 0;
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_compliance_query *m = msg;
	struct page p = {c, a};
	struct compliance_page q = {.after = arena_str(turn_arena(c->turn), m->after),
	    .limit = m->limit && m->limit < PAGE_MAX ? m->limit : PAGE_MAX};
	const char *next;
	int64_t n;
	if (choose_policy(c, m->policy, &q.policy, e) ||
	    compliance_report_page(&c->d, &q, on_finding, &p, &next, &n, e))
		return -1;
	return core_done(c, a, next, n, e);
}

core_handler *
core_compliance_handler(enum ipc_type type)
{
	return type == IPC_COMPLIANCE_QUERY ? on_query : NULL;
}
