#ifndef CMD_OPT_H
#define CMD_OPT_H
/*
 * Options of a subcommand as a table: parser and --help come from its rows.
 */
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum opt_kind { OPT_FLAG, OPT_TEXT, OPT_INT, OPT_EACH };

struct opt {
	const char *name; /* long name, without dashes; NULL ends the table */
	const char *arg;  /* what the value is called in --help */
	enum opt_kind kind;
	void *to; /* bool *, const char **, int64_t *, struct opt_each * */
	const char *help;
	int64_t min, max; /* OPT_INT */
};

/* Collects an option that may be given several times. */
#define OPT_EACH_MAX 32
struct opt_each {
	const char *v[OPT_EACH_MAX];
	int n;
};

struct opt_cmd {
	const char *usage; /* "muster issue --devices FILE --out DIR" */
	const char *about; /* one paragraph */
	const struct opt *opts;
	int args_min, args_max; /* arguments that are no options */
};

/* argv[0] is the subcommand. Returns the index of the first argument that is no option, 0
 * when --help was shown (the caller returns status 0), -1 on wrong usage: the text says
 * what was wrong and what is allowed. */
must_check int opt_parse(const struct opt_cmd *cmd, int argc, char **argv, struct err *e);

#endif
