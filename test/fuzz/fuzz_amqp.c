/*
 * A service's bytes against whole AMQP sessions, with a core that grants all: whatever
 * comes, the edge neither breaks nor keeps a session or a question that has nobody.
 *
 * The first byte of the input says how the connection begins (0 raw, 1 open with a
 * session, 2 the same after SASL with a token put), the second how many bytes arrive at a
 * time.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "codec/amqp.h"
#include "codec/amqp_selector.h"
#include "codec/config.h"
#include "crypto/chain.h"
#include "io/ipc.h"
#include "io/loop.h"
#include "io/sock.h"
#include "io/stream.h"
#include "proto/amqp/amqp_server.h"
#include "proto/core_link.h"
#include "proto/env.h"

enum { RAW, OPEN, PLAIN, OPENINGS };

static struct {
	struct clock clock;
	struct loop *loop;
	struct arena *arena; /* of config */
	struct config config;
	struct env env;
	struct ipc_sync *core;
	struct amqp_server *amqp;
	struct stream_listener *listener;
	struct sockaddr_un addr; /* an abstract name: no port, no file, no TIME_WAIT */
	socklen_t addr_len;
} w;

static void
on_push(void *arg, enum ipc_type type, const void *msg)
{
	(void)arg, (void)type, (void)msg;
}

static void
on_lost(void *arg)
{
	(void)arg;
	assert(!"the edge found its core at fault");
}

static void
on_pressure(void *arg, bool high)
{
	(void)arg;
	amqp_server_pause(w.amqp, high);
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
	static const struct core_link_ops ops = {on_push, on_push, on_lost, on_pressure};
	struct err e;
	int fds[2];
	w.clock = clock_fake(INT64_C(1767225600000));
	w.loop = loop_new(&w.clock, &e);
	w.arena = arena_new(4 * CONF_FILE_MAX);
	conf_defaults(&config_table, &w.config, w.arena);
	w.env =
	    (struct env){.loop = w.loop, .config = &w.config, .anchors = chain_set_new()};
	w.env.core = core_link_new(w.loop, &core_link_defaults, &ops, NULL);
	w.amqp = amqp_server_new(&w.env, 0);
	struct stream_opts stream = amqp_server_stream_opts(&w.env);
	w.listener = stream_listen(w.loop, listen_anywhere(), NULL, &stream, 100,
	    amqp_server_on_accept, w.amqp, &e);
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

static const struct ipc_event event = {.seq = 1,
    .enqueued_ms = 1767225600000,
    .device_id = SPAN_LIT("d1"),
    .generation = SPAN_LIT("1"),
    .auth = SPAN_LIT("sas"),
    .props = SPAN_LIT("{\"application\":{\"a\":\"b\",\"n\":null},"
		      "\"system\":{\"content-type\":\"x\",\"y\":\"z\"}}"),
    .body = SPAN_LIT("{\"t\":1}")};

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
	const struct ipc_feedback feedback = {
	    .message_id = SPAN_LIT("m"), .device_id = SPAN_LIT("d1")};
	const struct ipc_notice notice = {
	    .lock = SPAN_LIT("l"), .device_id = SPAN_LIT("d1")};
	const struct ipc_bounds bounds = {.first_seq = 1, .last_seq = 9, .last_ms = 5};
	struct ipc_done done = {0};
	if (f->type == IPC_REFUSED)
		return;
	if (f->type == IPC_EVENTS_READ && msg.events_read.after_seq < event.seq)
		say(f->id, IPC_EVENT, &event);
	else if (f->type == IPC_EVENTS_BOUNDS)
		say(f->id, IPC_BOUNDS, &bounds);
	else if (f->type == IPC_NOTICE_GET)
		say(f->id, IPC_NOTICE, &notice);
	else if (f->type == IPC_FEEDBACK_RECEIVE)
		say(f->id, IPC_FEEDBACK, &feedback);
	if (f->type == IPC_FEEDBACK_RECEIVE)
		done.next = SPAN_LIT("lock");
	say(f->id, IPC_DONE, &done);
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
put(int fd, struct span bytes)
{
	send(fd, bytes.p, bytes.len, MSG_NOSIGNAL);
	turns(2);
}

static void
put_sasl(int fd)
{
	auto_buf b = BUF_INIT(1024);
	buf_put_span(&b, SPAN_LIT("AMQP\x03\x01\x00\x00"));
	size_t f = amqp_frame_begin(&b, AMQP_FRAME_SASL, 0);
	amqp_put_descriptor(&b, 0x41);
	size_t l = amqp_open_list(&b);
	amqp_put_symbol(&b, SPAN_LIT("PLAIN"));
	amqp_put_binary(
	    &b, SPAN_LIT("\0p@sas.root.x\0SharedAccessSignature sr=x&sig=AQEBAQEBAQEBAQEB"
			 "AQEBAQEBAQEBAQEBAQEBAQEBAQE%3D&se=1900000000&skn=p"));
	amqp_close(&b, l, 2);
	amqp_frame_end(&b, f);
	put(fd, buf_span(&b));
	turns(2);
}

static void
begin(int fd, unsigned how)
{
	if (how == PLAIN)
		put_sasl(fd);
	put(fd, SPAN_LIT("AMQP\x00\x01\x00\x00"
			 "\x00\x00\x00\x0f\x02\x00\x00\x00\x00\x53\x10\xc0\x02\x01\x40"
			 "\x00\x00\x00\x14\x02\x00\x00\x00\x00\x53\x11\xc0\x07\x04\x40"
			 "\x43\x52\x64\x52\x64"));
	turns(2);
}

/* The pure parsers by the way. */
static void
parse_alone(struct span bytes)
{
	struct amqp_selector s;
	struct amqp_value v;
	struct cursor c = cursor_of(bytes);
	if (!amqp_selector_parse(bytes, &s, NULL))
		assert(s.value >= -2);
	while (amqp_next(&c, &v)) {
		fuzz_inside(v.raw, bytes.p, bytes.len);
		fuzz_inside(v.bytes, bytes.p, bytes.len);
		for (unsigned i = 0; i < 3; i++) {
			struct amqp_value item = amqp_at(&v, i);
			fuzz_inside(item.raw, bytes.p, bytes.len);
		}
	}
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
	parse_alone(rest);
	int fd = dial();
	turns(2);
	if (data[0] % OPENINGS != RAW)
		begin(fd, data[0] % OPENINGS);
	while (rest.len) {
		put(fd, span_head(rest, step));
		rest = span_skip(rest, step);
	}
	w.clock.skew_ms += 600; /* what is asked again by time */
	loop_clock_moved(w.loop);
	turns(4);
	close(fd);
	turns(4);
	assert(amqp_server_count(w.amqp) == 0);
	turns(2);
	assert(core_link_pending(w.env.core) == 0);
	return 0;
}
