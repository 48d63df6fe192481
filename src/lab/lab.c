/*
 * Bringing the lab up and down. The hub's own logs say when the fleet is there.
 */
#include "lab/lab.h"

#include <stdio.h>
#include <unistd.h>

#include "base/base64.h"
#include "base/rand.h"
#include "codec/config.h"
#include "codec/js.h"
#include "crypto/sas_key.h"
#include "fleet/azure.h"
#include "fleet/inventory.h"
#include "fleet/progress.h"
#include "fleet/target.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/sock.h"
#include "lab/daemon.h"
#include "lab/layout.h"
#include "lab/make.h"

#define ARENA_MAX  (size_t)(1024 * 1024 * 1024)
#define SERVE_MS   30000
#define UP_MS      120000 /* and UP_EACH_MS for every device */
#define UP_EACH_MS 200
#define POLL_MS    250
#define DOWN_MS    15000
#define PAGE       5000
#define PORT_FROM  18000
#define PORT_TRIES 200
#define DISK_FULL  "disk-full"

struct lab {
	const struct lab_opts *o;
	struct arena *arena;
	struct loop *loop;
	struct rest *rest;
	struct progress progress;
	struct config cfg;
	int64_t mqtt_port, https_port, ssh_port;
	size_t devices;
	struct buf group_key; /* decoded */
	pid_t field;
};

static const char *
at(struct lab *l, const char *name)
{
	return layout_path(l->arena, l->o->home, name);
}

/* ---- the server ---- */

static int
read_config(struct lab *l, struct err *e)
{
	auto_buf text = BUF_INIT(CONF_FILE_MAX);
	const char *path = arena_printf(l->arena, "%s/muster.conf", l->o->home);
	if (!file_exists(path))
		return err_set(e, ERR_NOT_FOUND,
		    "%s: no home yet; make it with muster init", l->o->home);
	if (file_read(path, &text, e))
		return -1;
	conf_defaults(&config_table, &l->cfg, l->arena);
	return conf_parse(&config_table, buf_span(&text), &l->cfg, l->arena, e)
		   ? err_wrap(e, "%s", path)
		   : 0;
}

static bool
can_bind(const char *host, int64_t port)
{
	struct err e;
	auto_fd int fd = -1;
	char addr[300];
	snprintf(addr, sizeof(addr), "%s:%lld", host, (long long)port);
	return sock_listen(addr, false, &fd, NULL, &e) == 0;
}

static int64_t
free_port(const char *host, int64_t from)
{
	for (int64_t port = from; port < from + PORT_TRIES; port++)
		if (can_bind(host, port))
			return port;
	return 0;
}

/* Appends the line unless it sets one of our three keys. */
static void
keep_line(struct span line, struct buf *out)
{
	struct span rest = line;
	struct span key = span_trim(span_split(&rest, '='));
	if (rest.p && (span_eq_str(key, "mqtt_port") || span_eq_str(key, "https_port") ||
			  span_eq_str(key, "http_port")))
		return;
	buf_put_span(out, line);
	buf_u8(out, '\n');
}

/* High ports, for who may not bind the real ones or finds them taken. */
static int
move_ports(struct lab *l, struct err *e)
{
	const char *bind = l->cfg.server.bind;
	int64_t mqtt = free_port(bind, PORT_FROM + 883);
	int64_t https = free_port(bind, PORT_FROM + 443);
	int64_t http = free_port(bind, PORT_FROM + 80);
	const char *path = arena_printf(l->arena, "%s/muster.conf", l->o->home);
	auto_buf was = BUF_INIT(CONF_FILE_MAX), is = BUF_INIT(CONF_FILE_MAX + 256);
	if (!mqtt || !https || !http)
		return err_set(
		    e, ERR_UNAVAILABLE, "no free port for the server on %s", bind);
	if (file_read(path, &was, e))
		return -1;
	for (struct span rest = span_trim(buf_span(&was)); rest.p;)
		keep_line(span_split(&rest, '\n'), &is);
	buf_printf(&is,
	    "\n# The lab's: 8883, 443 and 80 could not be bound.\n[server]\n"
	    "mqtt_port = %lld\nhttps_port = %lld\nhttp_port = %lld\n",
	    (long long)mqtt, (long long)https, (long long)http);
	if (buf_check(&is, path, e) || file_write(path, buf_span(&is), 0600, e))
		return -1;
	progress_say(&l->progress,
	    "ports %lld, %lld and %lld cannot be bound: using %lld, %lld and %lld",
	    (long long)l->cfg.server.mqtt_port, (long long)l->cfg.server.https_port,
	    (long long)l->cfg.server.http_port, (long long)mqtt, (long long)https,
	    (long long)http);
	return 0;
}

static bool
ports_are_free(struct lab *l)
{
	const struct config *c = &l->cfg;
	return can_bind(c->server.bind, c->server.mqtt_port) &&
	       can_bind(c->server.bind, c->server.https_port) &&
	       (c->server.http_port < 0 || can_bind(c->server.bind, c->server.http_port));
}

/* Who serves holds the home's lock: run/ports alone may be of a server that was killed.
 */
static bool
is_served(struct lab *l)
{
	struct err e;
	auto_fd int fd = -1;
	return file_lock(arena_printf(l->arena, "%s/run/lock", l->o->home), &fd, &e) != 0;
}

/* Connects to the server; *ret_up is false when none answers. */
static int
try_server(struct lab *l, bool *ret_up, struct err *e)
{
	struct err why;
	struct target t;
	struct target_opts o = {.home = l->o->home, .operator= l->o->operator};
	*ret_up = false;
	if (!is_served(l) ||
	    target_ports(l->o->home, &l->mqtt_port, &l->https_port, &why))
		return 0;
	if (target_find(&o, l->arena, &t, e))
		return -1;
	auto_(rest_free) struct rest *r = rest_new(l->loop, &t.rest, e);
	if (!r)
		return -1;
	struct rest_request q;
	struct rest_response answer;
	auto_buf body = BUF_INIT(REST_BODY_MAX);
	azure_est_cacerts(l->arena, &q);
	if (rest_wait(r, &q, &body, &answer, e) || azure_check(&answer, "server", e))
		return -1;
	l->rest = TAKE(r);
	*ret_up = true;
	return 0;
}

static int
wait_for_server(struct lab *l, pid_t pid, struct err *e)
{
	char said[256];
	int64_t until = loop_now_ms(l->loop) + SERVE_MS;
	for (bool up = false; loop_now_ms(l->loop) < until;) {
		if (daemon_has_ended(pid)) {
			daemon_last_words(at(l, "serve.log"), said, sizeof(said));
			return err_set(
			    e, ERR_UNAVAILABLE, "muster serve ended: %s", said);
		}
		if (try_server(l, &up, e) && e->code != ERR_UNAVAILABLE)
			return -1;
		if (up)
			return 0;
		usleep(POLL_MS * 1000);
	}
	return err_set(
	    e, ERR_TIMEOUT, "muster serve does not answer; see %s", at(l, "serve.log"));
}

static int
need_server(struct lab *l, struct err *e)
{
	bool up;
	pid_t pid;
	if (try_server(l, &up, e))
		return -1;
	if (up)
		return 0;
	if (!ports_are_free(l) && move_ports(l, e))
		return -1;
	/* a leftover of a server that was killed would be believed */
	if (file_remove(arena_printf(l->arena, "%s/run/ports", l->o->home), e))
		return -1;
	const char *const args[] = {"serve", "--home", l->o->home, NULL};
	if (daemon_start(args, at(l, "serve.log"), at(l, "serve.pid"), &pid, e))
		return -1;
	return wait_for_server(l, pid, e);
}

/* ---- the symmetric-key group ---- */

static int
ask(struct lab *l, const struct rest_request *q, const char *what, struct js **ret,
    struct err *e)
{
	struct rest_response r;
	auto_buf body = BUF_INIT(REST_BODY_MAX);
	body.secret = true;
	if (rest_wait(l->rest, q, &body, &r, e) || azure_check(&r, what, e))
		return -1;
	*ret = js_parse(r.body, REST_BODY_MAX, 32, e);
	return *ret ? 0 : -1;
}

static int
make_group(struct lab *l, struct err *e)
{
	struct buf text[2] = {BUF_INIT(128), BUF_INIT(128)};
	for (int i = 0; i < 2; i++) {
		uint8_t key[SAS_KEY_MAX];
		sas_key_generate(key);
		text[i].secret = true;
		base64_put(&text[i], span_of(key, sizeof(key)));
		own_wipe(key, sizeof(key));
	}
	auto_(js_free) struct js *group =
	    azure_group_symmetric(LAB_GROUP, buf_text(&text[0]), buf_text(&text[1]));
	auto_(js_free) struct js *answer = NULL;
	struct rest_request q;
	azure_group_put(l->arena, LAB_GROUP, group, &q);
	int failed = ask(l, &q, "making enrollment group " LAB_GROUP, &answer, e) ||
		     sas_key_parse(buf_span(&text[0]), &l->group_key, e);
	for (int i = 0; i < 2; i++)
		buf_done(&text[i]);
	return failed ? -1 : 0;
}

static int
need_group(struct lab *l, struct err *e)
{
	struct err why;
	struct rest_request q;
	auto_(js_free) struct js *a = NULL;
	azure_group_attestation(l->arena, LAB_GROUP, &q);
	if (ask(l, &q, "enrollment group " LAB_GROUP, &a, &why))
		return why.code == ERR_NOT_FOUND ? make_group(l, e) : err_copy(e, &why);
	const struct js *keys = js_get(a, "symmetricKey");
	return sas_key_parse(js_as_str(js_get(keys, "primaryKey")), &l->group_key, e);
}

/* ---- the fleet ---- */

static int
need_ssh_port(struct lab *l, struct err *e)
{
	char ip[LAYOUT_IP];
	layout_ip(0, ip);
	/* sshd's side binds it a little later: two labs that come up at once must not
	 * find the same one */
	int64_t from = PORT_FROM + 22 + (int64_t)rand_below(PORT_TRIES);
	l->ssh_port = free_port(ip, from);
	if (!l->ssh_port)
		return err_set(e, ERR_UNAVAILABLE, "no free port for sshd on %s", ip);
	return make_ssh_config(l->o->home, l->ssh_port, l->arena, e);
}

static int
need_fleet(struct lab *l, struct err *e)
{
	size_t have;
	if (layout_count(l->o->home, &have, e))
		return -1;
	l->devices = l->o->devices ? (size_t)l->o->devices : have ? have : 10;
	if (have && have != l->devices)
		return err_set(e, ERR_EXISTS,
		    "a lab of %zu devices is in %s already; go on with it (leave "
		    "--devices out) or "
		    "use another home",
		    have, l->o->home);
	struct make m = {
	    .home = l->o->home,
	    .devices = l->devices,
	    .mqtt_port = l->mqtt_port,
	    .https_port = l->https_port,
	    .id_scope = l->cfg.dps.id_scope,
	    .group_key = buf_span(&l->group_key),
	    .telemetry_ms = l->o->telemetry_ms,
	    .loop = l->loop,
	    .arena = l->arena,
	    .progress = &l->progress,
	};
	if (!have && (need_group(l, e)))
		return -1;
	m.group_key = buf_span(&l->group_key);
	if (have ? make_again(&m, e) : make_fleet(&m, e))
		return -1;
	if (need_ssh_port(l, e))
		return -1;
	return have ? 0 : make_inventory(&m, e);
}

/* ID=disk-full */
static int
set_fault(struct lab *l, struct err *e)
{
	struct span fault = span_str(l->o->fault);
	if (!l->o->fault)
		return 0;
	const char *id = arena_str(l->arena, span_split(&fault, '='));
	int64_t i = layout_index(id);
	if (i < 0 || (size_t)i >= l->devices || !span_eq_str(fault, DISK_FULL))
		return err_set(e, ERR_USAGE,
		    "--fault %s: ID=" DISK_FULL
		    " is wanted, with one of %zu devices (dev-0001 "
		    "...)",
		    l->o->fault, l->devices);
	return file_write(layout_of(l->arena, l->o->home, "faults", id),
	    SPAN_LIT(DISK_FULL "\n"), 0600, e);
}

/* ---- waiting until every device was seen and heard ---- */

struct seen {
	struct lab *l;
	uint8_t *connected, *heard; /* by index */
	size_t n_connected, n_heard, n_sas;
	bool events; /* which log is being read */
};

static int
visit_seen(void *ctx, const struct azure_row *r, struct err *e)
{
	struct seen *s = ctx;
	int64_t i = layout_index(r->device_id);
	if (i < 0 || (size_t)i >= s->l->devices)
		return 0;
	uint8_t *flag = s->events ? &s->heard[i] : &s->connected[i];
	s->n_heard += s->events && !*flag;
	s->n_connected += !s->events && !*flag;
	s->n_sas += !s->events && !*flag && strcmp(r->auth, "sas") == 0;
	*flag = 1;
	return 0;
}

/* Everything new in a log; *seq moves on. */
static int
follow(struct lab *l, struct seen *s, bool events, int64_t *seq, struct err *e)
{
	struct azure_log_end end;
	do {
		auto_(arena_free) struct arena *a = arena_new(65536);
		auto_buf body = BUF_INIT(REST_BODY_MAX);
		struct azure_log_filter f = {.after_seq = *seq, .limit = PAGE};
		struct rest_request q;
		struct rest_response r;
		f.what = events ? NULL : "connect";
		f.plane = events ? NULL : "hub";
		(events ? azure_events : azure_connections)(a, &f, &q);
		s->events = events;
		if (rest_wait(l->rest, &q, &body, &r, e) || azure_check(&r, "log", e) ||
		    azure_log_read(r.body, visit_seen, s, &end, e))
			return -1;
		*seq = end.next > *seq ? end.next : *seq;
	} while (end.rows == PAGE);
	return 0;
}

static int
skip_log(struct lab *l, bool events, int64_t *seq, struct err *e)
{
	struct seen nobody = {.l = l};
	size_t was = l->devices;
	l->devices = 0;
	int failed = follow(l, &nobody, events, seq, e);
	l->devices = was;
	return failed;
}

static int
watch(struct lab *l, struct seen *s, int64_t conn_seq, int64_t event_seq, struct err *e)
{
	char said[256];
	int64_t until = loop_now_ms(l->loop) + UP_MS + UP_EACH_MS * (int64_t)l->devices;
	progress_start(&l->progress, "devices connecting", l->devices);
	while (s->n_heard < l->devices || s->n_connected < l->devices) {
		if (daemon_has_ended(l->field)) {
			daemon_last_words(at(l, "lab.log"), said, sizeof(said));
			return err_set(
			    e, ERR_UNAVAILABLE, "the lab's process ended: %s", said);
		}
		if (loop_now_ms(l->loop) > until)
			return err_set(e, ERR_TIMEOUT,
			    "%zu of %zu devices connected, %zu heard; see %s",
			    s->n_connected, l->devices, s->n_heard, at(l, "lab.log"));
		if (follow(l, s, false, &conn_seq, e) ||
		    follow(l, s, true, &event_seq, e))
			return -1;
		progress_step(&l->progress,
		    s->n_heard < s->n_connected ? s->n_heard : s->n_connected, 0);
		usleep(POLL_MS * 1000);
	}
	progress_end(&l->progress);
	return 0;
}

static int
start_field(struct lab *l, struct err *e)
{
	int64_t conn_seq = 0, event_seq = 0;
	struct seen s = {.l = l};
	const char *const args[] = {"lab", "field", "--home", l->o->home, "--port",
	    arena_printf(l->arena, "%lld", (long long)l->ssh_port), NULL};
	s.connected = arena_alloc(l->arena, l->devices);
	s.heard = arena_alloc(l->arena, l->devices);
	if (skip_log(l, false, &conn_seq, e) || skip_log(l, true, &event_seq, e) ||
	    daemon_start(args, at(l, "lab.log"), at(l, "lab.pid"), &l->field, e) ||
	    watch(l, &s, conn_seq, event_seq, e))
		return -1;
	if (l->o->json)
		printf("{\"devices\":%zu,\"connected\":%zu,\"sas\":%zu}\n", l->devices,
		    s.n_connected, s.n_sas);
	else
		printf("lab: %zu devices connected, %zu of them with SAS; telemetry from "
		       "all\n"
		       "inventory: %s\n",
		    s.n_connected, s.n_sas, at(l, "inventory.csv"));
	return 0;
}

static int
open_lab(struct lab *l, const struct lab_opts *o, struct err *e)
{
	*l = (struct lab){.o = o, .arena = arena_new(ARENA_MAX)};
	l->group_key = BUF_INIT(SAS_KEY_MAX);
	l->group_key.secret = true;
	l->progress = progress_new(o->json);
	l->loop = loop_new(&clock_system, e);
	return l->loop && read_config(l, e) == 0 ? 0 : -1;
}

static void
close_lab(struct lab *l)
{
	progress_end(&l->progress);
	rest_free(l->rest);
	loop_free(l->loop);
	buf_done(&l->group_key);
	arena_free(l->arena);
}

static int
up(struct lab *l, struct err *e)
{
	if (daemon_find(at(l, "lab.pid")))
		return err_set(e, ERR_EXISTS,
		    "a lab runs in %s; muster lab down stops it", l->o->home);
	if (strpbrk(l->o->home, "'\"\n"))
		return err_set(e, ERR_USAGE, "home %s: a quote in the path", l->o->home);
	if (file_mkdir(at(l, ""), 0700, e) || need_server(l, e) || need_fleet(l, e) ||
	    set_fault(l, e) || start_field(l, e))
		return -1;
	return 0;
}

int
lab_up(const struct lab_opts *o, struct err *e)
{
	struct lab l;
	struct err ignored;
	int failed = open_lab(&l, o, e);
	bool running = !failed && daemon_find(at(&l, "lab.pid"));
	if (!failed)
		failed = up(&l, e);
	close_lab(&l);
	if (failed && !running && lab_down(o, &ignored))
		return -1;
	return failed ? -1 : 0;
}

/* ---- status, mend, down ---- */

static int
count_states(struct lab *l, size_t n[3], struct err *e)
{
	struct rest_response r = {0};
	do {
		auto_(arena_free) struct arena *a = arena_new(REST_BODY_MAX);
		auto_buf body = BUF_INIT(REST_BODY_MAX);
		struct rest_request q;
		struct azure_device *v;
		size_t got;
		azure_device_query(a, r.continuation, &q);
		if (rest_wait(l->rest, &q, &body, &r, e) ||
		    azure_check(&r, "device query", e) ||
		    azure_device_page(r.body, a, &v, &got, e))
			return -1;
		for (size_t i = 0; i < got; i++) {
			if (layout_index(v[i].id) < 0)
				continue;
			bool sas = strcmp(v[i].auth, "sas") == 0;
			n[0] += strcmp(v[i].state, "Connected") == 0;
			n[1] += sas;
			n[2] += !sas;
		}
	} while (r.continuation[0]);
	return 0;
}

static int
status(struct lab *l, struct err *e)
{
	size_t n[3] = {0}, devices;
	bool server = false;
	pid_t field = daemon_find(at(l, "lab.pid"));
	if (layout_count(l->o->home, &devices, e) || try_server(l, &server, e))
		return -1;
	if (server && count_states(l, n, e))
		return -1;
	const char *agents = field ? "running" : "stopped";
	const char *serve = server ? "running" : "stopped";
	if (l->o->json)
		printf("{\"devices\":%zu,\"agents\":\"%s\",\"server\":\"%s\","
		       "\"connected\":%zu,"
		       "\"sas\":%zu,\"x509\":%zu}\n",
		    devices, agents, serve, n[0], n[1], n[2]);
	else
		printf("devices %zu, agents %s, server %s; connected %zu; identities: "
		       "SAS %zu, "
		       "X.509 %zu\n",
		    devices, agents, serve, n[0], n[1], n[2]);
	return 0;
}

int
lab_status(const struct lab_opts *o, struct err *e)
{
	struct lab l;
	int failed = open_lab(&l, o, e) || status(&l, e);
	close_lab(&l);
	return failed ? -1 : 0;
}

int
lab_mend(const struct lab_opts *o, const char *device, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(65536);
	const char *faults = layout_path(a, o->home, "faults");
	if (!device)
		return file_remove_tree(faults, e) || file_mkdir(faults, 0700, e) ? -1
										  : 0;
	if (layout_index(device) < 0)
		return err_set(e, ERR_USAGE, "--device %s: no device of the lab", device);
	const char *path = layout_of(a, o->home, "faults", device);
	if (!file_exists(path))
		return err_set(e, ERR_NOT_FOUND, "device %s has no fault", device);
	return file_remove(path, e);
}

int
lab_down(const struct lab_opts *o, struct err *e)
{
	auto_(arena_free) struct arena *a = arena_new(65536);
	if (daemon_stop(layout_path(a, o->home, "lab.pid"), DOWN_MS, e))
		return err_wrap(e, "lab");
	/* sessions and sshd end by themselves when their connection does; whoever does
	 * not */
	daemon_sweep(layout_path(a, o->home, "devices/"));
	daemon_sweep(layout_path(a, o->home, "ssh/"));
	if (daemon_stop(layout_path(a, o->home, "serve.pid"), DOWN_MS, e))
		return err_wrap(e, "muster serve");
	return 0;
}
