/*
 * muster: the subcommand table. main only looks the word up.
 */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/output.h"
#include "crypto/tls.h"

struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv, struct err *e);
	const char *help; /* NULL: not shown */
};

static int cmd_help(int argc, char **argv, struct err *e);
static int cmd_version(int argc, char **argv, struct err *e);

static const struct subcommand subcommands[] = {
    {"init", cmd_init, "make a home: CA, operator certificate, configuration, database"},
    {"serve", cmd_serve, "run the server (DPS, hub, service API, EST)"},
    {"ca", cmd_ca, "show, list and verify the CA; verify the issuance journal"},
    {"key", cmd_key, "keys in files, tokens and TPMs: make, list, test, remove"},
    {"issue", cmd_issue, "keys and certificates for a list of devices, made here"},
    {"est", cmd_est, "enrolment: one-time tokens, approval, late renewals"},
    {"operator", cmd_operator, "who may run the server: roles and secrets"},
    {"revoke", cmd_revoke,
	"revoke a device: certificates, identity, enrollment, session"},
    {"crl", cmd_crl, "list, publish and import revocation lists"},
    {"health", cmd_health, "what of a running server needs somebody"},
    {"certificates", cmd_certificates,
	"what was issued: state, end, last seen, custody of the key"},
    {"compliance", cmd_compliance,
	"what breaks FedRAMP High or IL5, and the rows they ask"},
    {"device", cmd_device, "the devices of a hub: list, make, change, twin, method"},
    {"group", cmd_group, "enrollment groups of a provisioning service"},
    {"enrollment", cmd_enrollment, "individual enrollments"},
    {"registration", cmd_registration, "who has registered, and to which hub"},
    {"hub", cmd_hub, "the hub: its properties and switches"},
    {"dps", cmd_dps, "the provisioning service and its linked hubs"},
    {"events", cmd_events, "what devices sent"},
    {"connections", cmd_connections, "who came, went and was refused"},
    {"migrate", cmd_migrate, "take a fleet from SAS to X.509: plan, run, verify, seal"},
    {"lab", cmd_lab, "a simulated fleet on this machine"},
    {"config", cmd_config, "print the configuration in force, or explain its keys"},
    {"version", cmd_version, "print the version"},
    {"help", cmd_help, "this text"},
    {"role", cmd_role, NULL},
};

static const struct subcommand *
find(const char *name)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(subcommands[i].name, name) == 0)
			return &subcommands[i];
	return NULL;
}

static int
cmd_help(int argc, char **argv, struct err *e)
{
	(void)argc;
	(void)argv;
	(void)e;
	printf("usage: muster COMMAND [OPTIONS]\n\n"
	       "Takes an IoT fleet off shared keys and onto X.509 "
	       "certificates.\n\ncommands:\n");
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (subcommands[i].help)
			printf("  %-13s %s\n", subcommands[i].name, subcommands[i].help);
	printf("\nmuster COMMAND --help tells its options.\n");
	return 0;
}

static int
cmd_version(int argc, char **argv, struct err *e)
{
	(void)argc;
	(void)argv;
	(void)e;
	printf("muster %s\n", MUSTER_VERSION);
	return 0;
}

/* Secrets, tokens and keys pass through here; what is left of a crash lies about. */
static void
leave_no_core(void)
{
	static const struct rlimit none = {0, 0};
	(void)setrlimit(RLIMIT_CORE, &none);
}

int
main(int argc, char **argv)
{
	static const char *const aliases[][2] = {
	    {"--help", "help"}, {"-h", "help"}, {"--version", "version"}};
	struct err e = {0};
	const char *name = argc > 1 ? argv[1] : "help";
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(name, aliases[i][0]) == 0)
			name = aliases[i][1];
	const struct subcommand *sub = find(name);
	if (!sub) {
		fprintf(
		    stderr, "muster: no command '%s'; muster help lists them\n", name);
		return err_row(ERR_USAGE)->exit;
	}
	leave_no_core();
	int status = tls_init(&e) ? -1 : sub->run(argc - 1, argv + 1, &e);
	if (status == 0)
		status = output_check(&e);
	if (status >= 0)
		return status;
	fprintf(stderr, "muster %s: %s\n", sub->name, e.text);
	return err_row(e.code)->exit;
}
