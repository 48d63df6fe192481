/*
 * muster-agent: the program on the device. A subcommand table; main only looks the word
 * up.
 */
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/agent_config.h"
#include "agent/control.h"
#include "agent/credential.h"
#include "agent/provision.h"
#include "agent/renew_live.h"
#include "agent/session.h"
#include "base/log.h"
#include "cmd/opt.h"
#include "codec/js.h"
#include "crypto/cert.h"
#include "io/file.h"
#include "io/loop.h"

#define KEY_TEXT_MAX 256
#define STATUS_MS    10000
#define TURN_MS      30000 /* what a person waits for a renewal that is under way */
#define DEVICE_DIR   "/var/lib/muster-agent" /* what muster migrate's default counts on */
#define DIR_HELP     "the device directory (default " DEVICE_DIR ")"

/* --- options that several share --- */

static int
need(const char *value, const char *name, struct err *e)
{
	return value && *value ? 0 : err_set(e, ERR_USAGE, "--%s is missing", name);
}

/* Parses --dir alone. 1: go on; 0: help was shown; -1. */
static int
parse_dir(const char *usage, const char *about, int argc, char **argv, const char **ret,
    struct err *e)
{
	const struct opt opts[] = {{"dir", "DIR", OPT_TEXT, ret, DIR_HELP}, {0}};
	const struct opt_cmd cmd = {usage, about, opts, 0, 0};
	*ret = DEVICE_DIR;
	int at = opt_parse(&cmd, argc, argv, e);
	return at <= 0 ? at : need(*ret, "dir", e) ? -1 : 1;
}

static void
set_log(const struct agent_config *cfg)
{
	static const enum log_level levels[] = {LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG};
	log_level(levels[cfg->agent.log_level]);
	log_json(cfg->agent.log_format == AGENT_CONFIG_LOG_JSON);
	log_role("agent");
}

/* --- init --- */

struct init_opts {
	const char *dir, *id, *dps_host, *id_scope, *ca_file, *key_file;
	bool no_sas;
	struct opt_each set;
};

/* The key from a file that is ours alone, or from standard input: never from argv, which
 * every user of the machine can read. */
static int
read_key(const char *file, struct buf *out, struct err *e)
{
	out->secret = true;
	if (file)
		return file_read_secret(file, out, e);
	if (isatty(STDIN_FILENO))
		fprintf(
		    stderr, "muster-agent: the device's SAS key (Base64), then Enter: ");
	while (!span_has(buf_span(out), '\n')) {
		uint8_t *room = buf_room(out, 64);
		ssize_t n = room ? read(STDIN_FILENO, room, 64) : -1;
		if (n < 0)
			return err_set(e, ERR_PARSE, "standard input: not a SAS key");
		if (n == 0)
			return 0;
		buf_grew(out, (size_t)n);
	}
	return 0;
}

static int
set_each(
    const struct opt_each *set, struct agent_config *cfg, struct arena *a, struct err *e)
{
	for (int i = 0; i < set->n; i++) {
		struct span rest = span_str(set->v[i]);
		struct span name = span_split(&rest, '=');
		if (!rest.p)
			return err_set(e, ERR_USAGE, "--set %s: no '='", set->v[i]);
		if (conf_set(&agent_config_table, name, rest, cfg, a, e))
			return -1;
	}
	return 0;
}

static int
init_config(
    const struct init_opts *o, struct agent_config *cfg, struct arena *a, struct err *e)
{
	agent_config_defaults(cfg, a);
	cfg->device.id = o->id;
	if (o->dps_host)
		cfg->dps.host = o->dps_host;
	if (o->id_scope)
		cfg->dps.id_scope = o->id_scope;
	return set_each(&o->set, cfg, a, e) || agent_config_check(cfg, e) ? -1 : 0;
}

static int
init_ca(const struct init_opts *o, struct err *e)
{
	char path[PATH_MAX];
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	auto_cert_list list = {.n = 0};
	if ((size_t)snprintf(path, sizeof(path), "%s/ca.pem", o->dir) >= sizeof(path))
		return err_set(e, ERR_LIMIT, "%s: path too long", o->dir);
	if (file_read(o->ca_file, &pem, e) ||
	    cert_list_parse(buf_span(&pem), o->ca_file, &list, e) ||
	    file_mkdir(o->dir, 0700, e))
		return -1;
	return file_write(path, buf_span(&pem), 0644, e);
}

/* Before anything is written: a living device's trust anchors are not replaced. */
static int
check_vacant(const char *dir, struct err *e)
{
	char path[PATH_MAX];
	if ((size_t)snprintf(path, sizeof(path), "%s/active", dir) >= sizeof(path))
		return err_set(e, ERR_LIMIT, "%s: path too long", dir);
	if (file_exists(path))
		return err_set(e, ERR_EXISTS, "%s: a device lives there already", dir);
	return 0;
}

static int
init_device(const struct init_opts *o, struct arena *a, struct err *e)
{
	struct agent_config cfg;
	auto_buf key = BUF_INIT(KEY_TEXT_MAX), text = BUF_INIT(AGENT_CONFIG_FILE_MAX);
	if (check_vacant(o->dir, e) || init_config(o, &cfg, a, e) ||
	    (!o->no_sas && read_key(o->key_file, &key, e)))
		return -1;
	agent_config_write(&cfg, &text);
	if (buf_check(&text, "agent.conf", e) || init_ca(o, e) ||
	    keystore_create(o->dir, buf_span(&text), span_trim(buf_span(&key)), e))
		return -1;
	printf("%s: device %s, %s\n", o->dir, o->id,
	    o->no_sas ? "without a credential until muster-agent enrol"
		      : "authenticated by SAS until it is migrated");
	return 0;
}

static int
cmd_init(int argc, char **argv, struct err *e)
{
	struct init_opts o = {.dir = DEVICE_DIR};
	const struct opt opts[] = {
	    {"dir", "DIR", OPT_TEXT, &o.dir,
		"the device directory to make (default " DEVICE_DIR ")"},
	    {"id", "ID", OPT_TEXT, &o.id, "registration ID of the device"},
	    {"dps-host", "HOST", OPT_TEXT, &o.dps_host,
		"provisioning service (default Azure's)"},
	    {"id-scope", "SCOPE", OPT_TEXT, &o.id_scope, "its ID scope"},
	    {"ca-file", "FILE", OPT_TEXT, &o.ca_file,
		"CA certificates of the service (copied)"},
	    {"key-file", "FILE", OPT_TEXT, &o.key_file,
		"the device's SAS key, Base64 (default: standard input)"},
	    {"no-sas", NULL, OPT_FLAG, &o.no_sas,
		"the device has no SAS key: its first certificate is had with a token"},
	    {"set", "KEY=VALUE", OPT_EACH, &o.set,
		"section.key=value for agent.conf; may be repeated"},
	    {0}};
	const struct opt_cmd cmd = {"muster-agent init --id ID --id-scope "
				    "SCOPE --ca-file FILE [OPTIONS]",
	    "Makes a device directory: configuration, CA certificates, SAS key.", opts, 0,
	    0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (need(o.dir, "dir", e) || need(o.id, "id", e) || need(o.ca_file, "ca-file", e))
		return -1;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	return init_device(&o, a, e);
}

/* --- run --- */

struct running {
	struct loop *loop;
	struct agent *agent;
};

static void
on_end(void *arg)
{
	struct running *r = arg;
	loop_stop(r->loop);
}

static void
on_reload(void *arg)
{
	struct running *r = arg;
	struct err e;
	if (agent_reload(r->agent, &e))
		log_event(LOG_ERROR, "agent.reload", LOG_ERR(&e));
}

static int
run(const char *dir, struct loop *loop, struct err *e)
{
	auto_(agent_free) struct agent *agent = NULL;
	if (agent_open(dir, loop, NULL, NULL, &agent, e))
		return -1;
	struct running r = {loop, agent};
	auto_(loop_signal_free) struct loop_signal *term =
	    loop_signal_new(loop, SIGTERM, on_end, &r, e);
	auto_(loop_signal_free) struct loop_signal *interrupt =
	    term ? loop_signal_new(loop, SIGINT, on_end, &r, e) : NULL;
	auto_(loop_signal_free) struct loop_signal *hup =
	    interrupt ? loop_signal_new(loop, SIGHUP, on_reload, &r, e) : NULL;
	if (!hup || agent_start(agent, 0, e) || loop_run(loop, e))
		return -1;
	agent_stop(agent);
	return 0;
}

static int
cmd_run(int argc, char **argv, struct err *e)
{
	const char *dir = NULL;
	int go = parse_dir("muster-agent run [--dir DIR]",
	    "Keeps the device connected, in the foreground, until SIGTERM or SIGINT. "
	    "SIGHUP "
	    "takes up the active credential again.",
	    argc, argv, &dir, e);
	if (go <= 0)
		return go;
	struct agent_config cfg;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	if (agent_config_read(dir, &cfg, a, e))
		return -1;
	set_log(&cfg);
	auto_(loop_free) struct loop *loop = loop_new(&clock_system, e);
	return loop ? run(dir, loop, e) : -1;
}

/* --- session --- */

static int
cmd_session(int argc, char **argv, struct err *e)
{
	const char *dir = NULL;
	int go = parse_dir("muster-agent session [--dir DIR]",
	    "Serves the orchestrator on standard input and output; muster migrate starts "
	    "it "
	    "over ssh.",
	    argc, argv, &dir, e);
	if (go <= 0)
		return go;
	log_level(LOG_ERROR);
	return session_run(dir, STDIN_FILENO, STDOUT_FILENO, &clock_system, e);
}

/* --- provision --- */

static int
provision(const char *dir, struct arena *a, struct err *e)
{
	struct agent_config cfg;
	struct keystore_ref ref;
	struct clock_floor time;
	auto_(keystore_close) struct keystore *keys = NULL;
	auto_keystore_credential c = {0};
	clock_floor_init(&time, &clock_system, clock_floor_built_ms());
	clock_floor_load(&time, dir);
	if (agent_config_read(dir, &cfg, a, e) || keystore_open(dir, &keys, e) ||
	    keystore_active(keys, &ref, e) || keystore_load(keys, &ref, &c, e))
		return -1;
	auto_(tls_client_free) struct tls_client *tls =
	    credential_tls(dir, &cfg, &c, cfg.dps.host, &time, e);
	auto_(loop_free) struct loop *loop = tls ? loop_new(&clock_system, e) : NULL;
	if (!loop)
		return -1;
	struct provision_opts o = {.host = cfg.dps.host,
	    .port = cfg.dps.port,
	    .id_scope = cfg.dps.id_scope,
	    .registration_id = cfg.device.id,
	    .tls = tls,
	    .sas_key = buf_span(&c.sas_key),
	    .connect_ms = cfg.hub.connect_timeout_ms,
	    .timeout_ms = cfg.dps.timeout_ms};
	struct dps_answer r;
	if (provision_run(loop, &o, &r, e))
		return -1;
	struct keystore_assignment as;
	snprintf(as.hub, sizeof(as.hub), "%s", r.hub);
	snprintf(as.device_id, sizeof(as.device_id), "%s", r.device_id);
	if (keystore_assignment_put(keys, &ref, &as, e))
		return -1;
	printf("device %s is assigned to hub %s (%s)\n", r.device_id, r.hub, r.substatus);
	return 0;
}

static int
cmd_provision(int argc, char **argv, struct err *e)
{
	const char *dir = NULL;
	int go = parse_dir("muster-agent provision [--dir DIR]",
	    "Registers with the provisioning service once, with the active credential.",
	    argc, argv, &dir, e);
	if (go <= 0)
		return go;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	return provision(dir, a, e);
}

/* --- renew, enrol --- */

struct renewing {
	const char *dir;
	const char *token; /* NULL: not with one */
	bool told;
	struct agent_config cfg;
	struct clock_floor time;
};

/* What an authenticated server told is news to an agent whose clock is not set. */
static void
tell_time(const struct renewing *r)
{
	struct err ignored;
	auto_(js_free) struct js *req = js_object();
	auto_(js_free) struct js *ans = NULL;
	js_set_text(req, "op", "time");
	js_set_int(req, "nowMs", clock_wall_ms(&r->time.clock));
	if (r->time.learned_ms && control_call(r->dir, req, STATUS_MS, &ans, &ignored))
		return;
}

static void
print_outcome(const struct renewing *r, const struct renew_outcome *out)
{
	if (out->result == RENEW_DONE)
		printf("renewed (%s): generation %s is active\n",
		    renew_plan_why(out->why), out->active.generation);
	else
		printf("nothing to renew now\n");
}

static int
renew(struct renewing *r, struct arena *a, struct err *e)
{
	struct renew_outcome out;
	if (agent_config_read(r->dir, &r->cfg, a, e))
		return -1;
	set_log(&r->cfg);
	clock_floor_init(&r->time, &clock_system, clock_floor_built_ms());
	auto_(renew_live_free) struct renew_live *live =
	    renew_live_new(r->dir, &r->cfg, &r->time, r->token);
	struct renew_opts o = {.dir = r->dir,
	    .cfg = &r->cfg,
	    .time = &r->time,
	    .told = r->told,
	    .first = r->token != NULL,
	    .wait_ms = r->told ? TURN_MS : 0,
	    .ops = &renew_live_ops,
	    .arg = live};
	int failed = renew_run(&o, &out, e);
	tell_time(r);
	if (!failed)
		print_outcome(r, &out);
	return failed;
}

static int
cmd_renew(int argc, char **argv, struct err *e)
{
	struct renewing r = {.dir = DEVICE_DIR};
	const struct opt opts[] = {{"dir", "DIR", OPT_TEXT, &r.dir, DIR_HELP},
	    {"now", NULL, OPT_FLAG, &r.told, "whether it is due or not"}, {0}};
	const struct opt_cmd cmd = {"muster-agent renew [--dir DIR] [--now]",
	    "Renews the device's certificate where that is due: a new key beside the "
	    "old, a "
	    "certificate from the EST server, proved on a second connection, then "
	    "promoted. "
	    "The running agent does this by itself.",
	    opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (need(r.dir, "dir", e))
		return -1;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	return renew(&r, a, e);
}

static int
cmd_enrol(int argc, char **argv, struct err *e)
{
	struct renewing r = {.dir = DEVICE_DIR, .told = true};
	const char *file = NULL;
	const struct opt opts[] = {{"dir", "DIR", OPT_TEXT, &r.dir, DIR_HELP},
	    {"token-file", "FILE", OPT_TEXT, &file,
		"the one-time token, in a file that is yours alone"},
	    {0}};
	const struct opt_cmd cmd = {"muster-agent enrol --token-file FILE [--dir DIR]",
	    "Has the device's first certificate made, with a one-time token (muster est "
	    "token): from then on the device authenticates by X.509.",
	    opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	auto_buf text = BUF_INIT(KEY_TEXT_MAX);
	char token[KEY_TEXT_MAX];
	if (need(r.dir, "dir", e) || need(file, "token-file", e) ||
	    file_read_secret(file, &text, e))
		return -1;
	if (!span_to_str(span_trim(buf_span(&text)), token, sizeof(token)) || !token[0])
		return err_set(e, ERR_PARSE, "%s: no token", file);
	r.token = token;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	int failed = renew(&r, a, e);
	own_wipe(token, sizeof(token));
	return failed;
}

/* --- status --- */

static void
print_time(const char *what, int64_t ms)
{
	char text[CLOCK_TEXT];
	clock_iso(ms, 0, text);
	if (ms)
		printf("%-17s %s\n", what, text);
}

static void
print_renewal(const struct js *m)
{
	const char *why = js_as_text(js_get(m, "lastError"));
	if (!m)
		return;
	print_time("renewal due", js_as_int(js_get(m, "dueMs")));
	print_time("server asked", js_as_int(js_get(m, "askedMs")));
	print_time("last renewed", js_as_int(js_get(m, "renewedMs")));
	if (js_as_bool(js_get(m, "running")))
		printf("%-17s now\n", "next look");
	else
		printf("%-17s in %lld s\n", "next look",
		    (long long)js_as_int(js_get(m, "nextInMs")) / 1000);
	if (*why)
		printf("%-17s %s (%lld in a row)\n", "renewal failed", why,
		    (long long)js_as_int(js_get(m, "failures")));
}

static void
print_status(const struct js *st)
{
	static const char *const rows[][2] = {{"device", "deviceId"}, {"state", "state"},
	    {"authenticates by", "auth"}, {"generation", "generation"},
	    {"thumbprint", "thumbprint"}, {"hub", "hub"}, {"last error", "lastError"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *text = js_as_text(js_get(st, rows[i][1]));
		if (*text)
			printf("%-17s %s\n", rows[i][0], text);
	}
	printf("%-17s %lld sent, %lld acknowledged, %lld dropped\n", "telemetry",
	    (long long)js_as_int(js_get(st, "sent")),
	    (long long)js_as_int(js_get(st, "acked")),
	    (long long)js_as_int(js_get(st, "dropped")));
	print_time("valid until", js_as_int(js_get(st, "notAfterMs")));
	print_renewal(js_get(st, "renewal"));
}

static int
cmd_status(int argc, char **argv, struct err *e)
{
	const char *dir = DEVICE_DIR;
	bool json = false;
	const struct opt opts[] = {{"dir", "DIR", OPT_TEXT, &dir, DIR_HELP},
	    {"json", NULL, OPT_FLAG, &json, "for programs: one JSON object"}, {0}};
	const struct opt_cmd cmd = {"muster-agent status [--dir DIR] [--json]",
	    "Asks the running agent what it is doing.", opts, 0, 0};
	int at = opt_parse(&cmd, argc, argv, e);
	if (at <= 0)
		return at;
	if (need(dir, "dir", e))
		return -1;
	auto_(js_free) struct js *req = js_object();
	auto_(js_free) struct js *st = NULL;
	js_set_text(req, "op", "status");
	if (control_call(dir, req, STATUS_MS, &st, e))
		return -1;
	if (!json) {
		print_status(st);
		return 0;
	}
	auto_buf line = BUF_INIT(CONTROL_LINE_MAX);
	js_dump(st, JS_AS_BUILT, &line);
	printf("%s\n", buf_text(&line));
	return 0;
}

/* --- the table --- */

static int cmd_help(int argc, char **argv, struct err *e);

static int
cmd_version(int argc, char **argv, struct err *e)
{
	printf("muster-agent %s\n", MUSTER_VERSION);
	return 0;
}

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv, struct err *e);
	const char *help;
} subcommands[] = {
    {"init", cmd_init, "make a device directory"},
    {"run", cmd_run, "keep the device connected"},
    {"provision", cmd_provision, "register with the provisioning service once"},
    {"status", cmd_status, "what the running agent is doing"},
    {"renew", cmd_renew, "renew the certificate where that is due"},
    {"enrol", cmd_enrol, "have the first certificate made, with a one-time token"},
    {"session", cmd_session, "serve the orchestrator on standard input and output"},
    {"version", cmd_version, "print the version"},
    {"help", cmd_help, "this text"},
};

static int
cmd_help(int argc, char **argv, struct err *e)
{
	printf("usage: muster-agent COMMAND [OPTIONS]\n\nThe device's side of muster.\n\n"
	       "commands:\n");
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		printf("  %-10s %s\n", subcommands[i].name, subcommands[i].help);
	printf("\nmuster-agent COMMAND --help tells its options.\n");
	return 0;
}

static const struct subcommand *
find(const char *name)
{
	static const char *const aliases[][2] = {
	    {"--help", "help"}, {"-h", "help"}, {"--version", "version"}};
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(name, aliases[i][0]) == 0)
			name = aliases[i][1];
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

int
main(int argc, char **argv)
{
	struct err e = {0};
	const char *name = argc > 1 ? argv[1] : "help";
	const struct subcommand *sub = find(name);
	if (!sub) {
		fprintf(stderr,
		    "muster-agent: no command '%s'; muster-agent help lists them\n",
		    name);
		return err_row(ERR_USAGE)->exit;
	}
	int status = agent_init(&e) ? -1 : sub->run(argc - 1, argv + 1, &e);
	if (status >= 0)
		return status;
	fprintf(stderr, "muster-agent %s: %s\n", sub->name, e.text);
	return err_row(e.code)->exit;
}
