#ifndef FLEET_SSH_H
#define FLEET_SSH_H
/*
 * How a device is reached: the command line of OpenSSH's own client, so that the
 * operator's ssh_config, jump hosts, agent and hardware keys work. Host keys are pinned,
 * always.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "io/proc.h"

struct session_failure;

#define SSH_OPTIONS_MAX 32

struct ssh_opts {
	const char *program;     /* "ssh" */
	const char *config;      /* -F; NULL: the user's */
	const char *pinned;      /* known_hosts made from the inventory's fourth column */
	const char *known_hosts; /* the operator's own, for devices without one; NULL */
	const char *command;     /* on the device: "muster-agent session" */
	const char *option[SSH_OPTIONS_MAX]; /* the operator's -o */
	size_t n_options;
	int64_t connect_s;
};

struct ssh_target {
	const char *id, *host, *user, *host_key;
	int64_t port;
};

/* The name under which a device's host key is pinned: made of its ID, so that neither
 * address, port nor jump host matters. */
#define SSH_ALIAS 48
void ssh_alias(const char *device_id, char out[SSH_ALIAS]);
/* Appends the line of the pinned file. */
void ssh_pin(const struct ssh_target *t, struct buf *out);
/* ERR_USAGE where the device has no pinned key and no known_hosts file was given. */
must_check int ssh_spec(const struct ssh_opts *o, const struct ssh_target *t,
    struct arena *a, struct proc_spec *ret, struct err *e);
/* Puts what ssh said before it ended into an error and advice. For session_ops.explain.
 */
void ssh_explain(int exit_code, const char *said, struct session_failure *why);

#endif
