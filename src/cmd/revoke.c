/*
 * muster revoke: one order, up to five effects, each reported.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/remote.h"
#include "codec/js.h"
#include "fleet/revoker.h"

struct args {
	struct revoker_order o;
	bool undo, allow;
	struct cmd_alarm alarm;
};

static const struct render_column columns[] = {
    {"EFFECT", "name", RENDER_TEXT, 0},
    {"STATE", "state", RENDER_TEXT, 0},
    {"DETAIL", "text", RENDER_TEXT, 0}, /* never cut: it says what is left to do */
    {NULL, NULL, RENDER_TEXT, 0},
};

static struct js *
effects(const struct revoker_report *r)
{
	struct js *list = js_array();
	for (int i = 0; i < REVOKER_EFFECTS; i++) {
		struct js *o = js_object();
		js_set_text(o, "name", revoker_effect_name((enum revoker_effect)i));
		js_set_text(o, "state", r->effect[i].state);
		js_set_text(o, "text", r->effect[i].text);
		js_append(list, o);
	}
	return list;
}

static void
show(const struct remote *r, const struct revoker_report *report)
{
	auto_(js_free) struct js *list = effects(report);
	if (r->json) {
		remote_print(list);
		return;
	}
	struct render *t = render_new(columns, r->form, stdout, render_width(stdout));
	for (size_t i = 0; i < js_len(list); i++)
		render_row(t, js_at(list, i));
	render_free(t);
}

static int
check_args(const struct args *a, struct err *e)
{
	if (!a->o.device[0] && !a->o.thumbprint[0])
		return err_set(
		    e, ERR_USAGE, "DEVICE, --thumbprint or --issuer is wanted");
	if (a->undo && a->o.reason[0])
		return err_set(e, ERR_USAGE, "--undo ends a hold and takes no --reason");
	if (!a->allow)
		return 0;
	if (!a->o.device[0] || a->o.thumbprint[0] || a->o.reason[0] || a->undo ||
	    a->o.only_certificate)
		return err_set(e, ERR_USAGE,
		    "--allow is for a DEVICE: no --thumbprint, --reason, --undo or "
		    "--only-certificate");
	return a->o.comment[0] ? 0
			       : err_set(e, ERR_USAGE,
				     "--allow wants a --comment: why it may enrol again");
}

/* The target's own kind; "azure" where no section of targets.conf is called so: the
 * server of the home, through Azure's service API alone. */
static int
open_target(struct remote *r, enum targets_kind *ret, struct err *e)
{
	const char *name = r->target;
	if (name && strcmp(name, "azure") == 0) {
		bool known;
		if (service_is_known(name, &r->opts, r->arena, &known, e))
			return -1;
		r->target = known ? name : NULL;
	}
	if (remote_open_any(r, e))
		return -1;
	*ret = name && !r->target ? TARGETS_AZURE : service_kind(r->service);
	return 0;
}

static int
run(struct remote *r, const struct args *a, struct err *e)
{
	enum revoker_verb verb = a->allow  ? REVOKER_ALLOW
				 : a->undo ? REVOKER_UNDO
					   : REVOKER_REVOKE;
	struct revoker_report report;
	enum targets_kind kind;
	if (check_args(a, e) || open_target(r, &kind, e) ||
	    revoker_run(
		revoker_find(kind), verb, r->service, &a->o, r->arena, &report, e))
		return -1;
	show(r, &report);
	return 0;
}

static int
run_issuer(struct remote *r, struct args *a, struct err *e)
{
	if (a->o.device[0] || a->o.thumbprint[0] || a->undo || a->allow ||
	    a->o.only_certificate)
		return err_set(e, ERR_USAGE,
		    "--issuer revokes a CA of muster's, for ever: no DEVICE, no "
		    "--thumbprint, --only-certificate, --undo or --allow");
	r->tsv = false; /* what it says is no table */
	a->alarm.reason = a->o.reason;
	a->alarm.comment = a->o.comment;
	return remote_open(r, e) ? -1 : cmd_revoke_issuer(r, &a->alarm, e);
}

int
cmd_revoke(int argc, char **argv, struct err *e)
{
	struct args a = {
	    .o = {.device = "", .thumbprint = "", .reason = "", .comment = ""}};
	const struct opt own[] = {{"thumbprint", "SHA256", OPT_TEXT, &a.o.thumbprint,
				      "this certificate alone, of all the device has"},
	    {"reason", "REASON", OPT_TEXT, &a.o.reason,
		"keyCompromise, superseded, cessationOfOperation, affiliationChanged, "
		"privilegeWithdrawn, certificateHold or unspecified (default)"},
	    {"only-certificate", NULL, OPT_FLAG, &a.o.only_certificate,
		"leave identity and enrollment as they are"},
	    {"undo", NULL, OPT_FLAG, &a.undo, "end a certificateHold"},
	    {"allow", NULL, OPT_FLAG, &a.allow,
		"let the ID of a device that was revoked for good enrol again; its "
		"certificates stay revoked. Wants a --comment"},
	    {"comment", "TEXT", OPT_TEXT, &a.o.comment,
		"for the record; at most 200 characters"},
	    {"issuer", "CA", OPT_TEXT, &a.alarm.issuer,
		"revoke a CA, and call all of its devices to another (see muster ca "
		"drill)"},
	    {"to", "CA", OPT_TEXT, &a.alarm.to,
		"issuer: the CA that goes on (default: the best there is)"},
	    {"since", "TIME", OPT_TEXT, &a.alarm.since,
		"issuer: when it began, or how long ago: what was issued since does not "
		"come back"},
	    {"spread", "TIME", OPT_TEXT, &a.alarm.spread,
		"issuer: over which time the devices are called (default: as the server "
		"bears)"},
	    {"force", NULL, OPT_FLAG, &a.alarm.force,
		"issuer: also where your own certificate is of that CA"},
	    {0}};
	auto_remote r = {0};
	const struct opt_cmd cmd = {"muster revoke [DEVICE] [OPTIONS]",
	    "Revokes a device: its certificates (CRL, OCSP), its identity, its "
	    "enrollment,\n"
	    "its open session. Doing it again changes nothing.",
	    own, 0, 1};
	int at = remote_parse(&r, &cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (at < argc)
		a.o.device = argv[at];
	return a.alarm.issuer ? run_issuer(&r, &a, e) : run(&r, &a, e);
}
