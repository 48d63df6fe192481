/*
 * Options of subcommands, on getopt_long.
 */
#include "cmd/opt.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"

#define ROWS_MAX 40
#define HELP     1000

static void
show_help(const struct opt_cmd *cmd)
{
	printf("usage: %s\n\n%s\n", cmd->usage, cmd->about);
	if (cmd->opts[0].name)
		printf("\noptions:\n");
	for (const struct opt *o = cmd->opts; o->name; o++) {
		char left[64];
		snprintf(left, sizeof(left), "--%s%s%s", o->name, o->arg ? " " : "",
		    o->arg ? o->arg : "");
		printf("  %-26s %s\n", left, o->help);
	}
}

static int
take(const struct opt *o, const char *value, struct err *e)
{
	struct opt_each *each = o->to;
	switch (o->kind) {
	case OPT_FLAG:
		*(bool *)o->to = true;
		return 0;
	case OPT_TEXT:
		*(const char **)o->to = value;
		return 0;
	case OPT_INT:
		if (num_parse(span_str(value), o->min, o->max, o->to, e))
			return err_wrap(e, "--%s", o->name);
		return 0;
	case OPT_EACH:
		if (each->n == OPT_EACH_MAX)
			return err_set(e, ERR_USAGE, "--%s: at most %d times", o->name,
			    OPT_EACH_MAX);
		each->v[each->n++] = value;
		return 0;
	}
	return 0;
}

int
opt_parse(const struct opt_cmd *cmd, int argc, char **argv, struct err *e)
{
	struct option rows[ROWS_MAX + 2] = {{0}};
	int n = 0;
	for (; cmd->opts[n].name && n < ROWS_MAX; n++)
		rows[n] = (struct option){.name = cmd->opts[n].name,
		    .has_arg =
			cmd->opts[n].kind == OPT_FLAG ? no_argument : required_argument,
		    .val = n};
	rows[n] = (struct option){.name = "help", .has_arg = no_argument, .val = HELP};
	optind = 0; /* glibc: start afresh */
	opterr = 0;
	for (int got; (got = getopt_long(argc, argv, ":h", rows, NULL)) != -1;) {
		if (got == HELP || got == 'h') {
			show_help(cmd);
			return 0;
		}
		if (got == ':')
			return err_set(e, ERR_USAGE, "%s wants a value; see --help",
			    argv[optind - 1]);
		if (got == '?')
			return err_set(e, ERR_USAGE, "no option %s here; usage: %s",
			    argv[optind - 1], cmd->usage);
		if (take(&cmd->opts[got], optarg, e))
			return -1;
	}
	int args = argc - optind;
	if (args < cmd->args_min || args > cmd->args_max)
		return err_set(e, ERR_USAGE, "%s%s; usage: %s",
		    args < cmd->args_min ? "an argument is missing" : "too much: ",
		    args < cmd->args_min ? "" : argv[optind + cmd->args_max], cmd->usage);
	return optind;
}
