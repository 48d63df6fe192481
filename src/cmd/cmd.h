#ifndef CMD_CMD_H
#define CMD_CMD_H
/*
 * The subcommands, a file each. argv[0] is the subcommand's name. Each returns its exit
 * status, or -1 with an error that main prints in one line and turns into a status
 * (docs/exit-status.md). To add one: a file, a line here, a row in main.c.
 */
#include <stdbool.h>

#include "base/err.h"

struct remote;

int cmd_init(int argc, char **argv, struct err *e);
int cmd_serve(int argc, char **argv, struct err *e);
int cmd_ca(int argc, char **argv, struct err *e);
int cmd_key(int argc, char **argv, struct err *e);
int cmd_issue(int argc, char **argv, struct err *e);
int cmd_migrate(int argc, char **argv, struct err *e);
int cmd_lab(int argc, char **argv, struct err *e);
int cmd_est(int argc, char **argv, struct err *e);
int cmd_operator(int argc, char **argv, struct err *e);
int cmd_revoke(int argc, char **argv, struct err *e);
int cmd_crl(int argc, char **argv, struct err *e);
int cmd_health(int argc, char **argv, struct err *e);
/* Verbs of muster ca that have a file of their own; argv[0] is the verb. */
int cmd_rollover(int argc, char **argv, struct err *e);
int cmd_drill(int argc, char **argv, struct err *e);
int cmd_certificates(int argc, char **argv, struct err *e);
int cmd_compliance(int argc, char **argv, struct err *e);
int cmd_device(int argc, char **argv, struct err *e);
int cmd_group(int argc, char **argv, struct err *e);
int cmd_enrollment(int argc, char **argv, struct err *e);
int cmd_registration(int argc, char **argv, struct err *e);
int cmd_hub(int argc, char **argv, struct err *e);
int cmd_dps(int argc, char **argv, struct err *e);
int cmd_events(int argc, char **argv, struct err *e);
int cmd_connections(int argc, char **argv, struct err *e);
int cmd_config(int argc, char **argv, struct err *e);
/* A process of the server, started by muster itself: muster role NAME, with descriptor 3.
 */
int cmd_role(int argc, char **argv, struct err *e);

/* What muster revoke --issuer and muster ca revoke do; texts NULL or "" where not given.
 * r is open. */
struct cmd_alarm {
	const char *issuer, *to, *reason, *since, *spread, *comment;
	bool force;
};
int cmd_revoke_issuer(struct remote *r, const struct cmd_alarm *m, struct err *e);

#endif
