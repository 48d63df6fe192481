/*
 * The command line of OpenSSH's client, and what its last words mean.
 */
#include "fleet/ssh.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hex.h"
#include "crypto/digest.h"
#include "fleet/session.h"

/* What holds for every session, whatever the operator's ssh_config says (a -o on the
 * command line wins over the file): no question is asked, no unknown host key taken, no
 * connection of another ssh used, nothing forwarded, and a dead peer noticed. */
static const char *const fixed[] = {
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "CheckHostIP=no",
    "VerifyHostKeyDNS=no",
    "GlobalKnownHostsFile=/dev/null",
    "KnownHostsCommand=none",
    "NoHostAuthenticationForLocalhost=no",
    /* a connection that is shared was made by another ssh, with other pins or none */
    "ControlMaster=no",
    "ControlPath=none",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "PermitLocalCommand=no",
    "RequestTTY=no",
    "RemoteCommand=none",
    "SessionType=default",
    "ConnectionAttempts=1",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
    "EscapeChar=none",
    "LogLevel=ERROR",
};
#define N_FIXED (sizeof(fixed) / sizeof(fixed[0]))

/* What OpenSSH's client needs of ours to find its configuration and the operator's agent.
 */
static const char *const passed[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ",
    "SSH_AUTH_SOCK", "SSH_SK_PROVIDER", "KRB5CCNAME", "XDG_RUNTIME_DIR"};
#define N_PASSED (sizeof(passed) / sizeof(passed[0]))

#define ARGS_MAX (2 * (N_FIXED + SSH_OPTIONS_MAX) + 24)

struct args {
	const char **v;
	size_t n;
};

static void
arg(struct args *a, const char *text)
{
	a->v[a->n++] = text;
}

static void
option(struct args *a, const char *text)
{
	arg(a, "-o");
	arg(a, text);
}

void
ssh_alias(const char *device_id, char out[SSH_ALIAS])
{
	uint8_t digest[DIGEST_SHA256];
	char hex[33];
	digest_sha256(span_str(device_id), digest);
	hex_write(span_of(digest, 16), hex);
	snprintf(out, SSH_ALIAS, "muster-%s", hex);
}

void
ssh_pin(const struct ssh_target *t, struct buf *out)
{
	char alias[SSH_ALIAS];
	if (t->host_key[0] == '\0')
		return;
	ssh_alias(t->id, alias);
	buf_printf(out, "%s %s\n", alias, t->host_key);
}

/* ssh_config(5): a value with a space, a quote or a percent sign would be read as more.
 */
static const char *
quoted(struct arena *a, const char *key, const char *path)
{
	auto_buf b = BUF_INIT(8192);
	buf_printf(&b, "%s=\"", key);
	for (const char *p = path; *p; p++) {
		if (*p == '%' || *p == '"' || *p == '\\')
			buf_u8(&b, *p == '%' ? '%' : '\\');
		buf_u8(&b, (uint8_t)*p);
	}
	buf_u8(&b, '"');
	return arena_str(a, buf_span(&b));
}

static int
pin(const struct ssh_opts *o, const struct ssh_target *t, struct arena *a,
    struct args *args, struct err *e)
{
	char alias[SSH_ALIAS];
	if (t->host_key[0]) {
		ssh_alias(t->id, alias);
		option(args, arena_printf(a, "HostKeyAlias=%s", alias));
		option(args, quoted(a, "UserKnownHostsFile", o->pinned));
		return 0;
	}
	if (!o->known_hosts)
		return err_set(e, ERR_USAGE,
		    "%s: no host key is known; add it as the inventory's fourth column "
		    "or give "
		    "--known-hosts",
		    t->id);
	option(args, quoted(a, "UserKnownHostsFile", o->known_hosts));
	return 0;
}

static const char *const *
environment(struct arena *a)
{
	const char **env = arena_alloc(a, (N_PASSED + 1) * sizeof(*env));
	size_t n = 0;
	for (size_t i = 0; i < N_PASSED; i++) {
		const char *value = getenv(passed[i]);
		if (value)
			env[n++] = arena_printf(a, "%s=%s", passed[i], value);
	}
	return env;
}

int
ssh_spec(const struct ssh_opts *o, const struct ssh_target *t, struct arena *a,
    struct proc_spec *ret, struct err *e)
{
	struct args args = {.v = arena_alloc(a, ARGS_MAX * sizeof(*args.v))};
	arg(&args, o->program);
	if (o->config) {
		arg(&args, "-F");
		arg(&args, o->config);
	}
	for (size_t i = 0; i < N_FIXED; i++)
		option(&args, fixed[i]);
	option(&args, arena_printf(a, "ConnectTimeout=%lld", (long long)o->connect_s));
	if (pin(o, t, a, &args, e))
		return -1;
	/* the first value of an option counts, so these cannot loosen the above */
	for (size_t i = 0; i < o->n_options; i++)
		option(&args, o->option[i]);
	if (t->port) {
		arg(&args, "-p");
		arg(&args, arena_printf(a, "%lld", (long long)t->port));
	}
	arg(&args, "-l");
	arg(&args, t->user);
	arg(&args, "--");
	arg(&args, t->host);
	arg(&args, o->command);
	*ret = (struct proc_spec){
	    .file = o->program,
	    .argv = args.v,
	    .env = environment(a),
	    .flags = PROC_STDIN | PROC_STDOUT | PROC_STDERR | PROC_GROUP,
	};
	return 0;
}

/* Texts of OpenSSH 7 to 10, the most telling first. */
static const struct {
	const char *said;
	enum err_code code;
	const char *text, *fix;
} words[] = {
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", ERR_DENIED,
	"the device's host key is not the pinned one",
	"make sure that it is the device, then correct its host key in the inventory and "
	"plan "
	"again"},
    {"Host key verification failed", ERR_DENIED,
	"the device's host key is not the pinned one",
	"make sure that it is the device, then correct its host key in the inventory and "
	"plan "
	"again"},
    {"Permission denied", ERR_DENIED, "the device refused the login",
	"authorize the operator's key for this user on the device"},
    {"Could not resolve hostname", ERR_NOT_FOUND, "the address has no such host",
	"correct the address in the inventory"},
    {"Connection refused", ERR_UNAVAILABLE, "nothing answers at the device's ssh port",
	"start sshd on the device, or correct address and port"},
    {"Connection timed out", ERR_TIMEOUT, "the device does not answer",
	"bring the device onto the network"},
    {"timed out", ERR_TIMEOUT, "the device does not answer",
	"bring the device onto the network"},
    {"No route to host", ERR_UNAVAILABLE, "the device cannot be reached",
	"bring the device onto the network"},
    {"not found", ERR_NOT_FOUND, "muster-agent is not on the device",
	"install muster-agent on the device, or say where it is with --remote-command"},
    {"Bad configuration option", ERR_USAGE, "ssh refused its options",
	"correct --ssh-option or --ssh-config"},
};

void
ssh_explain(int exit_code, const char *said, struct session_failure *why)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!strstr(said, words[i].said))
			continue;
		err_set(&why->err, words[i].code, "ssh: %s", words[i].text);
		snprintf(why->fix, sizeof(why->fix), "%s", words[i].fix);
		return;
	}
	struct span last = span_trim(span_str(said));
	size_t line = span_rfind(last, '\n');
	last = span_head(line < last.len ? span_skip(last, line + 1) : last, 200);
	if (last.len)
		err_set(&why->err, ERR_UNAVAILABLE, "ssh: %.*s", SPAN_FMT(last));
	else
		err_set(&why->err, ERR_UNAVAILABLE,
		    "ssh: the session was cut (exit status %d)", exit_code);
}
