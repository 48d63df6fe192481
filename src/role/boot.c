/*
 * Start of a child process.
 */
#include "role/boot.h"

#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "io/ipc.h"

#define BOOT_TIMEOUT_MS 10000

/* Numbers of roles that have no account of their own, in the range that no package and no
 * login uses (systemd's for dynamic users): each role another, so that one taken over can
 * neither signal nor inspect the next. */
enum { UID_SIGNER = 61500, UID_CORE = 61501, UID_HOOKD = 61502, UID_EDGE = 61510 };

static uid_t
role_uid(const char *role, uint32_t index)
{
	if (strcmp(role, "signer") == 0)
		return UID_SIGNER;
	if (strcmp(role, "hookd") == 0)
		return UID_HOOKD;
	return strcmp(role, "core") == 0 ? UID_CORE : UID_EDGE + index;
}

/* Within a user namespace that maps few numbers, only those can be taken. */
static bool
is_mapped(uid_t uid)
{
	auto_buf map = BUF_INIT(4096);
	struct err ignored;
	long inside, outside, count;
	if (file_read("/proc/self/uid_map", &map, &ignored))
		return true;
	struct span rest = buf_span(&map);
	while (rest.len) {
		char line[128];
		if (!span_to_str(span_split(&rest, '\n'), line, sizeof(line)) ||
		    sscanf(line, "%ld %ld %ld", &inside, &outside, &count) != 3)
			continue;
		if ((long)uid >= inside && (long)uid - inside < count)
			return true;
	}
	return false;
}

static int
find_account(const struct config *cfg, const char *role, struct boot *b, struct err *e)
{
	if (geteuid() != 0)
		return 0;
	/* PIN files and a token's own files belong to who starts the server, unless an
	 * account was made for it: the key holder stays that user, without capabilities
	 */
	if (!cfg->server.user[0] && strcmp(role, "keyd") == 0)
		return 0;
	if (!cfg->server.user[0]) {
		uid_t uid = role_uid(role, b->index);
		b->uid = is_mapped(uid) ? uid : 0;
		b->gid = (gid_t)b->uid;
		return 0;
	}
	const struct passwd *pw = getpwnam(cfg->server.user);
	if (!pw)
		return err_set(e, ERR_NOT_FOUND, "server.user: there is no account '%s'",
		    cfg->server.user);
	b->uid = pw->pw_uid;
	b->gid = pw->pw_gid;
	return 0;
}

void
boot_log(const struct config *cfg, const char *name)
{
	static const enum log_level levels[] = {[CONFIG_LOG_ERROR] = LOG_ERROR,
	    [CONFIG_LOG_WARN] = LOG_WARN,
	    [CONFIG_LOG_INFO] = LOG_INFO,
	    [CONFIG_LOG_DEBUG] = LOG_DEBUG};
	log_role(name);
	log_level(levels[cfg->server.log_level]);
	log_json(cfg->server.log_format == CONFIG_LOG_JSON);
}

static void
set_log(const struct config *cfg, const char *role, uint32_t index, bool numbered)
{
	char name[16];
	snprintf(name, sizeof(name), numbered ? "%s-%u" : "%s", role, index);
	boot_log(cfg, name);
}

static int
read_boot(struct ipc_sync *s, struct config *cfg, struct arena *a, struct boot *ret,
    struct err *e)
{
	struct ipc_frame f;
	struct ipc_boot m;
	if (ipc_sync_recv(s, BOOT_TIMEOUT_MS, &f, e))
		return err_wrap(e, "waiting for BOOT");
	if (f.type != IPC_BOOT)
		return err_set(e, ERR_PARSE, "expected BOOT, got message %u", f.type);
	if (ipc_msg_unpack(IPC_BOOT, f.body, &m, e))
		return -1;
	*ret = (struct boot){.index = m.index};
	if (!span_to_str(m.home, ret->home, sizeof(ret->home)))
		return err_set(e, ERR_PARSE, "BOOT: home too long");
	conf_defaults(&config_table, cfg, a);
	return conf_parse(&config_table, m.config, cfg, a, e);
}

int
boot_receive(int fd, const char *role, struct config *cfg, struct arena **ret_arena,
    struct boot *ret, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(4 * CONF_FILE_MAX);
	/* a terminal's Ctrl-C reaches the whole group; when a child ends is main's
	 * decision, told by STOP or by the end of its link */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	int copy = dup(fd);
	if (copy < 0)
		return err_sys(e, ERR_IO, "link to main");
	auto_(ipc_sync_free) struct ipc_sync *s = ipc_sync_new(copy, IPC_BODY_MAX);
	if (read_boot(s, cfg, a, ret, e) || find_account(cfg, role, ret, e))
		return -1;
	set_log(cfg, role, ret->index, role[0] == 'e');
	*ret_arena = TAKE(a);
	return 0;
}

unsigned
boot_descriptors(unsigned wanted)
{
	struct rlimit l;
	if (getrlimit(RLIMIT_NOFILE, &l) || l.rlim_max >= wanted)
		return wanted;
	log_event(LOG_WARN, "role.descriptors", LOG_INT("wanted", wanted),
	    LOG_INT("granted", l.rlim_max),
	    LOG_STR("fix", "raise LimitNOFILE (ulimit -Hn)"));
	return (unsigned)l.rlim_max;
}

int
boot_jail(enum jail_kind kind, const struct boot *b, unsigned nofile,
    const char *const *write_dirs, struct err *e)
{
	struct jail_opts o = {
	    .uid = b->uid, .gid = b->gid, .nofile = nofile, .write = write_dirs};
	return jail_enter(kind, &o, e);
}

int
boot_send(struct ipc_link *link, enum ipc_type type, uint64_t id, const void *msg, int fd,
    struct err *e)
{
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	if (ipc_msg_pack(type, msg, &body, e))
		return -1;
	struct ipc_frame f = {.type = type, .id = id, .body = buf_span(&body), .fd = fd};
	return ipc_send(link, &f, e);
}

int
boot_ready(struct ipc_link *main, struct err *e)
{
	struct ipc_ready m = {.jail = span_str(jail_describe())};
	log_event(LOG_INFO, "role.jailed", LOG_STR("jail", jail_describe()));
	return boot_send(main, IPC_READY, 0, &m, -1, e);
}
