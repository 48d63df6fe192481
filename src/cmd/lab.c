/*
 * muster lab: a simulated fleet on this machine.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "lab/field.h"
#include "lab/lab.h"

#define TELEMETRY_MAX_MS (INT64_C(24) * 3600 * 1000)

struct args {
	struct lab_opts o;
	const char *home, *output, *device, *telemetry;
	int64_t port;
	char path[HOME_PATH];
};

static int
do_up(struct args *a, struct err *e)
{
	a->o.telemetry_ms = 10000;
	if (a->telemetry && num_parse_duration_ms(span_str(a->telemetry), 100,
				TELEMETRY_MAX_MS, &a->o.telemetry_ms, e))
		return err_wrap(e, "--telemetry");
	return lab_up(&a->o, e);
}

static int
do_status(struct args *a, struct err *e)
{
	return lab_status(&a->o, e);
}

static int
do_mend(struct args *a, struct err *e)
{
	return lab_mend(&a->o, a->device, e);
}

static int
do_down(struct args *a, struct err *e)
{
	return lab_down(&a->o, e);
}

static int
do_field(struct args *a, struct err *e)
{
	return field_run(a->o.home, a->port, e);
}

enum { UP = 1, STATUS = 2, MEND = 4, DOWN = 8, FIELD = 16, ALL = 31 };

static const struct verb {
	const char *name, *about;
	unsigned bit;
	int (*run)(struct args *a, struct err *e);
} verbs[] = {
    {"up", "server, simulated SAS devices and the sshd through which each is reached", UP,
	do_up},
    {"status", "what runs, and how the devices are connected", STATUS, do_status},
    {"mend", "end a device's fault", MEND, do_mend},
    {"down", "stop all that lab up started", DOWN, do_down},
    {"field", NULL, FIELD, do_field}, /* the process behind lab up */
};
#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static int
help(void)
{
	printf(
	    "usage: muster lab VERB [OPTIONS]\n\nA simulated fleet on this machine.\n\n"
	    "verbs:\n");
	for (size_t i = 0; i < N_VERBS; i++)
		if (verbs[i].about)
			printf("  %-8s %s\n", verbs[i].name, verbs[i].about);
	printf("\nmuster lab VERB --help tells its options.\n");
	return 0;
}

static int
run_verb(const struct verb *v, int argc, char **argv, struct err *e)
{
	struct args a = {.o = {0}};
	const struct {
		unsigned verbs;
		struct opt opt;
	} all[] = {
	    {ALL, {"home", "DIR", OPT_TEXT, &a.home,
		      "home directory (default $MUSTER_HOME, ~/.muster)"}},
	    {UP | STATUS,
		{"output", "FORM", OPT_TEXT, &a.output, "table or json; -o for short"}},
	    {UP, {"devices", "N", OPT_INT, &a.o.devices, "how many (default 10)", 1,
		     LAB_DEVICES_MAX}},
	    {UP, {"fault", "ID=disk-full", OPT_TEXT, &a.o.fault,
		     "gives one device a full disk: it takes no byte any more"}},
	    {UP, {"telemetry", "TIME", OPT_TEXT, &a.telemetry,
		     "time between two messages of a device (default 10s)"}},
	    {MEND, {"device", "ID", OPT_TEXT, &a.device, "one device (default: all)"}},
	    {FIELD, {"port", "N", OPT_INT, &a.port, "of the devices' sshd", 1, 65535}},
	};
	struct opt rows[sizeof(all) / sizeof(all[0]) + 1] = {{0}};
	size_t n = 0;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].verbs & v->bit)
			rows[n++] = all[i].opt;
	char usage[64];
	snprintf(usage, sizeof(usage), "muster lab %s [OPTIONS]", v->name);
	const struct opt_cmd cmd = {usage, v->about ? v->about : "", rows, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (a.output && strcmp(a.output, "json") != 0 && strcmp(a.output, "table") != 0)
		return err_set(e, ERR_USAGE, "--output %s: table or json", a.output);
	if (home_find(a.home, a.path, e))
		return -1;
	a.o.home = a.path;
	a.o.json = a.output && strcmp(a.output, "json") == 0;
	return v->run(&a, e);
}

int
cmd_lab(int argc, char **argv, struct err *e)
{
	const char *name = argc > 1 ? argv[1] : "--help";
	static char output[] = "--output";
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return help();
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "-o") == 0)
			argv[i] = output;
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return run_verb(&verbs[i], argc - 1, argv + 1, e);
	return err_set(e, ERR_USAGE, "no verb '%s'; muster lab --help lists them", name);
}
