/*
 * The parent of all roles.
 */
#include "role/main.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/proc.h"
#include "io/sock.h"
#include "role/boot.h"
#include "role/ca_dir.h"

#define EDGES_MAX        64
#define RESTART_FIRST_MS 100
#define RESTART_MOST_MS  5000
#define STEADY_MS        60000 /* a child that lived this long starts again at once */
#define STOP_MS          5000

enum child_kind { CHILD_SIGNER, CHILD_CORE, CHILD_EDGE, CHILD_KEYD, CHILD_HOOKD };

struct child {
	struct supervisor *server;
	enum child_kind kind;
	uint32_t index;
	struct proc *proc;
	struct ipc_link *link;
	struct loop_timer *restart;
	bool ready;
	bool reloading; /* told to end, to start again with what is on disk now */
	int64_t started_ms, delay_ms;
};

struct supervisor {
	const struct main_opts *o;
	struct loop *loop;
	int mqtt_fd, https_fd, http_fd, amqp_fd, lock_fd; /* http, amqp -1: not served */
	uint16_t mqtt_port, https_port, http_port, amqp_port;
	struct child keyd, signer, core, hookd, edges[EDGES_MAX];
	unsigned n_edges;
	struct loop_signal *term, *intr, *hup;
	struct loop_timer *stop_deadline;
	bool up, stopping;
	int why; /* exit status of the child that could not start */
};

static const char *
kind_name(enum child_kind kind)
{
	static const char *const names[] = {[CHILD_SIGNER] = "signer",
	    [CHILD_CORE] = "core",
	    [CHILD_EDGE] = "edge",
	    [CHILD_KEYD] = "keyd",
	    [CHILD_HOOKD] = "hookd"};
	return names[kind];
}

static void start_child(struct child *c);
static bool needs_keyd(const struct supervisor *s);
static void send_stop(struct child *c);

/* ---- links between children -----------------------------------------------------------
 */

static void
attach_end(struct child *c, char peer, uint32_t index, int fd)
{
	struct ipc_attach m = {.peer = (uint8_t)peer, .index = index};
	struct err e;
	if (boot_send(c->link, IPC_ATTACH, 0, &m, fd, &e))
		log_event(LOG_ERROR, "main.attach", LOG_STR("role", kind_name(c->kind)),
		    LOG_ERR(&e));
}

/* Connects two children that are both ready; a fresh pair replaces a broken one. */
static void
attach(struct child *a, char a_is, struct child *b, char b_is)
{
	int pair[2];
	struct err e;
	if (!a->ready || !b->ready)
		return;
	if (sock_pair(pair, &e)) {
		log_event(LOG_ERROR, "main.attach", LOG_ERR(&e));
		return;
	}
	attach_end(a, b_is, b->index, pair[0]);
	attach_end(b, a_is, a->index, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* Edges get at the key holder only for a key that is theirs. */
static void
attach_tls_key(struct child *edge)
{
	struct supervisor *s = edge->server;
	if (s->o->cfg->server.tls_key[0])
		attach(&s->keyd, 'k', edge, 'e');
}

static void
hand_listeners(struct child *edge)
{
	struct supervisor *s = edge->server;
	struct err e;
	struct ipc_listen mqtt = {.kind = 'm'}, https = {.kind = 'h'},
			  http = {.kind = 'p'}, amqp = {.kind = 'a'};
	if (boot_send(edge->link, IPC_LISTEN, 0, &mqtt, s->mqtt_fd, &e) ||
	    boot_send(edge->link, IPC_LISTEN, 0, &https, s->https_fd, &e) ||
	    (s->amqp_fd >= 0 &&
		boot_send(edge->link, IPC_LISTEN, 0, &amqp, s->amqp_fd, &e)) ||
	    (s->http_fd >= 0 &&
		boot_send(edge->link, IPC_LISTEN, 0, &http, s->http_fd, &e)))
		log_event(LOG_ERROR, "main.listen", LOG_ERR(&e));
}

static void
announce(struct supervisor *s)
{
	if (s->up)
		return;
	s->up = true;
	if (s->o->on_up)
		s->o->on_up(s->o->arg, &(struct main_ports){s->mqtt_port, s->https_port,
					   s->http_port, s->amqp_port});
}

/* Edges start when there is somebody to ask. */
static void
start_edges(struct supervisor *s)
{
	if (!s->signer.ready || !s->core.ready)
		return;
	for (unsigned i = 0; i < s->n_edges; i++)
		if (!s->edges[i].proc && !loop_timer_is_started(s->edges[i].restart))
			start_child(&s->edges[i]);
}

static void
on_ready(struct child *c)
{
	struct supervisor *s = c->server;
	c->ready = true;
	if (s->stopping) {
		send_stop(c);
		return;
	}
	switch (c->kind) {
	case CHILD_KEYD:
		attach(c, 'k', &s->signer, 's');
		for (unsigned i = 0; i < s->n_edges; i++)
			attach_tls_key(&s->edges[i]);
		break;
	case CHILD_SIGNER:
		attach(&s->keyd, 'k', c, 's');
		attach(&s->core, 'c', c, 's');
		break;
	case CHILD_CORE:
		attach(c, 'c', &s->signer, 's');
		attach(c, 'c', &s->hookd, 'h');
		for (unsigned i = 0; i < s->n_edges; i++)
			attach(c, 'c', &s->edges[i], 'e');
		break;
	case CHILD_HOOKD:
		attach(&s->core, 'c', c, 'h');
		break;
	case CHILD_EDGE:
		attach_tls_key(c);
		attach(&s->core, 'c', c, 'e');
		hand_listeners(c);
		announce(s);
		break;
	}
	start_edges(s);
}

/* ---- children -------------------------------------------------------------------------
 */

/* It is needed by those alone whose enrollments have a webhook; from then on it runs. */
static void
start_hookd(struct supervisor *s)
{
	if (!s->hookd.proc && !loop_timer_is_started(s->hookd.restart))
		start_child(&s->hookd);
}

static void
on_child_frame(void *arg, struct ipc_frame *f)
{
	struct child *c = arg;
	struct ipc_ready m;
	struct err e;
	if (f->type == IPC_HOOK_WANTED && c->kind == CHILD_CORE)
		start_hookd(c->server);
	if (f->type != IPC_READY || ipc_msg_unpack(IPC_READY, f->body, &m, &e))
		return;
	log_event(LOG_INFO, "main.ready", LOG_STR("role", kind_name(c->kind)),
	    LOG_INT("index", c->index), LOG_INT("pid", proc_pid(c->proc)),
	    LOG_SPAN("jail", m.jail));
	on_ready(c);
}

static void
on_child_link_closed(void *arg, const struct err *why)
{
	struct child *c = arg; /* its end is told by on_child_exit */
	(void)why;
	ipc_free(c->link);
	c->link = NULL;
	c->ready = false;
}

static const struct ipc_ops child_ops = {
    .on_frame = on_child_frame, .on_closed = on_child_link_closed};
static const struct ipc_opts child_opts = {.body_max = 1u << 20, .queue_max = 4u << 20};

static bool
all_gone(const struct supervisor *s)
{
	for (unsigned i = 0; i < s->n_edges; i++)
		if (s->edges[i].proc)
			return false;
	return !s->core.proc && !s->signer.proc && !s->keyd.proc && !s->hookd.proc;
}

/* A child that is not ready may not see a frame behind BOOT: it is told when it is. */
static void
send_stop(struct child *c)
{
	struct ipc_stop m = {0};
	struct err e;
	if (c->ready && boot_send(c->link, IPC_STOP, 0, &m, -1, &e))
		log_event(LOG_WARN, "main.stop", LOG_ERR(&e));
}

/* Edges first, so that the core still answers what they have in hand; then core; then
 * signer; then who holds its keys. */
static void
stop_next(struct supervisor *s)
{
	bool edges = false;
	for (unsigned i = 0; i < s->n_edges; i++)
		edges |= s->edges[i].proc != NULL;
	if (all_gone(s))
		loop_stop(s->loop);
	else if (edges)
		return;
	else if (s->core.proc)
		send_stop(&s->core);
	else if (s->hookd.proc)
		send_stop(&s->hookd);
	else
		send_stop(s->signer.proc ? &s->signer : &s->keyd);
}

static void
begin_stop(struct supervisor *s)
{
	s->stopping = true;
	loop_timer_start(s->stop_deadline, STOP_MS);
	for (unsigned i = 0; i < s->n_edges; i++)
		send_stop(&s->edges[i]);
	stop_next(s);
}

static void
on_child_exit(void *arg, const struct proc_exit *x)
{
	struct child *c = arg;
	struct supervisor *s = c->server;
	bool expected = s->stopping || c->reloading;
	log_event(expected ? LOG_INFO : LOG_ERROR, "main.exit",
	    LOG_STR("role", kind_name(c->kind)), LOG_INT("index", c->index),
	    LOG_STR("how", x->text));
	proc_free(c->proc);
	c->proc = NULL;
	ipc_free(c->link);
	c->link = NULL;
	c->ready = false;
	if (s->stopping) {
		stop_next(s);
		return;
	}
	if (c->reloading) {
		c->reloading = false;
		if (c != &s->keyd || needs_keyd(s))
			start_child(c);
		return;
	}
	if (!s->up &&
	    x->code > 0) { /* it said why; starting it again would say it again */
		s->why = x->code;
		begin_stop(s);
		return;
	}
	if (loop_now_ms(s->loop) - c->started_ms > STEADY_MS || !c->delay_ms)
		c->delay_ms = RESTART_FIRST_MS;
	else if (c->delay_ms < RESTART_MOST_MS)
		c->delay_ms *= 2;
	loop_timer_start(c->restart, c->delay_ms);
}

/* Is any key in a token? What cannot be read the signer says. */
static bool
needs_keyd(const struct supervisor *s)
{
	const struct config *cfg = s->o->cfg;
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	struct err ignored;
	return ca_conf_is_token(cfg->server.tls_key) ||
	       ca_conf_is_token(cfg->pki.ocsp_key) ||
	       (ca_dir_conf(s->o->home, conf, &ignored) == 0 && ca_conf_has_token(conf));
}

static int
spawn(struct child *c, int fd, struct err *e)
{
	char name[16];
	snprintf(name, sizeof(name), "%s", kind_name(c->kind));
	const char *argv[] = {"muster", "role", name, NULL};
	struct proc_fd fds[] = {{.from = fd, .to = BOOT_FD}};
	/* vendors' modules are told by variables of theirs where their tokens are */
	const char *const *env =
	    c->kind == CHILD_KEYD ? (const char *const *)environ : NULL;
	struct proc_spec spec = {.argv = argv, .fds = fds, .nfds = 1, .env = env};
	return proc_start(c->server->loop, &spec, on_child_exit, c, &c->proc, e);
}

static int
try_start(struct child *c, struct err *e)
{
	struct supervisor *s = c->server;
	int pair[2];
	if (sock_pair(pair, e))
		return -1;
	int rc = spawn(c, pair[1], e);
	close(pair[1]);
	if (rc) {
		close(pair[0]);
		return -1;
	}
	c->started_ms = loop_now_ms(s->loop);
	c->link = ipc_new(s->loop, pair[0], &child_opts, &child_ops, c, e);
	if (!c->link)
		return -1;
	struct ipc_boot m = {
	    .index = c->index, .home = span_str(s->o->home), .config = s->o->config_text};
	return boot_send(c->link, IPC_BOOT, 0, &m, -1, e);
}

static void
start_child(struct child *c)
{
	struct err e = {0};
	if (c->server->stopping || try_start(c, &e) == 0)
		return;
	log_event(
	    LOG_ERROR, "main.start", LOG_STR("role", kind_name(c->kind)), LOG_ERR(&e));
	loop_timer_start(c->restart, RESTART_MOST_MS);
}

static void
on_restart(void *arg)
{
	start_child(arg);
}

static void
init_child(struct supervisor *s, struct child *c, enum child_kind kind, uint32_t index)
{
	*c = (struct child){.server = s, .kind = kind, .index = index};
	c->restart = loop_timer_new(s->loop, on_restart, c);
}

static void
done_child(struct child *c)
{
	ipc_free(c->link);
	proc_free(c->proc);
	loop_timer_free(c->restart);
}

/* ---- start and stop -------------------------------------------------------------------
 */

static void
on_deadline(void *arg)
{
	struct supervisor *s = arg;
	log_event(LOG_WARN, "main.stop_forced", LOG_INT("after_ms", STOP_MS));
	loop_stop(s->loop); /* what is left is killed when it is freed */
}

static void
on_stop_signal(void *arg)
{
	struct supervisor *s = arg;
	if (s->stopping)
		return;
	log_event(LOG_INFO, "main.stopping", LOG_INT("pid", getpid()));
	begin_stop(s);
}

/* A child ends with its error's exit status; so do we. */
static enum err_code
code_of(int exit)
{
	for (int i = 1; i < ERR_N; i++)
		if (err_row((enum err_code)i)->exit == exit)
			return (enum err_code)i;
	return ERR_UNAVAILABLE;
}

static void
reload(struct child *c)
{
	if (!c->ready)
		return; /* it is about to read what is there now */
	c->reloading = true;
	send_stop(c);
}

/* The CAs are read anew, by a new signer; connections stay. muster.conf is not: what many
 * send for that must not end the server. */
static void
on_hangup(void *arg)
{
	struct supervisor *s = arg;
	auto_(free) struct ca_conf *conf = own_alloc(sizeof(*conf));
	struct err e;
	if (s->stopping)
		return;
	if (ca_dir_conf(s->o->home, conf, &e)) {
		log_event(LOG_ERROR, "main.hangup",
		    LOG_STR("text", "ca/ is not read again"), LOG_ERR(&e));
		return;
	}
	log_event(LOG_WARN, "main.hangup",
	    LOG_STR("text", "ca/ is read again; muster.conf only at start"));
	reload(&s->signer);
	if (s->keyd.proc)
		reload(&s->keyd);
	else if (needs_keyd(s))
		start_child(&s->keyd);
}

static int
listen_on(const char *bind, int64_t port, int *ret_fd, uint16_t *ret_port, struct err *e)
{
	char addr[300];
	bool v6 = span_has(span_str(bind), ':') && bind[0] != '[';
	snprintf(addr, sizeof(addr), v6 ? "[%s]:%" PRId64 : "%s:%" PRId64, bind, port);
	return sock_listen(addr, false, ret_fd, ret_port, e);
}

static int
take_home(struct supervisor *s, struct err *e)
{
	char path[4200];
	snprintf(path, sizeof(path), "%s/run", s->o->home);
	if (file_mkdir(path, 0700, e))
		return -1;
	snprintf(path, sizeof(path), "%s/run/lock", s->o->home);
	return file_lock(path, &s->lock_fd, e);
}

static int
write_ports(const struct supervisor *s, struct err *e)
{
	char path[4200], text[64];
	snprintf(path, sizeof(path), "%s/run/ports", s->o->home);
	int n = snprintf(
	    text, sizeof(text), "mqtt=%u\nhttps=%u\n", s->mqtt_port, s->https_port);
	if (s->http_fd >= 0)
		n += snprintf(
		    text + n, sizeof(text) - (size_t)n, "http=%u\n", s->http_port);
	if (s->amqp_fd >= 0)
		snprintf(text + n, sizeof(text) - (size_t)n, "amqp=%u\n", s->amqp_port);
	if (file_write(path, span_str(text), 0600, e))
		return -1;
	snprintf(path, sizeof(path), "%s/run/serve.pid", s->o->home);
	snprintf(text, sizeof(text), "%d\n", (int)getpid());
	return file_write(path, span_str(text), 0600, e);
}

static unsigned
edge_count(const struct config *cfg)
{
	long n = cfg->server.edges;
	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : n > EDGES_MAX ? EDGES_MAX : (unsigned)n;
}

static int
bind_all(struct supervisor *s, struct err *e)
{
	const struct config *cfg = s->o->cfg;
	const char *bind = cfg->server.bind;
	if (listen_on(bind, cfg->server.mqtt_port, &s->mqtt_fd, &s->mqtt_port, e) ||
	    listen_on(bind, cfg->server.https_port, &s->https_fd, &s->https_port, e))
		return -1;
	if (cfg->server.amqp_port >= 0 &&
	    listen_on(bind, cfg->server.amqp_port, &s->amqp_fd, &s->amqp_port, e))
		return err_wrap(e, "server.amqp_port (-1 is none)");
	if (cfg->server.http_port < 0)
		return 0;
	if (listen_on(bind, cfg->server.http_port, &s->http_fd, &s->http_port, e))
		return err_wrap(e, "server.http_port (-1 is none)");
	return 0;
}

static int
start(struct supervisor *s, struct err *e)
{
	if (take_home(s, e) || bind_all(s, e) || write_ports(s, e))
		return -1;
	struct jail_opts jail = {0};
	if (jail_enter(JAIL_MAIN, &jail, e))
		return -1;
	log_event(LOG_INFO, "main.start", LOG_STR("home", s->o->home),
	    LOG_INT("mqtt", s->mqtt_port), LOG_INT("https", s->https_port),
	    LOG_INT("http", s->http_port), LOG_STR("jail", jail_describe()));
	s->term = loop_signal_new(s->loop, SIGTERM, on_stop_signal, s, e);
	s->intr = loop_signal_new(s->loop, SIGINT, on_stop_signal, s, e);
	s->hup = loop_signal_new(s->loop, SIGHUP, on_hangup, s, e);
	if (!s->term || !s->intr || !s->hup)
		return -1;
	if (needs_keyd(s))
		start_child(&s->keyd);
	start_child(&s->signer);
	start_child(&s->core);
	return 0;
}

int
main_serve(const struct main_opts *o, struct err *e)
{
	struct supervisor s = {.o = o,
	    .mqtt_fd = -1,
	    .https_fd = -1,
	    .http_fd = -1,
	    .amqp_fd = -1,
	    .lock_fd = -1};
	s.loop = loop_new(&clock_system, e);
	if (!s.loop)
		return -1;
	boot_log(o->cfg, "main");
	s.n_edges = edge_count(o->cfg);
	s.stop_deadline = loop_timer_new(s.loop, on_deadline, &s);
	init_child(&s, &s.keyd, CHILD_KEYD, 0);
	init_child(&s, &s.signer, CHILD_SIGNER, 0);
	init_child(&s, &s.core, CHILD_CORE, 0);
	init_child(&s, &s.hookd, CHILD_HOOKD, 0);
	for (unsigned i = 0; i < s.n_edges; i++)
		init_child(&s, &s.edges[i], CHILD_EDGE, i);
	int rc = start(&s, e);
	if (rc == 0)
		rc = loop_run(s.loop, e);
	if (rc == 0 && s.why)
		rc = err_set(e, code_of(s.why),
		    "a part of the server could not start; the lines above say why");
	for (unsigned i = 0; i < s.n_edges; i++)
		done_child(&s.edges[i]);
	done_child(&s.core);
	done_child(&s.hookd);
	done_child(&s.signer);
	done_child(&s.keyd);
	loop_timer_free(s.stop_deadline);
	loop_signal_free(s.term);
	loop_signal_free(s.intr);
	loop_signal_free(s.hup);
	own_close(&s.mqtt_fd);
	own_close(&s.https_fd);
	own_close(&s.http_fd);
	own_close(&s.amqp_fd);
	own_close(&s.lock_fd);
	loop_free(s.loop);
	return rc;
}
