/*
 * The edge that tests drive by hand.
 */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/chain.h"
#include "proto/pki/crl_cache.h"
#include "io/sock.h"

enum { TURNS_MAX = 5000, IDLE_TURNS = 6 };

static void
on_push(void *arg, enum ipc_type type, const void *msg)
{
	struct rig *r = arg;
	r->pushed = type;
	if (type == IPC_SESSION_CLOSE)
		hub_mqtt_on_session_close(r->hub, msg);
	if (type == IPC_METHOD_PUSH)
		hub_method_on_push(r->hub, msg);
	if (type == IPC_C2D_PUSH)
		hub_c2d_on_push(r->hub, msg);
}

static void
on_orphan(void *arg, enum ipc_type type, const void *msg)
{
	struct rig *r = arg;
	r->orphans++;
	if (type == IPC_HUB_OPENED)
		hub_mqtt_on_orphan(r->hub, msg);
}

static void
on_lost(void *arg)
{
	struct rig *r = arg;
	r->lost++;
	hub_mqtt_on_core_lost(r->hub);
}

static void
on_pressure(void *arg, bool high)
{
	struct rig *r = arg;
	mqtt_server_pause(r->mqtt, high);
}

static const struct core_link_ops core_ops = {on_push, on_orphan, on_lost, on_pressure};

static void
attach(struct rig *r)
{
	struct err e = {0};
	int fds[2];
	assert_ok(sock_pair(fds, &e), &e);
	assert_ok(core_link_attach(r->core, fds[0], &e), &e);
	r->peer = ipc_sync_new(fds[1], IPC_BODY_MAX);
}

void
rig_init(struct rig *r)
{
	struct err e = {0};
	*r =
	    (struct rig){.clock = clock_fake(RIG_NOW_MS), .body = BUF_INIT(IPC_BODY_MAX)};
	r->loop = loop_new(&r->clock, &e);
	r->arena = arena_new(4 * CONF_FILE_MAX);
	conf_defaults(&config_table, &r->config, r->arena);
	r->anchors = chain_set_new();
	r->core = core_link_new(r->loop, &core_link_defaults, &core_ops, r);
	r->env = (struct env){.loop = r->loop,
	    .config = &r->config,
	    .core = r->core,
	    .anchors = r->anchors};
	r->hub = hub_mqtt_new(&r->env);
	struct mqtt_server_opts opts = mqtt_server_defaults;
	opts.dps = &dps_mqtt_endpoint;
	opts.hub = &hub_mqtt_endpoint;
	opts.hub_arg = r->hub;
	r->mqtt = mqtt_server_new(&r->env, &opts);
	struct stream_opts stream = mqtt_server_stream_opts(&r->env);
	stream.close_ms = 200;
	r->listener = stream_listen(r->loop, rig_listen(&r->mqtt_addr), NULL, &stream,
	    10000, mqtt_server_on_accept, r->mqtt, &e);
	assert_non_null(r->listener);
	r->env.crls = crl_cache_new(1 << 20);
	r->http = http_server_new(&r->env, &e);
	assert_ok(http_server_listen(r->http, rig_listen(&r->http_addr), &e), &e);
	attach(r);
}

void
rig_done(struct rig *r)
{
	mqtt_server_free(r->mqtt);
	stream_listener_free(r->listener);
	http_server_free(r->http);
	crl_cache_free(r->env.crls);
	hub_mqtt_free(r->hub);
	core_link_free(r->core);
	ipc_sync_free(r->peer);
	chain_set_free(r->anchors);
	buf_done(&r->body);
	loop_free(r->loop);
	arena_free(r->arena);
}

int
rig_setup(void **state)
{
	struct rig *r = own_alloc(sizeof(*r));
	rig_init(r);
	*state = r;
	return 0;
}

int
rig_teardown(void **state)
{
	rig_done(*state);
	free(*state);
	return 0;
}

static void
turn(struct rig *r, int64_t wait_ms)
{
	struct err e = {0};
	assert_ok(loop_turn(r->loop, wait_ms, &e), &e);
}

/* Loopback delivers at once, so what will happen has happened after a few turns. */
void
rig_settle(struct rig *r)
{
	for (int i = 0; i < IDLE_TURNS; i++)
		turn(r, 0);
}

void
rig_advance(struct rig *r, int64_t ms)
{
	r->clock.skew_ms += ms;
	loop_clock_moved(r->loop);
	rig_settle(r);
}

void
rig_core_dies(struct rig *r, bool again)
{
	ipc_sync_free(TAKE(r->peer));
	rig_settle(r);
	if (again)
		attach(r);
}

static bool
core_frame(struct rig *r, struct ipc_frame *f)
{
	struct err e = {0};
	if (ipc_sync_recv(r->peer, 0, f, &e)) {
		assert_string_equal(err_row(e.code)->name, "TIMEOUT");
		return false;
	}
	return true;
}

uint64_t
rig_core_gets(struct rig *r, enum ipc_type type, void *msg)
{
	struct ipc_frame f;
	struct err e = {0};
	for (int i = 0; i < TURNS_MAX; i++) {
		if (!core_frame(r, &f)) {
			turn(r, 1);
			continue;
		}
		assert_string_equal(ipc_msg_row(f.type)->name, ipc_msg_row(type)->name);
		buf_reset(&r->body);
		buf_put_span(&r->body, f.body);
		assert_ok(ipc_msg_unpack(type, buf_span(&r->body), msg, &e), &e);
		return f.id;
	}
	fail_msg("the core got no %s", ipc_msg_row(type)->name);
	return 0;
}

bool
rig_core_is_idle(struct rig *r)
{
	struct ipc_frame f;
	rig_settle(r);
	return !core_frame(r, &f);
}

void
rig_core_says(struct rig *r, uint64_t id, enum ipc_type type, const void *msg)
{
	struct err e = {0};
	auto_buf body = BUF_INIT(IPC_BODY_MAX);
	assert_ok(ipc_msg_pack(type, msg, &body, &e), &e);
	const struct ipc_frame f = {
	    .type = type, .id = id, .body = buf_span(&body), .fd = -1};
	assert_ok(ipc_sync_send(r->peer, &f, 1000, &e), &e);
	rig_settle(r);
}

void
rig_core_done(struct rig *r, uint64_t id, enum err_code code, uint32_t error)
{
	const struct ipc_done m = {
	    .code = code, .error = error, .text = SPAN_LIT("why the core said so")};
	rig_core_says(r, id, IPC_DONE, &m);
}

/* ---- clients ----------------------------------------------------------------------- */

int
rig_listen(struct rig_addr *ret)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	*ret = (struct rig_addr){.un.sun_family = AF_UNIX, .len = sizeof(ret->un)};
	/* without a path the kernel chooses an abstract name */
	assert_int_equal(bind(fd, (struct sockaddr *)&ret->un, sizeof(sa_family_t)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&ret->un, &ret->len), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

int
rig_dial(const struct rig_addr *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a->un, a->len), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

void
peer_open(struct peer *p, struct rig *r, const struct rig_addr *to)
{
	*p = (struct peer){.rig = r, .in = BUF_INIT(64 << 20)};
	p->fd = rig_dial(to);
	rig_settle(r);
}

void
peer_close(struct peer *p)
{
	own_close(&p->fd);
	buf_done(&p->in);
	rig_settle(p->rig);
}

static void
pull(struct peer *p)
{
	uint8_t b[65536];
	for (;;) {
		ssize_t n = recv(p->fd, b, sizeof(b), 0);
		if (n > 0) {
			buf_put(&p->in, b, (size_t)n);
			continue;
		}
		if (n == 0 || errno == ECONNRESET)
			p->eof = true;
		return;
	}
}

void
peer_pull(struct peer *p)
{
	turn(p->rig, 1);
	pull(p);
}

void
peer_send(struct peer *p, struct span bytes)
{
	for (int i = 0; bytes.len && i < TURNS_MAX; i++) {
		ssize_t n = send(p->fd, bytes.p, bytes.len, MSG_NOSIGNAL);
		if (n > 0)
			bytes = span_skip(bytes, (size_t)n);
		else if (errno != EAGAIN)
			break; /* closed: what follows will tell */
		turn(p->rig, 0);
	}
	rig_settle(p->rig);
}

void
peer_gets(struct peer *p, struct span bytes)
{
	for (int i = 0; p->in.len < bytes.len && !p->eof && i < TURNS_MAX; i++) {
		pull(p);
		if (p->in.len < bytes.len)
			turn(p->rig, 1);
	}
	if (p->in.len < bytes.len)
		fail_msg("%zu bytes came, wanted %zu", p->in.len, bytes.len);
	assert_memory_equal(p->in.p, bytes.p, bytes.len);
	buf_drop(&p->in, bytes.len);
}

void
peer_hears_nothing(struct peer *p)
{
	rig_settle(p->rig);
	pull(p);
	assert_int_equal(p->in.len, 0);
	assert_false(p->eof);
}

void
peer_is_closed(struct peer *p)
{
	for (int i = 0; !p->eof && i < TURNS_MAX; i++) {
		pull(p);
		if (!p->eof)
			turn(p->rig, 1);
	}
	assert_true(p->eof);
	assert_int_equal(p->in.len, 0);
}

/* ---- packets ----------------------------------------------------------------------- */

static void
put_str(struct buf *b, const char *s)
{
	buf_u16(b, (uint16_t)strlen(s));
	buf_str(b, s);
}

static void
put_packet(struct buf *b, uint8_t head, const struct buf *body)
{
	size_t n = body->len;
	buf_u8(b, head);
	do {
		buf_u8(b, (uint8_t)(n % 128 | (n > 127 ? 128 : 0)));
		n /= 128;
	} while (n);
	buf_put_span(b, buf_span(body));
}

void
write_connect(struct buf *b, const struct connect *c)
{
	auto_buf v = BUF_INIT(1 << 20);
	unsigned flags = c->clean ? 2 : 0;
	flags |= c->will_topic ? 4 : 0;
	flags |= c->will_retain ? 0x20 : 0;
	flags |= c->password ? 0x40 : 0;
	flags |= c->user ? 0x80 : 0;
	put_str(&v, "MQTT");
	buf_u8(&v, 4);
	buf_u8(&v, (uint8_t)flags);
	buf_u16(&v, c->keep_alive);
	put_str(&v, c->client_id ? c->client_id : "");
	if (c->will_topic) {
		put_str(&v, c->will_topic);
		put_str(&v, c->will_payload);
	}
	if (c->user)
		put_str(&v, c->user);
	if (c->password)
		put_str(&v, c->password);
	put_packet(b, 0x10, &v);
}

void
write_publish(struct buf *b, const char *topic, struct span payload, int qos, uint16_t id,
    int extra)
{
	auto_buf v = BUF_INIT(1 << 20);
	put_str(&v, topic);
	if (qos)
		buf_u16(&v, id);
	buf_put_span(&v, payload);
	put_packet(b, (uint8_t)(0x30 | qos << 1 | extra), &v);
}

void
peer_connect(struct peer *p, const struct connect *c)
{
	auto_buf b = BUF_INIT(1 << 20);
	write_connect(&b, c);
	peer_send(p, buf_span(&b));
}

void
peer_publish(struct peer *p, const char *topic, const char *payload, int qos, uint16_t id)
{
	auto_buf b = BUF_INIT(1 << 20);
	write_publish(&b, topic, span_str(payload), qos, id, 0);
	peer_send(p, buf_span(&b));
}
