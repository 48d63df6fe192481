#ifndef ROLE_BOOT_H
#define ROLE_BOOT_H
/*
 * How a child of main starts: it waits for BOOT on its one descriptor, reads its
 * configuration from it (a child opens no configuration file), sets itself up, enters its
 * jail and says READY. Shared by edge, core and signer.
 */
#include "codec/config.h"
#include "codec/ipc_msg.h"
#include "io/jail.h"

#define BOOT_FD 3 /* number of the link to main in a child */

struct ipc_link;

struct boot {
	uint32_t index;
	char home[4096];
	uid_t uid; /* what it becomes when root: server.user, else a number of its own */
	gid_t gid;
};

/* Waits for BOOT and fills config and ret; sets the log up (role-index). *ret_arena owns
 * the config's strings. */
must_check int boot_receive(int fd, const char *role, struct config *cfg,
    struct arena **ret_arena, struct boot *ret, struct err *e);

/* Logs as the configuration says, under that name: for main, which gets no BOOT. */
void boot_log(const struct config *cfg, const char *name);

/* Enters the jail with the boot's account. nofile 0 leaves the limit of descriptors. */
must_check int boot_jail(enum jail_kind kind, const struct boot *b, unsigned nofile,
    const char *const *write_dirs, struct err *e);

/* How many descriptors a process may have that wants so many: fewer, and a line in the
 * log, where the hard limit is lower. */
unsigned boot_descriptors(unsigned wanted);

/* Says READY over the link to main. */
must_check int boot_ready(struct ipc_link *main, struct err *e);

/* Packs and sends one message: for the few that a role sends outside a request. fd -1:
 * none. */
must_check int boot_send(struct ipc_link *link, enum ipc_type type, uint64_t id,
    const void *msg, int fd, struct err *e);

#endif
