/*
 * muster compliance: what breaks a policy in a running server, a page of devices a
 * request; and the policies' rows, which need no server.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "codec/uri.h"
#include "domain/compliance.h"

struct args {
	struct remote r;
	const char *policy; /* "": what the server enforces */
	bool rows;
	int64_t devices, findings;
};

/* ---- the rows ------------------------------------------------------------------------
 */

/* The two limits as text. */
struct limits {
	char high[COMPLIANCE_LIMIT_TEXT], il5[COMPLIANCE_LIMIT_TEXT];
	char asked[COMPLIANCE_ASKED_TEXT];
};

static struct limits
limits_of(const struct compliance_row *row)
{
	struct limits l;
	compliance_limit_text(&row->limit[CONFIG_COMPLIANCE_FEDRAMP_HIGH], l.high);
	compliance_limit_text(&row->limit[CONFIG_COMPLIANCE_IL5], l.il5);
	compliance_asked_text(row->asked, l.asked);
	return l;
}

static const char *
stance_of(const struct compliance_row *row)
{
	return row->supports ? "supports" : "names it";
}

static void
row_table(const struct compliance_row *row, const struct limits *l)
{
	printf("%-16s %-12s %-16s %-16s %-22s %-23s %s\n", row->name,
	    compliance_subject_name(row->subject), l->high, l->il5, l->asked,
	    row->control, row->words);
}

static void
row_markdown(const struct compliance_row *row, const struct limits *l)
{
	printf("| `%s` | %s | %s | %s | %s | %s | %s | %s |\n", row->name,
	    compliance_subject_name(row->subject), row->words, l->high, l->il5, l->asked,
	    row->control, stance_of(row));
}

static void
row_json(const struct compliance_row *row, const struct limits *l)
{
	auto_(js_free) struct js *o = js_object();
	auto_buf b = BUF_INIT(4096);
	js_set_text(o, "row", row->name);
	js_set_text(o, "subject", compliance_subject_name(row->subject));
	js_set_text(o, "fedramp-high", l->high);
	js_set_text(o, "il5", l->il5);
	js_set_text(o, "enforced", l->asked);
	js_set_text(o, "control", row->control);
	js_set_text(o, "stance", stance_of(row));
	js_set_text(o, "text", row->words);
	js_dump(o, JS_AS_BUILT, &b);
	printf("%s\n", buf_text(&b));
}

static const struct form {
	const char *name, *head;
	void (*row)(const struct compliance_row *row, const struct limits *l);
} forms[] = {
    {"table",
	"ROW              SUBJECT      FEDRAMP-HIGH     IL5              ENFORCED"
	"               CONTROL                 TEXT\n",
	row_table},
    {"json", "", row_json},
    {"markdown",
	"| row | subject | asked | fedramp-high | il5 | enforced | control | the control "
	"|\n|---|---|---|---|---|---|---|---|\n",
	row_markdown},
};

static bool
is_asked(const struct compliance_row *row, enum config_compliance policy)
{
	return policy == CONFIG_COMPLIANCE_NONE ||
	       row->limit[policy].kind != COMPLIANCE_OFF;
}

static int
show_rows(const struct args *a, struct err *e)
{
	const struct form *f = NULL;
	enum config_compliance policy = CONFIG_COMPLIANCE_NONE;
	const char *name = a->r.output ? a->r.output : "table";
	if (a->policy[0] && compliance_policy_parse(span_str(a->policy), &policy, e))
		return -1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (strcmp(name, forms[i].name) == 0)
			f = &forms[i];
	if (!f)
		return err_set(
		    e, ERR_USAGE, "--output %s: table, json or markdown", name);
	printf("%s", f->head);
	for (int i = 0; i < COMPLIANCE_N; i++) {
		const struct compliance_row *row = compliance_row((enum compliance_id)i);
		const struct limits l = limits_of(row);
		if (is_asked(row, policy))
			f->row(row, &l);
	}
	return 0;
}

/* ---- the report ----------------------------------------------------------------------
 */

static void
show_head(const struct args *a)
{
	if (a->r.json)
		printf("{\"findings\":[");
	else
		printf("%-24s %-16s %-23s %s\n", "NAME", "ROW", "CONTROL", "TEXT");
}

static void
show_finding(const struct args *a, const struct js *row)
{
	auto_buf b = BUF_INIT(65536);
	if (a->r.json) {
		js_dump(row, JS_AS_BUILT, &b);
		printf("%s\n%s", a->findings ? "," : "", buf_text(&b));
		return;
	}
	const char *name = js_as_text(js_get(row, "name"));
	printf("%-24s %-16s %-23s %s\n", name[0] ? name : "(hub)",
	    js_as_text(js_get(row, "row")), js_as_text(js_get(row, "control")),
	    js_as_text(js_get(row, "text")));
}

static void
show_tail(const struct args *a)
{
	if (a->r.json)
		printf("],\"count\":%" PRId64 ",\"devices\":%" PRId64 "}\n", a->findings,
		    a->devices);
	else
		printf("%" PRId64 " findings; %" PRId64 " devices looked at\n",
		    a->findings, a->devices);
}

static int
visit_finding(void *ctx, const struct js *row, struct err *e)
{
	struct args *a = ctx;
	(void)e;
	show_finding(a, row);
	a->findings++;
	return 0;
}

static int
get_page(struct args *a, const char **next, struct err *e)
{
	auto_buf target = BUF_INIT(4096);
	auto_(js_free) struct js *end = NULL;
	buf_str(&target, "/muster/compliance?policy=");
	uri_encode(&target, span_str(a->policy));
	buf_str(&target, "&after=");
	uri_encode(&target, span_str(*next));
	if (remote_page(
		&a->r, buf_text(&target), "compliance", visit_finding, a, &end, e))
		return -1;
	a->devices += js_as_int(js_get(end, "devices"));
	*next = arena_str(a->r.arena, js_as_str(js_get(end, "next")));
	return 0;
}

static int
show_report(struct args *a, struct err *e)
{
	const char *next = "";
	if (remote_open(&a->r, e))
		return -1;
	show_head(a);
	do {
		if (get_page(a, &next, e))
			return -1;
	} while (next[0]);
	show_tail(a);
	return a->findings ? err_row(ERR_GATE)->exit : 0;
}

int
cmd_compliance(int argc, char **argv, struct err *e)
{
	struct args a = {.policy = ""};
	const struct opt own[] = {
	    {"policy", "NAME", OPT_TEXT, &a.policy,
		"fedramp-high or il5 (default: what the server enforces)"},
	    {"rows", NULL, OPT_FLAG, &a.rows,
		"show the rows of the policies, asking no server; -o markdown too"},
	};
	enum { OWN = sizeof(own) / sizeof(own[0]) };
	struct opt rows[OWN + REMOTE_ROWS + 1] = {{0}};
	memcpy(rows, own, sizeof(own));
	remote_rows(&a.r, rows + OWN, argc, argv);
	const struct opt_cmd cmd = {"muster compliance [OPTIONS]",
	    "Shows what breaks a policy of compliance: devices, certificates, CAs, the "
	    "hub.\n"
	    "Exit status 10 where anything does.",
	    rows, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	int status = at;
	if (at > 0)
		status = a.rows ? show_rows(&a, e) : show_report(&a, e);
	remote_done(&a.r);
	return status;
}
