#ifndef CMD_CA_H
#define CMD_CA_H
/*
 * What the verbs of muster ca share: the options of all of them, and the verbs that are
 * in files of their own.
 */
#include "cmd/home.h"
#include "cmd/remote.h"
#include "role/ca_dir.h"

struct ca_args {
	struct remote r; /* --home is in it */
	const char *purpose, *issuer_key, *alg, *cn, *passphrase_file, *csr, *chain,
	    *reason;
	bool root, cross, existing, force;
};

typedef int ca_verb(struct ca_args *a, int argc, char **argv, struct err *e);

/* ca_change.c: the directory ca/. */
ca_verb ca_change_add;
ca_verb ca_change_import;
ca_verb ca_change_request;
ca_verb ca_change_operator;
ca_verb ca_change_reload;

/* ca_server.c: a running server. argv[-1] is the verb. */
ca_verb ca_server_states;
ca_verb ca_server_put;
ca_verb ca_server_revoke;

/* ceremony.c: the root, on a machine of its own. argv[0] is "ceremony". */
must_check int ceremony_run(int argc, char **argv, struct err *e);

#endif
