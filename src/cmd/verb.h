#ifndef CMD_VERB_H
#define CMD_VERB_H
/*
 * Commands of several verbs, each with options of its own: a row a verb.
 */
#include "base/err.h"

struct verb {
	const char *name; /* NULL ends the table */
	const char *args; /* as --help writes them: "ID NAME" */
	const char *help;
	int (*run)(int argc, char **argv, struct err *e); /* argv[0] is the verb */
};

/* Looks argv[1] up and runs it; its own --help is the verb's. What run returns. */
must_check int verb_run(const char *command, const char *about, const struct verb *verbs,
    int argc, char **argv, struct err *e);

#endif
