#ifndef CMD_CMD_H
#define CMD_CMD_H
/*
 * The subcommands, a file each. argv[0] is the subcommand's name. Each returns its exit
 * status, or -1 with an error that main prints in one line and turns into a status
 * (docs/exit-status.md). To add one: a file, a line here, a row in main.c.
 */
#include "base/err.h"

int cmd_init(int argc, char **argv, struct err *e);
int cmd_serve(int argc, char **argv, struct err *e);
int cmd_ca(int argc, char **argv, struct err *e);
int cmd_key(int argc, char **argv, struct err *e);
int cmd_issue(int argc, char **argv, struct err *e);
int cmd_migrate(int argc, char **argv, struct err *e);
int cmd_lab(int argc, char **argv, struct err *e);
int cmd_est(int argc, char **argv, struct err *e);
int cmd_revoke(int argc, char **argv, struct err *e);
int cmd_compliance(int argc, char **argv, struct err *e);
int cmd_config(int argc, char **argv, struct err *e);
/* A process of the server, started by muster itself: muster role NAME, with descriptor 3.
 */
int cmd_role(int argc, char **argv, struct err *e);

#endif
