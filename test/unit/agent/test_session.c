/*
 * The session, spoken to as the orchestrator does, with a running agent and a real
 * broker. The session is a child; this process runs the agent, the service and the
 * orchestrator.
 */
#include "kit.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/session.h"
#include "base/log.h"
#include "codec/js.h"
#include "crypto/csr.h"
#include "io/file.h"
#include "io/loop.h"

struct bench {
	char *dir, *hub_dir, *dev;
	struct loop *loop;
	struct kit_broker broker, hub; /* of the provisioning service, of the hub */
	struct kit_dps *dps;
	struct agent *agent;
	pid_t session;
	int fd;
	struct buf in;
	int64_t next_id;
	struct js *answer; /* the last */
};

static void
on_input(void *arg, unsigned ready)
{
	struct bench *b = arg;
	uint8_t *room = buf_room(&b->in, 4096);
	ssize_t n = read(b->fd, room, 4096);
	if (n > 0)
		buf_grew(&b->in, (size_t)n);
	else
		buf_u8(&b->in, '\n'); /* the end: an empty line */
}

static bool
has_line(void *arg)
{
	return span_has(buf_span(&((struct bench *)arg)->in), '\n');
}

/* The next line of the session; NULL at its end. */
static const struct js *
receive(struct bench *b)
{
	struct err e;
	struct loop_fd *f = loop_fd_new(b->loop, b->fd, on_input, b);
	assert_ok(loop_fd_watch(f, LOOP_READ, &e), &e);
	assert_true(kit_until(b->loop, has_line, b, 60000));
	loop_fd_free(f);
	struct span line = span_head(buf_span(&b->in), span_find(buf_span(&b->in), '\n'));
	js_free(b->answer);
	b->answer = line.len ? js_parse(line, SESSION_LINE_MAX, 4, &e) : NULL;
	if (line.len)
		assert_non_null(b->answer);
	buf_drop(&b->in, line.len + 1);
	return b->answer;
}

static void
say(struct bench *b, const char *line)
{
	assert_int_equal(write(b->fd, line, strlen(line)), strlen(line));
}

/* Sends {"id":n,"op":op,<members>} and gives the answer. */
static const struct js *
ask(struct bench *b, const char *op, const char *members)
{
	auto_buf line = BUF_INIT(SESSION_LINE_MAX);
	buf_printf(&line, "{\"id\":%d,\"op\":\"%s\"%s%s}\n", (int)++b->next_id, op,
	    *members ? "," : "", members);
	say(b, buf_text(&line));
	const struct js *o = receive(b);
	assert_int_equal(js_as_int(js_get(o, "id")), b->next_id);
	return o;
}

static const struct js *
ask_ok(struct bench *b, const char *op, const char *members)
{
	const struct js *o = ask(b, op, members);
	if (!js_as_bool(js_get(o, "ok")))
		fail_msg("%s: %s %s", op, js_as_text(js_get(o, "code")),
		    js_as_text(js_get(o, "text")));
	return o;
}

static void
ask_fails(struct bench *b, const char *op, const char *members, const char *code)
{
	const struct js *o = ask(b, op, members);
	assert_false(js_as_bool(js_get(o, "ok")));
	assert_string_equal(js_as_text(js_get(o, "code")), code);
	assert_true(js_as_text(js_get(o, "text"))[0] != '\0');
	assert_true(js_as_text(js_get(o, "fix"))[0] != '\0');
}

static const char *
text(const struct js *o, const char *key)
{
	return js_as_text(js_get(o, key));
}

static void
start_session(struct bench *b, bool disk_full)
{
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	b->session = fork();
	if (b->session == 0) {
		struct err e = {0};
		struct rlimit none = {0, 0};
		close(fds[0]);
		if (disk_full)
			setrlimit(RLIMIT_FSIZE, &none);
		_exit(session_run(b->dev, fds[1], fds[1], &clock_system, &e)
			  ? err_row(e.code)->exit
			  : 0);
	}
	close(fds[1]);
	b->fd = fds[0];
	b->in = BUF_INIT(2 * SESSION_LINE_MAX);
}

static int
end_session(struct bench *b)
{
	int status;
	close(b->fd);
	buf_done(&b->in);
	assert_int_equal(waitpid(b->session, &status, 0), b->session);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static bool
is_connected(void *arg)
{
	struct bench *b = arg;
	struct agent_status st;
	agent_status(b->agent, &st);
	return st.state == AGENT_CONNECTED;
}

static void
build(struct bench *b, bool run)
{
	struct err e;
	struct kit_dps_script s = {.hub = "127.0.0.1"};
	memset(b, 0, sizeof(*b));
	b->dir = kit_dir();
	b->loop = loop_new(&clock_system, &e);
	b->hub_dir = kit_dir();
	b->broker = kit_broker(b->dir, "127.0.0.1", 0);
	b->hub = kit_broker(b->hub_dir, "127.0.0.1", 0);
	b->dps = kit_dps(b->loop, b->broker.port, &s);
	auto_buf conf = BUF_INIT(4096);
	kit_conf(&conf, b->broker.port, b->hub.port, "");
	b->dev = kit_device(b->dir, buf_text(&conf));
	if (!run)
		return;
	assert_ok(agent_open(b->dev, b->loop, NULL, NULL, &b->agent, &e), &e);
	assert_ok(agent_start(b->agent, 0, &e), &e);
	assert_true(kit_until(b->loop, is_connected, b, 10000));
}

static void
set_lock_idle(struct bench *b, const char *value)
{
	struct err e;
	char path[4200];
	auto_buf conf = BUF_INIT(65536);
	snprintf(path, sizeof(path), "%s/agent.conf", b->dev);
	assert_ok(file_read(path, &conf, &e), &e);
	buf_printf(&conf, "\n[agent]\nlock_idle = %s\n", value);
	assert_ok(file_write(path, buf_span(&conf), 0600, &e), &e);
}

static void
tear(struct bench *b)
{
	js_free(b->answer);
	agent_free(b->agent);
	kit_dps_free(b->dps);
	loop_free(b->loop);
	kit_broker_done(&b->broker);
	kit_broker_done(&b->hub);
	free(b->dev);
	kit_dir_done(b->dir);
	kit_dir_done(b->hub_dir);
}

/* "generation":"0001","chain":"<a leaf for the request in o>" */
static void
chain_members(const struct js *o, const char *cn, struct buf *out)
{
	struct csr csr;
	struct err e;
	assert_ok(csr_parse(js_as_str(js_get(o, "csr")), &csr, &e), &e);
	assert_string_equal(csr.cn, KIT_ID);
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	kit_leaf_of(cn, csr.spki, &chain);
	csr_done(&csr);
	auto_(js_free) struct js *s = js_str(buf_span(&chain), &e);
	buf_printf(out, "\"generation\":\"%s\",\"chain\":", text(o, "generation"));
	js_dump(s, JS_AS_BUILT, out);
}

static void
preflight_members(char out[64])
{
	snprintf(out, 64, "\"timeMs\":%lld,\"needBytes\":1000", (long long)kit_now_ms());
}

static void
a_device_is_taken_from_sas_to_x509_and_back(void **state)
{
	struct bench b;
	char pre[64];
	build(&b, true);
	start_session(&b, false);
	const struct js *o = receive(&b);
	assert_string_equal(text(o, "hello"), "muster-agent");
	assert_string_equal(text(o, "deviceId"), KIT_ID);
	assert_int_equal(js_as_int(js_get(o, "protocol")), 1);

	preflight_members(pre);
	o = ask_ok(&b, "preflight", pre);
	assert_string_equal(text(o, "auth"), "sas");
	assert_true(js_as_bool(js_get(o, "connected")));
	assert_string_equal(text(o, "hub"), "127.0.0.1");

	auto_buf install = BUF_INIT(SESSION_LINE_MAX);
	chain_members(ask_ok(&b, "keygen", "\"alg\":\"p256\""), KIT_ID, &install);
	o = ask_ok(&b, "install", buf_text(&install));
	char thumbprint[KEYSTORE_THUMBPRINT_SIZE];
	assert_true(span_to_str(
	    js_as_str(js_get(o, "thumbprint")), thumbprint, sizeof(thumbprint)));

	/* no promotion of what was not proved */
	ask_fails(&b, "promote", "\"generation\":\"0001\"", "CONFLICT");
	o = ask_ok(&b, "prove", "\"generation\":\"0001\",\"nonce\":\"00112233445566ff\"");
	assert_string_equal(text(o, "thumbprint"), thumbprint);
	assert_string_equal(text(o, "substatus"), "initialAssignment");
	o = ask_ok(&b, "status", "");
	assert_string_equal(text(o, "auth"), "sas");

	o = ask_ok(&b, "promote", "\"generation\":\"0001\"");
	assert_string_equal(text(o, "auth"), "x509");
	assert_string_equal(text(o, "thumbprint"), thumbprint);
	assert_true(js_as_bool(js_get(o, "connected")));
	/* its answer may have been lost: again is harmless */
	ask_ok(&b, "promote", "\"generation\":\"0001\"");

	ask_fails(&b, "revert", "\"to\":\"x509 1\"", "PARSE");
	o = ask_ok(&b, "revert", "\"to\":\"sas\"");
	assert_string_equal(text(o, "auth"), "sas");
	o = ask_ok(&b, "revert", "");
	assert_string_equal(text(o, "auth"), "sas");
	assert_true(js_as_bool(js_get(o, "connected")));
	ask_ok(&b, "quit", "");
	assert_int_equal(end_session(&b), 0);
	tear(&b);
}

static void
a_new_session_goes_on_where_a_killed_one_was(void **state)
{
	struct bench b;
	build(&b, true);
	start_session(&b, false);
	receive(&b);
	auto_buf install = BUF_INIT(SESSION_LINE_MAX);
	chain_members(ask_ok(&b, "keygen", ""), KIT_ID, &install);
	ask_ok(&b, "install", buf_text(&install));
	kill(b.session, SIGKILL);
	end_session(&b);
	start_session(&b, false);
	receive(&b);
	ask_ok(&b, "prove", "\"generation\":\"0001\",\"nonce\":\"0011223344556677\"");
	ask_ok(&b, "promote", "\"generation\":\"0001\"");
	assert_int_equal(end_session(&b), 0); /* the end of input is a quit */
	tear(&b);
}

static bool
is_free(const char *dev)
{
	struct err e;
	auto_(keystore_close) struct keystore *k = NULL;
	assert_ok(keystore_open(dev, &k, &e), &e);
	return keystore_lock(k, &e) == 0;
}

/* One whose other end is gone without a word must not bar renewal for ever. */
static void
a_silent_session_lets_go_of_the_lock_and_goes_on_when_it_is_spoken_to(void **state)
{
	struct bench b;
	struct err e;
	auto_(keystore_close) struct keystore *k = NULL;
	build(&b, true);
	set_lock_idle(&b, "100ms");
	start_session(&b, false);
	receive(&b);
	auto_buf install = BUF_INIT(SESSION_LINE_MAX);
	chain_members(ask_ok(&b, "keygen", ""), KIT_ID, &install);
	for (int i = 0; i < 1000 && !is_free(b.dev); i++)
		usleep(10000);
	assert_ok(keystore_open(b.dev, &k, &e), &e);
	assert_ok(keystore_lock(k, &e), &e);
	ask_fails(&b, "install", buf_text(&install), "BUSY");
	keystore_unlock(k);
	ask_ok(&b, "install", buf_text(&install));
	assert_int_equal(end_session(&b), 0);
	tear(&b);
}

static void
without_a_running_agent_nothing_is_promoted(void **state)
{
	struct bench b;
	build(&b, true);
	start_session(&b, false);
	receive(&b);
	auto_buf install = BUF_INIT(SESSION_LINE_MAX);
	chain_members(ask_ok(&b, "keygen", ""), KIT_ID, &install);
	ask_ok(&b, "install", buf_text(&install));
	ask_ok(&b, "prove", "\"generation\":\"0001\",\"nonce\":\"0011223344556677\"");
	agent_stop(b.agent);
	ask_fails(&b, "promote", "\"generation\":\"0001\"", "UNAVAILABLE");
	const struct js *o = ask_ok(&b, "status", "");
	assert_string_equal(text(o, "auth"), "sas");
	assert_false(js_as_bool(js_get(o, "running")));
	end_session(&b);
	tear(&b);
}

static void
a_full_disk_is_found_before_anything_is_touched(void **state)
{
	struct bench b;
	char pre[64];
	build(&b, true);
	start_session(&b, true);
	receive(&b);
	preflight_members(pre);
	ask_fails(&b, "preflight", pre, "FULL");
	ask_fails(&b, "keygen", "", "FULL");
	const struct js *o = ask_ok(&b, "status", "");
	assert_string_equal(text(o, "auth"), "sas");
	end_session(&b);
	assert_true(is_connected(&b));
	tear(&b);
}

static void
preflight_names_what_is_wrong(void **state)
{
	struct bench b;
	char pre[64];
	build(&b, false);
	start_session(&b, false);
	receive(&b);
	preflight_members(pre);
	ask_fails(&b, "preflight", pre, "UNAVAILABLE"); /* no agent runs */
	snprintf(pre, sizeof(pre), "\"timeMs\":%lld", (long long)kit_now_ms() - 400000);
	ask_fails(&b, "preflight", pre, "CONFLICT");
	snprintf(pre, sizeof(pre), "\"timeMs\":%lld,\"needBytes\":%lld",
	    (long long)kit_now_ms(), (long long)INT64_MAX / 4);
	ask_fails(&b, "preflight", pre, "FULL");
	end_session(&b);
	tear(&b);
}

static void
operations_out_of_order_are_refused(void **state)
{
	struct bench b;
	build(&b, false);
	start_session(&b, false);
	receive(&b);
	ask_fails(&b, "install", "\"generation\":\"0001\",\"chain\":\"x\"", "NOT_FOUND");
	ask_fails(&b, "prove", "\"generation\":\"0001\",\"nonce\":\"00\"", "NOT_FOUND");
	ask_fails(&b, "promote", "\"generation\":\"../../x\"", "PARSE");
	ask_fails(&b, "promote", "", "PARSE");
	ask_ok(&b, "keygen", "");
	ask_fails(&b, "prove", "\"generation\":\"0001\",\"nonce\":\"0011223344556677\"",
	    "CONFLICT");
	ask_fails(&b, "keygen", "\"alg\":\"md5\"", "PARSE");
	ask_fails(&b, "format", "", "UNSUPPORTED");
	end_session(&b);
	tear(&b);
}

static void
what_is_no_request_is_answered_and_the_session_lives(void **state)
{
	static const char *const lines[] = {"\n", "nonsense\n", "[]\n",
	    "{\"op\":\"status\"}\n", "{\"id\":\"1\",\"op\":\"status\"}\n",
	    "{\"id\":1,\"id\":2,\"op\":\"status\"}\n"};
	struct bench b;
	build(&b, false);
	start_session(&b, false);
	receive(&b);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		say(&b, lines[i]);
		const struct js *o = receive(&b);
		assert_false(js_as_bool(js_get(o, "ok")));
		assert_string_equal(text(o, "code"), "PARSE");
	}
	ask_ok(&b, "status", "");
	end_session(&b);
	tear(&b);
}

static void
a_line_without_end_ends_the_session(void **state)
{
	struct bench b;
	char block[4096];
	memset(block, 'x', sizeof(block));
	build(&b, false);
	start_session(&b, false);
	receive(&b);
	signal(SIGPIPE, SIG_IGN);
	for (int i = 0; i < 40; i++)
		if (send(b.fd, block, sizeof(block), MSG_NOSIGNAL) < 0)
			break;
	assert_int_equal(end_session(&b), err_row(ERR_LIMIT)->exit);
	tear(&b);
}

static void
without_a_device_there_is_no_hello(void **state)
{
	struct bench b;
	build(&b, false);
	char *dev = b.dev;
	b.dev = b.dir; /* no device directory */
	start_session(&b, false);
	b.dev = dev;
	assert_null(receive(&b));
	assert_int_equal(end_session(&b), err_row(ERR_NOT_FOUND)->exit);
	tear(&b);
}

static int
group(void **state)
{
	struct err e;
	log_fd(-1);
	kit_pki();
	return agent_init(&e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_device_is_taken_from_sas_to_x509_and_back),
	    cmocka_unit_test(a_new_session_goes_on_where_a_killed_one_was),
	    cmocka_unit_test(
		a_silent_session_lets_go_of_the_lock_and_goes_on_when_it_is_spoken_to),
	    cmocka_unit_test(without_a_running_agent_nothing_is_promoted),
	    cmocka_unit_test(a_full_disk_is_found_before_anything_is_touched),
	    cmocka_unit_test(preflight_names_what_is_wrong),
	    cmocka_unit_test(operations_out_of_order_are_refused),
	    cmocka_unit_test(what_is_no_request_is_answered_and_the_session_lives),
	    cmocka_unit_test(a_line_without_end_ends_the_session),
	    cmocka_unit_test(without_a_device_there_is_no_hello),
	};
	return cmocka_run_group_tests(tests, group, NULL);
}
