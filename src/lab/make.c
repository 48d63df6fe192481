/*
 * Files of a lab.
 */
#include "lab/make.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/agent_config.h"
#include "agent/keystore.h"
#include "base/base64.h"
#include "crypto/sas_key.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/proc.h"
#include "lab/layout.h"

#define KEYGENS_MAX 4 /* ssh-keygen at once */

static int
put(const char *path, const struct buf *text, mode_t mode, struct err *e)
{
	return buf_check(text, path, e) || file_write(path, buf_span(text), mode, e) ? -1
										     : 0;
}

/* 'text' for /bin/sh, whatever is in it. */
static void
shell_word(struct buf *b, const char *text)
{
	buf_u8(b, '\'');
	for (const char *p = text; *p; p++)
		if (*p == '\'')
			buf_str(b, "'\\''");
		else
			buf_u8(b, (uint8_t)*p);
	buf_u8(b, '\'');
}

/* "text" for ssh_config and sshd_config, where % begins a token. */
static void
config_word(struct buf *b, const char *text)
{
	buf_u8(b, '"');
	for (const char *p = text; *p; p++) {
		if (*p == '%')
			buf_u8(b, '%');
		buf_u8(b, (uint8_t)*p);
	}
	buf_u8(b, '"');
}

/* ---- devices ---- */

static int
write_config(const struct make *m, const char *id, struct buf *out, struct err *e)
{
	struct agent_config cfg;
	auto_(arena_free) struct arena *a = arena_new(AGENT_CONFIG_ARENA_MAX);
	agent_config_defaults(&cfg, a);
	cfg.device.id = id;
	cfg.dps.host = "127.0.0.1";
	cfg.dps.port = cfg.hub.port = m->mqtt_port;
	cfg.dps.id_scope = m->id_scope;
	cfg.est.host = "127.0.0.1";
	cfg.est.port = m->https_port;
	cfg.telemetry.interval_ms = m->telemetry_ms;
	agent_config_write(&cfg, out);
	return buf_check(out, "agent.conf", e);
}

/* Each device has trust anchors of its own, which it rolls by itself. */
static int
put_anchors(const struct make *m, const char *dir, struct err *e)
{
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	const char *to = arena_printf(m->arena, "%s/ca.pem", dir);
	if (file_exists(to))
		return 0;
	if (file_read(arena_printf(m->arena, "%s/ca/root.pem", m->home), &pem, e) ||
	    file_mkdir(dir, 0700, e))
		return -1;
	return file_write(to, buf_span(&pem), 0644, e);
}

static int
make_device(const struct make *m, size_t i, struct err *e)
{
	char id[LAYOUT_ID];
	uint8_t key[SAS_KEY_DERIVED];
	auto_buf text = BUF_INIT(AGENT_CONFIG_FILE_MAX), base64 = BUF_INIT(128);
	base64.secret = true;
	layout_id(i, id);
	if (write_config(m, id, &text, e))
		return -1;
	sas_key_derive(m->group_key, span_str(id), key);
	base64_put(&base64, span_of(key, sizeof(key)));
	own_wipe(key, sizeof(key));
	const char *dir = layout_of(m->arena, m->home, "devices", id);
	if (put_anchors(m, dir, e))
		return -1;
	return keystore_create(dir, buf_span(&text), buf_span(&base64), e);
}

int
make_again(const struct make *m, struct err *e)
{
	for (size_t i = 0; i < m->devices; i++) {
		char id[LAYOUT_ID];
		auto_buf text = BUF_INIT(AGENT_CONFIG_FILE_MAX);
		layout_id(i, id);
		const char *dir = layout_of(m->arena, m->home, "devices", id);
		if (put_anchors(m, dir, e) || write_config(m, id, &text, e) ||
		    file_write(arena_printf(m->arena, "%s/agent.conf", dir),
			buf_span(&text), 0600, e))
			return -1;
	}
	return 0;
}

static int
make_devices(const struct make *m, struct err *e)
{
	progress_start(m->progress, "making devices", m->devices);
	for (size_t i = 0; i < m->devices; i++) {
		if (make_device(m, i, e))
			return -1;
		progress_step(m->progress, i + 1, 0);
	}
	progress_end(m->progress);
	return 0;
}

/* ---- host keys, by ssh-keygen, some at once ---- */

struct keygens {
	const struct make *m;
	struct proc *running[KEYGENS_MAX];
	struct job {
		struct keygens *all;
		size_t slot;
	} jobs[KEYGENS_MAX];
	size_t next, done, n_running;
	bool failed;
	struct err why;
};

static int keygen(struct keygens *k, size_t slot, const char *path, struct err *e);

static void
next_host_key(struct keygens *k, size_t slot)
{
	char id[LAYOUT_ID];
	if (k->failed || k->next == k->m->devices)
		return;
	layout_id(k->next++, id);
	if (keygen(k, slot, layout_of(k->m->arena, k->m->home, "hostkeys", id), &k->why))
		k->failed = true;
}

static void
on_keygen(void *arg, const struct proc_exit *x)
{
	struct job *j = arg;
	struct keygens *k = j->all;
	proc_free(TAKE(k->running[j->slot]));
	k->n_running--;
	k->done++;
	if (x->code != 0 && !k->failed) {
		err_set(&k->why, ERR_CRYPTO, "ssh-keygen: %s", x->text);
		k->failed = true;
	}
	if (k->m->progress->total)
		progress_step(k->m->progress, k->done, 0);
	next_host_key(k, j->slot);
}

static int
keygen(struct keygens *k, size_t slot, const char *path, struct err *e)
{
	const char *const argv[] = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C",
	    "muster lab", "-f", path, NULL};
	struct proc_spec spec = {.file = "ssh-keygen", .argv = argv};
	k->jobs[slot] = (struct job){.all = k, .slot = slot};
	if (proc_start(
		k->m->loop, &spec, on_keygen, &k->jobs[slot], &k->running[slot], e))
		return err_wrap(e, "ssh-keygen (of openssh-client)");
	k->n_running++;
	return 0;
}

static int
finish_keygens(struct keygens *k, struct err *e)
{
	struct err why;
	while (k->n_running)
		if (loop_turn(k->m->loop, -1, &why))
			break;
	for (size_t i = 0; i < KEYGENS_MAX; i++)
		proc_free(k->running[i]);
	return k->failed ? err_copy(e, &k->why) : 0;
}

static int
make_host_keys(const struct make *m, struct err *e)
{
	struct keygens k = {.m = m};
	progress_start(m->progress, "making host keys", m->devices);
	for (size_t slot = 0; slot < KEYGENS_MAX; slot++)
		next_host_key(&k, slot);
	int failed = finish_keygens(&k, e);
	progress_end(m->progress);
	return failed;
}

/* ---- ssh ---- */

static int
make_operator_key(const struct make *m, struct err *e)
{
	struct keygens k = {.m = m};
	const char *key = layout_path(m->arena, m->home, "ssh/id_ed25519");
	auto_buf pub = BUF_INIT(4096);
	k.next = m->devices; /* just this one */
	if (keygen(&k, 0, key, e) || finish_keygens(&k, e) ||
	    file_read(arena_printf(m->arena, "%s.pub", key), &pub, e))
		return -1;
	return put(layout_path(m->arena, m->home, "ssh/authorized_keys"), &pub, 0600, e);
}

int
make_user(struct arena *a, const char **ret, struct err *e)
{
	struct passwd *pw = getpwuid(getuid());
	if (!pw)
		return err_set(e, ERR_NOT_FOUND,
		    "user %u has no name, so no login for sshd", (unsigned)getuid());
	*ret = arena_str(a, span_str(pw->pw_name));
	return 0;
}

/* Nothing but the one command: no terminal, no forwarding, no password. StrictModes would
 * refuse a home under /tmp, whose mode is everyone's; the home itself is 0700. One fast
 * key exchange: sntrup761 would be most of a rehearsal's time. SHLVL keeps bash from
 * reading the user's .bashrc, which it does below sshd at the first level only. */
static const char sshd_fixed[] = "PubkeyAuthentication yes\n"
				 "PasswordAuthentication no\n"
				 "KbdInteractiveAuthentication no\n"
				 "PermitRootLogin prohibit-password\n"
				 "UsePAM no\n"
				 "UseDNS no\n"
				 "StrictModes no\n"
				 "PidFile none\n"
				 "DisableForwarding yes\n"
				 "PermitTTY no\n"
				 "PermitUserRC no\n"
				 "PermitUserEnvironment no\n"
				 "PermitTunnel no\n"
				 "PrintMotd no\n"
				 "PrintLastLog no\n"
				 "LoginGraceTime 30\n"
				 "MaxAuthTries 2\n"
				 "LogLevel ERROR\n"
				 "SetEnv SHLVL=1\n"
				 "KexAlgorithms curve25519-sha256\n";

static int
make_sshd_config(const struct make *m, struct err *e)
{
	const char *user;
	auto_buf b = BUF_INIT(16384);
	if (make_user(m->arena, &user, e))
		return -1;
	buf_str(&b, sshd_fixed);
	buf_printf(&b, "AllowUsers %s\nAuthorizedKeysFile ", user);
	config_word(&b, layout_path(m->arena, m->home, "ssh/authorized_keys"));
	buf_u8(&b, '\n');
	return put(layout_path(m->arena, m->home, "ssh/sshd_config"), &b, 0600, e);
}

const char *
make_agent_program(struct arena *a)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
	struct span dir = span_of(self, n > 0 ? (size_t)n : 0);
	dir = span_head(dir, span_rfind(dir, '/'));
	const char *beside = arena_printf(a, "%.*s/muster-agent", SPAN_FMT(dir));
	return access(beside, X_OK) == 0 ? beside : "muster-agent";
}

/* The disk of a device is full when the kernel refuses every write to a file (EFBIG): no
 * root and no mount is needed for it. */
static int
make_session_script(const struct make *m, struct err *e)
{
	auto_buf b = BUF_INIT(16384);
	buf_str(&b, "#!/bin/sh\n# What sshd runs for device $1.\nif [ -e ");
	shell_word(&b, layout_path(m->arena, m->home, "faults"));
	buf_str(&b, "/\"$1\" ]; then\n\ttrap '' XFSZ\n\tulimit -f 0\nfi\nexec ");
	shell_word(&b, make_agent_program(m->arena));
	buf_str(&b, " session --dir ");
	shell_word(&b, layout_path(m->arena, m->home, "devices"));
	buf_str(&b, "/\"$1\"\n");
	return put(layout_path(m->arena, m->home, "session.sh"), &b, 0700, e);
}

int
make_ssh_config(const char *home, int64_t port, struct arena *a, struct err *e)
{
	auto_buf b = BUF_INIT(16384);
	buf_printf(&b,
	    "# How the lab's devices are reached.\nHost *\n\tPort %lld\n"
	    "\tIdentityFile ",
	    (long long)port);
	config_word(&b, layout_path(a, home, "ssh/id_ed25519"));
	buf_str(&b, "\n\tIdentitiesOnly yes\n\tIdentityAgent none\n"
		    "\tKexAlgorithms curve25519-sha256\n");
	return put(layout_path(a, home, "ssh_config"), &b, 0600, e);
}

int
make_inventory(const struct make *m, struct err *e)
{
	const char *user;
	auto_buf b = BUF_INIT(64 * 1024 * 1024);
	if (make_user(m->arena, &user, e))
		return -1;
	buf_str(&b, "device_id,address,user,host_key\n");
	for (size_t i = 0; i < m->devices; i++) {
		char id[LAYOUT_ID], ip[LAYOUT_IP];
		auto_buf pub = BUF_INIT(4096);
		layout_id(i, id);
		layout_ip(i, ip);
		const char *key = layout_of(m->arena, m->home, "hostkeys", id);
		if (file_read(arena_printf(m->arena, "%s.pub", key), &pub, e))
			return -1;
		struct span rest = buf_span(&pub);
		struct span type = span_split(&rest, ' '), blob = span_split(&rest, ' ');
		buf_printf(&b, "%s,%s,%s,%.*s %.*s\n", id, ip, user, SPAN_FMT(type),
		    SPAN_FMT(blob));
	}
	return put(layout_path(m->arena, m->home, "inventory.csv"), &b, 0600, e);
}

int
make_fleet(const struct make *m, struct err *e)
{
	static const char *const folders[] = {"devices", "hostkeys", "faults", "ssh"};
	if (file_remove_tree(layout_path(m->arena, m->home, "devices"), e) ||
	    file_remove_tree(layout_path(m->arena, m->home, "hostkeys"), e) ||
	    file_remove_tree(layout_path(m->arena, m->home, "ssh"), e))
		return -1;
	for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
		if (file_mkdir(layout_path(m->arena, m->home, folders[i]), 0700, e))
			return -1;
	if (make_operator_key(m, e) || make_sshd_config(m, e) ||
	    make_session_script(m, e) || make_devices(m, e) || make_host_keys(m, e))
		return -1;
	return 0;
}
