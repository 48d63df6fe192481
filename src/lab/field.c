/*
 * Agents and doors of the simulated devices.
 */
#include "lab/field.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "base/arena.h"
#include "base/list.h"
#include "base/log.h"
#include "io/loop.h"
#include "io/proc.h"
#include "io/sock.h"
#include "lab/layout.h"
#include "lab/make.h"

#define SSHD         "/usr/sbin/sshd"
#define VISITS_MAX   600 /* sshd at once; who comes then is hung up on */
#define START_MS     4 /* between two agents' starts: a site does not boot in one instant */
#define FDS_A_DEVICE 6
#define FDS_OTHERS   2000

struct field;

struct device {
	struct field *field;
	char id[LAYOUT_ID];
	const char *host_key, *force;
	struct agent *agent;
	int door;
	struct loop_fd *watch;
};

/* A connection being served. */
struct visit {
	struct list node;
	struct field *field;
	struct proc *sshd;
};

struct field {
	struct loop *loop;
	struct arena *arena;
	const char *config, *log;
	struct agent_ops ops; /* of all agents */
	struct device *devices;
	size_t n, n_visits;
	struct list visits;
};

/* ---- doors ---- */

static void
end_visit(struct visit *v)
{
	v->field->n_visits--;
	list_del(&v->node);
	proc_free(v->sshd);
	free(v);
}

static void
on_sshd_exit(void *arg, const struct proc_exit *x)
{
	end_visit(arg);
}

/* sshd wants the connection as its standard input and output (inetd's way, sshd(8) -i).
 */
static int
start_sshd(struct device *d, int conn, struct visit *v, struct err *e)
{
	const struct field *f = d->field;
	const char *const argv[] = {"sh", "-c",
	    "exec " SSHD " -i -f \"$1\" -h \"$2\" -o \"$3\" -E \"$4\" <&3 >&3 3>&-", "sh",
	    f->config, d->host_key, d->force, f->log, NULL};
	struct proc_fd fds[] = {{.from = conn, .to = 3}};
	struct proc_spec spec = {
	    .file = "/bin/sh", .argv = argv, .fds = fds, .nfds = 1, .flags = PROC_GROUP};
	return proc_start(f->loop, &spec, on_sshd_exit, v, &v->sshd, e);
}

static void
on_door(void *arg, unsigned ready)
{
	struct device *d = arg;
	struct field *f = d->field;
	struct err e;
	auto_fd int conn = accept4(d->door, NULL, NULL, SOCK_CLOEXEC);
	if (conn < 0 || f->n_visits >= VISITS_MAX)
		return;
	struct visit *v = own_alloc(sizeof(*v));
	*v = (struct visit){.field = f};
	list_push(&f->visits, &v->node);
	f->n_visits++;
	if (start_sshd(d, conn, v, &e)) {
		log_event(LOG_ERROR, "lab.sshd", LOG_STR("device", d->id), LOG_ERR(&e));
		end_visit(v);
	}
}

static int
open_door(struct device *d, size_t i, int64_t port, struct err *e)
{
	char ip[LAYOUT_IP], addr[LAYOUT_IP + 8];
	layout_ip(i, ip);
	snprintf(addr, sizeof(addr), "%s:%lld", ip, (long long)port);
	if (sock_listen(addr, false, &d->door, NULL, e))
		return -1;
	d->watch = loop_fd_new(d->field->loop, d->door, on_door, d);
	return loop_fd_watch(d->watch, LOOP_READ, e);
}

/* ---- devices ---- */

static int
start_device(struct field *f, const char *home, size_t i, int64_t port, struct err *e)
{
	struct device *d = &f->devices[i];
	*d = (struct device){.field = f, .door = -1};
	layout_id(i, d->id);
	d->host_key = layout_of(f->arena, home, "hostkeys", d->id);
	/* the user's login shell reads this line: our own path is quoted for it */
	d->force = arena_printf(f->arena, "ForceCommand=/bin/sh '%s' %s",
	    layout_path(f->arena, home, "session.sh"), d->id);
	if (open_door(d, i, port, e) ||
	    agent_open(layout_of(f->arena, home, "devices", d->id), f->loop, &f->ops,
		NULL, &d->agent, e) ||
	    agent_start(d->agent, (int64_t)i * START_MS, e))
		return err_wrap(e, "%s", d->id);
	return 0;
}

static void
stop_device(struct device *d)
{
	loop_fd_free(d->watch);
	own_close(&d->door);
	agent_free(d->agent);
}

/* ---- the process ---- */

static int
raise_limit(size_t devices, struct err *e)
{
	struct rlimit r;
	rlim_t want = devices * FDS_A_DEVICE + FDS_OTHERS;
	if (getrlimit(RLIMIT_NOFILE, &r))
		return err_sys(e, ERR_IO, "getrlimit");
	if (r.rlim_max != RLIM_INFINITY && r.rlim_max < want && getuid() != 0)
		return err_set(e, ERR_LIMIT,
		    "%zu devices need %llu open files, the limit is %llu: ulimit -n",
		    devices, (unsigned long long)want, (unsigned long long)r.rlim_max);
	if (r.rlim_cur >= want)
		return 0;
	r.rlim_cur = want;
	r.rlim_max = r.rlim_max < want ? want : r.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &r) ? err_sys(e, ERR_LIMIT, "open files") : 0;
}

/* Where sshd, as root, keeps its unprivileged half. */
static int
make_run_sshd(struct err *e)
{
	if (getuid() != 0 || mkdir("/run/sshd", 0755) == 0 || errno == EEXIST)
		return 0;
	return err_sys(e, ERR_IO, "/run/sshd");
}

static void
on_end(void *arg)
{
	loop_stop(arg);
}

static int
run_loop(struct field *f, struct err *e)
{
	auto_(loop_signal_free) struct loop_signal *terminate =
	    loop_signal_new(f->loop, SIGTERM, on_end, f->loop, e);
	auto_(loop_signal_free) struct loop_signal *interrupt =
	    terminate ? loop_signal_new(f->loop, SIGINT, on_end, f->loop, e) : NULL;
	return interrupt ? loop_run(f->loop, e) : -1;
}

static int
run(struct field *f, const char *home, int64_t port, struct err *e)
{
	if (access(SSHD, X_OK))
		return err_set(e, ERR_NOT_FOUND,
		    "%s is not there; install openssh-server (it need not run)", SSHD);
	f->config = layout_path(f->arena, home, "ssh/sshd_config");
	f->log = layout_path(f->arena, home, "sshd.log");
	f->ops.program = make_agent_program(f->arena);
	f->devices = arena_alloc(f->arena, f->n * sizeof(*f->devices));
	size_t want = f->n;
	f->n = 0;
	if (raise_limit(want, e) || make_run_sshd(e) || agent_init(e))
		return -1;
	while (f->n < want)
		if (start_device(f, home, f->n++, port, e))
			return -1;
	log_event(LOG_INFO, "lab.up", LOG_INT("devices", want), LOG_INT("port", port));
	return run_loop(f, e);
}

int
field_run(const char *home, int64_t port, struct err *e)
{
	struct field f = {.arena = arena_new(256 * 1024 * 1024)};
	list_init(&f.visits);
	log_role("lab");
	log_level(LOG_INFO);
	f.loop = loop_new(&clock_system, e);
	int failed = !f.loop || layout_count(home, &f.n, e) || run(&f, home, port, e);
	for (size_t i = 0; i < f.n && f.devices; i++)
		stop_device(&f.devices[i]);
	list_each_safe (it, &f.visits)
		end_visit(list_of(it, struct visit, node));
	loop_free(f.loop);
	arena_free(f.arena);
	return failed ? -1 : 0;
}
