/*
 * muster migrate: the verbs of a campaign, a row each. Options common to all of them name
 * the server, the operator and the campaign.
 */
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/opt.h"
#include "fleet/plan.h"
#include "fleet/rollback.h"
#include "fleet/run.h"
#include "fleet/seal.h"
#include "fleet/summary.h"
#include "fleet/verify.h"
#include "io/file.h"
#include "io/loop.h"

#define WINDOW_MAX_MS (INT64_C(3650) * 24 * 3600 * 1000)
#define ROWS_MAX      32

struct args {
	struct arena *arena;
	struct migration_opts o;
	struct plan_opts plan;
	struct run_opts run;
	struct seal_opts seal;
	const char *output, *window, *device, *resume;
	struct opt_each options;
	int64_t wave;
	struct opt rows[ROWS_MAX];
	size_t n_rows;
};

/* ---- options ---- */

static void
row(struct args *a, const char *name, const char *arg, enum opt_kind kind, void *to,
    const char *help)
{
	a->rows[a->n_rows++] = (struct opt){name, arg, kind, to, help, 0, 0};
}

static void
number(struct args *a, const char *name, int64_t *to, int64_t min, int64_t max,
    const char *help)
{
	a->rows[a->n_rows++] = (struct opt){name, "N", OPT_INT, to, help, min, max};
}

static void
common_rows(struct args *a)
{
	struct target_opts *t = &a->o.target;
	row(a, "home", "DIR", OPT_TEXT, &t->home,
	    "home directory (default $MUSTER_HOME, ~/.muster)");
	row(a, "campaign", "DIR", OPT_TEXT, &a->o.dir,
	    "directory of the campaign (default HOME/campaign)");
	row(a, "output", "FORM", OPT_TEXT, &a->output, "table or json; -o for short");
	row(a, "target", "NAME", OPT_TEXT, &a->o.target_name,
	    "a section of HOME/targets.conf (default: the home's server); kept in the "
	    "campaign");
	row(a, "server", "URL", OPT_TEXT, &t->server,
	    "https://host:port of hub and DPS (default: the home's server)");
	row(a, "mqtt", "ADDR", OPT_TEXT, &t->mqtt,
	    "host:port of MQTT (default: the server's host, 8883)");
	row(a, "ca", "FILE", OPT_TEXT, &t->ca,
	    "CA of the server, PEM (default HOME/ca/root.pem)");
	row(a, "operator", "NAME", OPT_TEXT, &t->operator,
	    "certificate in HOME/operators (default admin)");
	row(a, "cert", "FILE", OPT_TEXT, &t->cert,
	    "operator's certificate, PEM (default HOME/operators/NAME.pem)");
	row(a, "key", "FILE", OPT_TEXT, &t->key,
	    "operator's key, PEM (default HOME/operators/NAME.key)");
	row(a, "hub-resource", "PATH", OPT_TEXT, &t->resource,
	    "resource manager's path of the hub (default: the home's)");
}

static void
ssh_rows(struct args *a)
{
	row(a, "ssh", "PROGRAM", OPT_TEXT, &a->o.ssh.program,
	    "OpenSSH's client (default ssh)");
	row(a, "ssh-config", "FILE", OPT_TEXT, &a->o.ssh.config,
	    "configuration file of ssh (its -F)");
	row(a, "ssh-option", "KEY=VALUE", OPT_EACH, &a->options,
	    "an option of ssh (its -o); may be repeated");
	row(a, "known-hosts", "FILE", OPT_TEXT, &a->o.ssh.known_hosts,
	    "host keys of devices whose inventory line has none");
	row(a, "remote-command", "TEXT", OPT_TEXT, &a->o.ssh.command,
	    "what runs on the device (default muster-agent session)");
	number(a, "parallel", &a->o.parallel, 1, MIGRATION_PARALLEL_MAX,
	    "devices at once (default 50)");
}

static void
plan_rows(struct args *a)
{
	ssh_rows(a);
	row(a, "inventory", "FILE", OPT_TEXT, &a->plan.inventory,
	    "device_id,address,user[,host_key] (default: the lab's)");
	row(a, "waves", "LIST", OPT_TEXT, &a->plan.waves,
	    "how much is done after each wave, as 5,10%,50%,100% (default: a pilot, then "
	    "these shares)");
	row(a, "group", "NAME", OPT_TEXT, &a->plan.group,
	    "X.509 enrollment group (default " MIGRATION_GROUP ")");
	row(a, "in-order", NULL, OPT_FLAG, &a->plan.in_order,
	    "take devices in the inventory's order, not in a drawn one");
	number(a, "seed", &a->plan.seed, 1, INT64_MAX,
	    "draw the order with this seed, to have a plan again");
}

static void
run_rows(struct args *a)
{
	struct gate_limits *l = &a->run.limits;
	ssh_rows(a);
	row(a, "pause", NULL, OPT_FLAG, &a->run.pause, "stop after a wave, for a human");
	number(a, "max-failures", &l->failed_pct, 0, 100,
	    "failed devices a wave may have, percent (default 5; one is always allowed)");
	number(a, "max-silent", &l->silent_max, 0, INT32_MAX,
	    "switched devices that may be silent (default 0)");
	number(a, "max-fallbacks", &l->fallback_max, 0, INT32_MAX,
	    "devices that may come back with SAS (default 0)");
	row(a, "resume-timeout", "TIME", OPT_TEXT, &a->resume,
	    "how long a switched device may take to be heard (default 5m, Azure 15m)");
	row(a, "rolled-back", NULL, OPT_FLAG, &a->run.rolled_back,
	    "take devices that were rolled back again");
}

static void
rollback_rows(struct args *a)
{
	ssh_rows(a);
	row(a, "device", "ID", OPT_TEXT, &a->device, "one device");
	number(a, "wave", &a->wave, 1, 64, "all devices of a wave");
}

static void
verify_rows(struct args *a)
{
	row(a, "sas-window", "TIME", OPT_TEXT, &a->window,
	    "no SAS connection for so long (default 24h), or \"promotion\": for each "
	    "device "
	    "since its own switch");
	row(a, "keep-module-sas", NULL, OPT_FLAG, &a->seal.keep_modules,
	    "modules go on with SAS (IoT Edge cannot do without)");
}

static void
seal_rows(struct args *a)
{
	verify_rows(a);
	row(a, "keep-hub-policies", NULL, OPT_FLAG, &a->seal.keep_hub,
	    "stop after the devices' stage");
	row(a, "cut-dps", NULL, OPT_FLAG, &a->seal.cut_dps,
	    "shut the hub's policies although the provisioning service is linked by one");
}

static void
no_rows(struct args *a)
{
}

/* ---- what they stand for ---- */

static int
take_window(struct args *a, int64_t *ret_ms, struct err *e)
{
	*ret_ms = VERIFY_WINDOW_MS;
	if (!a->window)
		return 0;
	if (strcmp(a->window, "promotion") == 0) {
		*ret_ms = VERIFY_PROMOTION;
		return 0;
	}
	if (num_parse_duration_ms(span_str(a->window), 1, WINDOW_MAX_MS, ret_ms, e))
		return err_wrap(e, "--sas-window");
	return 0;
}

static int
take_common(struct args *a, struct err *e)
{
	const char *home = target_home(a->o.target.home, a->arena);
	a->o.target.home = home;
	if (!a->o.dir)
		a->o.dir = arena_printf(a->arena, "%s/campaign", home);
	if (a->output && strcmp(a->output, "json") != 0 &&
	    strcmp(a->output, "table") != 0)
		return err_set(e, ERR_USAGE, "--output %s: table or json", a->output);
	a->o.json = a->output && strcmp(a->output, "json") == 0;
	for (int i = 0; i < a->options.n; i++)
		a->o.ssh.option[a->o.ssh.n_options++] = a->options.v[i];
	if (a->resume && num_parse_duration_ms(span_str(a->resume), 1000, WINDOW_MAX_MS,
			     &a->o.resume_ms, e))
		return err_wrap(e, "--resume-timeout");
	return 0;
}

static int
do_plan(struct args *a, struct err *e)
{
	const char *home = a->o.target.home;
	const char *lab = arena_printf(a->arena, "%s/lab/ssh_config", home);
	if (!a->plan.inventory) {
		a->plan.inventory = arena_printf(a->arena, "%s/lab/inventory.csv", home);
		if (!a->o.ssh.config && file_exists(lab))
			a->o.ssh.config = lab;
	}
	a->plan.known_hosts = a->o.ssh.known_hosts;
	a->o.ssh.program = a->o.ssh.program ? a->o.ssh.program : "ssh";
	a->o.ssh.command = a->o.ssh.command ? a->o.ssh.command : "muster-agent session";
	return plan_make(&a->o, &a->plan, e);
}

static int
do_run(struct args *a, struct err *e)
{
	struct migration m;
	int failed = migration_open(&m, &a->o, true, e) ||
		     migration_ssh(&m, &a->o.ssh, e) || run_campaign(&m, &a->run, e);
	migration_done(&m);
	return failed ? -1 : 0;
}

static int
set_paused(struct args *a, bool paused, struct err *e)
{
	struct migration m;
	int failed = migration_open_file(&m, &a->o, e) ||
		     migration_put_int(&m, "paused", paused, e);
	migration_done(&m);
	return failed ? -1 : 0;
}

static int
do_pause(struct args *a, struct err *e)
{
	if (set_paused(a, true, e))
		return -1;
	printf("paused: devices under way are finished, no new one begins; muster "
	       "migrate resume "
	       "goes on\n");
	return 0;
}

static int
do_resume(struct args *a, struct err *e)
{
	return set_paused(a, false, e) ? -1 : do_run(a, e);
}

static int
do_status(struct args *a, struct err *e)
{
	struct migration m;
	int failed = migration_open_file(&m, &a->o, e) || summary_status(&m, e);
	migration_done(&m);
	return failed ? -1 : 0;
}

static int
do_rollback(struct args *a, struct err *e)
{
	struct migration m;
	if (!a->device == !a->wave)
		return err_set(e, ERR_USAGE, "one of --device and --wave is wanted");
	int failed = migration_open(&m, &a->o, true, e) ||
		     migration_ssh(&m, &a->o.ssh, e) ||
		     rollback_run(&m, a->device, a->wave, e);
	migration_done(&m);
	return failed ? -1 : 0;
}

static int
do_verify(struct args *a, struct err *e)
{
	struct migration m;
	struct verify_report report;
	int64_t window;
	if (take_window(a, &window, e))
		return -1;
	int failed = migration_open(&m, &a->o, false, e) ||
		     verify_fleet(&m, window, a->seal.keep_modules, &report, e) ||
		     summary_count(&m, "after", e) || summary_write(&m, e);
	if (!failed) {
		verify_print(&m, &report);
		failed = (a->o.json && summary_print(&m, e)) || verify_judge(&report, e);
	}
	migration_done(&m);
	return failed ? -1 : 0;
}

static int
do_seal(struct args *a, struct err *e)
{
	struct migration m;
	if (take_window(a, &a->seal.window_ms, e))
		return -1;
	int failed = migration_open(&m, &a->o, true, e) || seal_fleet(&m, &a->seal, e);
	migration_done(&m);
	return failed ? -1 : 0;
}

static const struct verb {
	const char *name, *about;
	void (*rows)(struct args *a);
	int (*run)(struct args *a, struct err *e);
} verbs[] = {
    {"plan", "compare inventory and hub, draw the waves, make the campaign", plan_rows,
	do_plan},
    {"run", "migrate wave after wave; goes on where it stopped", run_rows, do_run},
    {"status", "how far the campaign is, and which devices failed, why", no_rows,
	do_status},
    {"pause", "have a running campaign begin no new device", no_rows, do_pause},
    {"resume", "end a pause and go on", run_rows, do_resume},
    {"rollback", "a device or a wave back to SAS, proved", rollback_rows, do_rollback},
    {"verify", "is the whole fleet on X.509? by the hub's records", verify_rows,
	do_verify},
    {"seal", "turn SAS off, in stages, each proved", seal_rows, do_seal},
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int
help(void)
{
	printf(
	    "usage: muster migrate VERB [OPTIONS]\n\nTakes a fleet from SAS to X.509.\n\n"
	    "verbs:\n");
	for (size_t i = 0; i < N_VERBS; i++)
		printf("  %-10s %s\n", verbs[i].name, verbs[i].about);
	printf(
	    "\nThe usual way: plan, run (again, until no device is left), verify, seal.\n"
	    "muster migrate VERB --help tells its options.\n");
	return 0;
}

static const struct verb *
find(const char *name)
{
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	return NULL;
}

static int
run_verb(const struct verb *v, struct args *a, int argc, char **argv, struct err *e)
{
	struct opt_cmd cmd = {
	    .usage = arena_printf(a->arena, "muster migrate %s [OPTIONS]", v->name),
	    .about = v->about,
	    .opts = a->rows,
	};
	common_rows(a);
	v->rows(a);
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	return take_common(a, e) ? -1 : v->run(a, e);
}

int
cmd_migrate(int argc, char **argv, struct err *e)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help();
	const struct verb *v = find(name);
	if (!v)
		return err_set(
		    e, ERR_USAGE, "no verb '%s'; muster migrate --help lists them", name);
	static char output[] = "--output";
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = output;
	struct args a = {.arena = arena_new(1024 * 1024)};
	a.o.parallel = MIGRATION_PARALLEL;
	a.o.ssh.connect_s = 15;
	a.run.limits = GATE_LIMITS_DEFAULT;
	int status = run_verb(v, &a, argc - 1, argv + 1, e);
	arena_free(a.arena);
	return status;
}
