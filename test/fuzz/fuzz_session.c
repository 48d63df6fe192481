/*
 * A device's bytes against whole MQTT sessions, DPS and hub, with a core that grants all:
 * whatever comes, the edge neither breaks nor keeps a session or a question that has
 * nobody.
 *
 * The first byte of the input says how the connection begins (0 raw, 1 after a hub
 * CONNECT, 2 after a DPS CONNECT and SUBSCRIBE), the second how many bytes arrive at a
 * time.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "codec/config.h"
#include "codec/topic.h"
#include "crypto/chain.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/sock.h"
#include "io/stream.h"
#include "proto/core_link.h"
#include "proto/dps/dps_mqtt.h"
#include "proto/env.h"
#include "proto/hub/hub_mqtt.h"
#include "proto/mqtt_server.h"

enum { RAW, HUB, DPS, OPENINGS };

static const char token[] =
    "SharedAccessSignature sr=x&sig=AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    "AQEBAQE%3D&se=1900000000";

static struct {
	struct clock clock;
	struct loop *loop;
	struct arena *arena; /* of config */
	struct config config;
	struct env env;
	struct ipc_sync *core;
	struct hub_mqtt *hub;
	struct mqtt_server *mqtt;
	struct stream_listener *listener;
	struct sockaddr_un addr; /* an abstract name: no port, no file, no TIME_WAIT */
	socklen_t addr_len;
	int64_t session;
} w;

static void
on_push(void *arg, enum ipc_type type, const void *msg)
{
	if (type == IPC_HUB_DESIRED)
		hub_twin_on_desired(w.hub, msg);
}

static void
on_orphan(void *arg, enum ipc_type type, const void *msg)
{
	if (type == IPC_HUB_OPENED)
		hub_mqtt_on_orphan(w.hub, msg);
}

static void
on_lost(void *arg)
{
	assert(!"the edge found its core at fault");
}

static void
on_pressure(void *arg, bool high)
{
	mqtt_server_pause(w.mqtt, high);
}

static int
listen_anywhere(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	w.addr.sun_family = AF_UNIX;
	w.addr_len = sizeof(w.addr);
	int rc = bind(fd, (struct sockaddr *)&w.addr, sizeof(sa_family_t)) ||
		 getsockname(fd, (struct sockaddr *)&w.addr, &w.addr_len) ||
		 listen(fd, 16);
	assert(!rc);
	return fd;
}

static void
make_world(void)
{
	static const struct core_link_ops ops = {
	    on_push, on_orphan, on_lost, on_pressure};
	struct err e;
	int fds[2];
	w.clock = clock_fake(INT64_C(1767225600000));
	w.loop = loop_new(&w.clock, &e);
	w.arena = arena_new(4 * CONF_FILE_MAX);
	conf_defaults(&config_table, &w.config, w.arena);
	w.env =
	    (struct env){.loop = w.loop, .config = &w.config, .anchors = chain_set_new()};
	w.env.core = core_link_new(w.loop, &core_link_defaults, &ops, NULL);
	w.hub = hub_mqtt_new(&w.env);
	struct mqtt_server_opts opts = mqtt_server_defaults;
	opts.dps = &dps_mqtt_endpoint;
	opts.hub = &hub_mqtt_endpoint;
	opts.hub_arg = w.hub;
	w.mqtt = mqtt_server_new(&w.env, &opts);
	struct stream_opts stream = mqtt_server_stream_opts(&w.env);
	w.listener = stream_listen(w.loop, listen_anywhere(), NULL, &stream, 100,
	    mqtt_server_on_accept, w.mqtt, &e);
	assert(w.listener);
	int rc = sock_pair(fds, &e) || core_link_attach(w.env.core, fds[0], &e);
	assert(!rc);
	w.core = ipc_sync_new(fds[1], IPC_BODY_MAX);
}

static void
say(uint64_t id, enum ipc_type type, const void *msg)
{
	struct err e;
	auto_buf body = BUF_INIT(65536);
	int rc = ipc_msg_pack(type, msg, &body, &e);
	assert(!rc);
	const struct ipc_frame f = {
	    .type = type, .id = id, .body = buf_span(&body), .fd = -1};
	rc = ipc_sync_send(w.core, &f, 1000, &e);
	assert(!rc);
}

/* A report is followed by a change of what is desired, so that both directions meet. */
static void
answer_report(uint64_t id, const struct ipc_hub_twin_report *m)
{
	const struct ipc_done done = {.number = 2};
	const struct ipc_done late = {.code = ERR_CONFLICT, .text = SPAN_LIT("late")};
	const struct ipc_hub_desired desired = {
	    .session = m->session, .version = 3, .patch = m->patch};
	say(id, IPC_DONE, m->version == 9 ? &late : &done);
	say(0, IPC_HUB_DESIRED, &desired);
}

/* The core grants everything. Every message of the edge unpacks: it packed within the
 * caps. */
static void
answer(const struct ipc_frame *f)
{
	union {
#define IPC(NAME, name, from, to, right) struct ipc_##name name;
#include "tbl/ipc.def"
#undef IPC
	} msg;
	struct err e;
	assert(ipc_msg_allowed(f->type, IPC_ROLE_E, IPC_ROLE_C));
	int rc = ipc_msg_unpack(f->type, f->body, &msg, &e);
	assert(!rc);
	const struct ipc_hub_opened opened = {.session = ++w.session,
	    .present = 1,
	    .subs = topic_subs_with(0, TOPIC_SUB_TWIN_RES, 1)};
	const struct ipc_hub_twin twin = {.desired = SPAN_LIT("{\"a\":1}"),
	    .desired_version = 2,
	    .reported = SPAN_LIT("{}"),
	    .reported_version = 1};
	const struct ipc_done done = {0};
	const struct ipc_dps_state state = {.status = SPAN_LIT("assigned")};
	if (f->type == IPC_HUB_OPEN)
		say(f->id, IPC_HUB_OPENED, &opened);
	else if (f->type == IPC_HUB_EVENT || f->type == IPC_HUB_SUBSCRIBE)
		say(f->id, IPC_DONE, &done);
	else if (f->type == IPC_HUB_TWIN_GET)
		say(f->id, IPC_HUB_TWIN, &twin);
	else if (f->type == IPC_HUB_TWIN_REPORT)
		answer_report(f->id, &msg.hub_twin_report);
	else if (f->type == IPC_DPS_REGISTER || f->type == IPC_DPS_POLL)
		say(f->id, IPC_DPS_STATE, &state);
}

static void
turns(int n)
{
	struct ipc_frame f;
	struct err e;
	while (n--) {
		int rc = loop_turn(w.loop, 0, &e);
		assert(!rc);
		while (ipc_sync_recv(w.core, 0, &f, &e) == 0)
			answer(&f);
	}
}

static int
dial(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc = connect(fd, (struct sockaddr *)&w.addr, w.addr_len);
	assert(!rc);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static void
put(struct buf *b, const char *s)
{
	buf_u16(b, (uint16_t)strlen(s));
	buf_str(b, s);
}

static void
begin(int fd, unsigned how)
{
	auto_buf v = BUF_INIT(1024);
	auto_buf b = BUF_INIT(1024);
	put(&v, "MQTT");
	buf_put(&v, "\x04\xc2\x00\x3c", 4);
	put(&v, "d1");
	put(&v, how == HUB ? "127.0.0.1/d1/?api-version=1"
			   : "s/registrations/d1/api-version=1");
	put(&v, token);
	buf_u8(&b, 0x10);
	buf_u8(&b, (uint8_t)(v.len % 128 | 128));
	buf_u8(&b, (uint8_t)(v.len / 128));
	buf_put_span(&b, buf_span(&v));
	if (how == DPS)
		buf_put_span(
		    &b, SPAN_LIT("\x82\x1d\x00\x01\x00\x18$dps/registrations/res/#\x01"));
	send(fd, b.p, b.len, MSG_NOSIGNAL);
	turns(4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!w.loop)
		make_world();
	if (len < 2 || len > 8192)
		return 0;
	struct span rest = span_of(data + 2, len - 2);
	size_t step = data[1] % 64 ? data[1] % 64 * 16 : len;
	int fd = dial();
	turns(2);
	if (data[0] % OPENINGS != RAW)
		begin(fd, data[0] % OPENINGS);
	while (rest.len) {
		struct span piece = span_head(rest, step);
		send(fd, piece.p, piece.len, MSG_NOSIGNAL);
		turns(2);
		rest = span_skip(rest, step);
	}
	turns(3);
	close(fd);
	turns(4);
	assert(mqtt_server_count(w.mqtt) == 0);
	assert(hub_mqtt_sessions(w.hub) == 0);
	turns(2); /* answers to wills */
	assert(core_link_pending(w.env.core) == 0);
	return 0;
}
