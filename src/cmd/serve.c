/*
 * muster serve, muster role, muster config: the server's own commands.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"
#include "cmd/home.h"
#include "cmd/opt.h"
#include "role/boot.h"
#include "role/core.h"
#include "role/edge.h"
#include "role/hookd.h"
#include "role/keyd.h"
#include "role/main.h"
#include "role/signer.h"

static void
on_up(void *arg, const struct main_ports *ports)
{
	const struct config *cfg = arg;
	char http[24] = "", amqp[24] = "";
	if (ports->http)
		snprintf(http, sizeof(http), ", HTTP %u", ports->http);
	if (ports->amqp)
		snprintf(amqp, sizeof(amqp), ", AMQP %u", ports->amqp);
	printf("muster: serving %s (MQTT %u, HTTPS %u%s%s), profile %s\n",
	    cfg->server.name.v[0], ports->mqtt, ports->https, http, amqp,
	    cfg->server.profile == CONFIG_PROFILE_AZURE ? "azure" : "native");
	fflush(stdout);
}

int
cmd_serve(int argc, char **argv, struct err *e)
{
	const char *home = NULL;
	struct opt_each set = {.n = 0};
	const struct opt opts[] = {
	    {"home", "DIR", OPT_TEXT, &home,
		"home directory (default $MUSTER_HOME, ~/.muster)"},
	    {"set", "KEY=VALUE", OPT_EACH, &set,
		"section.key=value, over what muster.conf says; may be repeated"},
	    {0}};
	const struct opt_cmd cmd = {"muster serve [--home DIR] [--set KEY=VALUE]...",
	    "Runs DPS, hub, service API and EST in the foreground until SIGTERM or "
	    "SIGINT.",
	    opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	struct home h;
	if (at <= 0)
		return at;
	if (home_open(home, set.v, set.n, &h, e))
		return -1;
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	conf_dump(&config_table, &h.cfg, &text);
	struct main_opts o = {.home = h.path,
	    .cfg = &h.cfg,
	    .config_text = buf_span(&text),
	    .on_up = on_up,
	    .arg = &h.cfg};
	int rc = main_serve(&o, e);
	home_done(&h);
	return rc;
}

int
cmd_role(int argc, char **argv, struct err *e)
{
	static const struct {
		const char *name;
		int (*run)(int fd);
	} roles[] = {{"edge", edge_main}, {"core", core_main}, {"signer", signer_main},
	    {"keyd", keyd_main}, {"hookd", hookd_main}};
	for (size_t i = 0; argc == 2 && i < sizeof(roles) / sizeof(roles[0]); i++)
		if (strcmp(argv[1], roles[i].name) == 0)
			return roles[i].run(BOOT_FD);
	return err_set(
	    e, ERR_USAGE, "processes of the server are started by muster serve");
}

int
cmd_config(int argc, char **argv, struct err *e)
{
	const char *home = NULL;
	bool keys = false, man = false;
	struct opt_each set = {.n = 0};
	const struct opt opts[] = {
	    {"home", "DIR", OPT_TEXT, &home,
		"home directory (default $MUSTER_HOME, ~/.muster)"},
	    {"set", "KEY=VALUE", OPT_EACH, &set,
		"section.key=value, over what muster.conf says; may be repeated"},
	    {"keys", NULL, OPT_FLAG, &keys, "explain every key instead"},
	    {"man", NULL, OPT_FLAG, &man, "every key as text of a manual page"}, {0}};
	const struct opt_cmd cmd = {
	    "muster config [--keys | --man] [--home DIR] [--set KEY=VALUE]...",
	    "Prints the configuration in force, as muster.conf would hold it.", opts, 0,
	    0};
	int at = opt_parse(&cmd, argc, argv, e);
	auto_buf text = BUF_INIT(4 * CONF_FILE_MAX);
	struct home h;
	if (at <= 0)
		return at;
	if (keys)
		conf_help(&config_table, &text);
	if (man)
		conf_man(&config_table, &text);
	if (!keys && !man) {
		if (home_open(home, set.v, set.n, &h, e))
			return -1;
		conf_dump(&config_table, &h.cfg, &text);
		home_done(&h);
	}
	fputs(buf_text(&text), stdout);
	return 0;
}
