/*
 * Verbs of a command.
 */
#include "cmd/verb.h"

#include <stdio.h>
#include <string.h>

static int
width_of(const struct verb *verbs)
{
	size_t wide = 15;
	for (const struct verb *v = verbs; v->name; v++) {
		size_t len = strlen(v->name) + strlen(v->args) + 1;
		wide = len > wide ? len : wide;
	}
	return (int)wide;
}

static int
show_help(const char *command, const char *about, const struct verb *verbs)
{
	printf("usage: muster %s VERB [OPTIONS]\n\n%s\n\nverbs:\n", command, about);
	for (const struct verb *v = verbs; v->name; v++) {
		char left[64];
		snprintf(left, sizeof(left), "%s%s%s", v->name, v->args[0] ? " " : "",
		    v->args);
		printf("  %-*s  %s\n", width_of(verbs), left, v->help);
	}
	printf("\nmuster %s VERB --help tells a verb's options.\n", command);
	return 0;
}

int
verb_run(const char *command, const char *about, const struct verb *verbs, int argc,
    char **argv, struct err *e)
{
	if (argc < 2)
		return err_set(e, ERR_USAGE,
		    "a verb is wanted; muster %s --help lists them", command);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return show_help(command, about, verbs);
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(argv[1], v->name) == 0)
			return v->run(argc - 1, argv + 1, e);
	return err_set(
	    e, ERR_USAGE, "no verb '%s'; muster %s --help lists them", argv[1], command);
}
