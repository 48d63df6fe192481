/*
 * A device against a real broker (mosquitto, TLS): the service's part is played by a
 * client of that broker. No test here waits for a pause of the device's longer than a
 * second.
 */
#include "kit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/control.h"
#include "base/log.h"
#include "codec/js.h"
#include "io/file.h"
#include "io/loop.h"

struct bench {
	char *dir, *dev;
	struct loop *loop;
	struct kit_broker broker;
	struct kit_dps *dps;
	struct agent *agent;
	unsigned seen; /* SM_TO-like bits of states */
	int acked;
};

static void
on_state(void *arg, struct agent *a, enum agent_state s)
{
	struct bench *b = arg;
	b->seen |= 1u << s;
}

static void
on_acked(void *arg, struct agent *a)
{
	struct bench *b = arg;
	b->acked++;
}

static const struct agent_ops ops = {on_state, on_acked};

/* The broker's certificate names san; hub: more lines of its section. */
static void
build(struct bench *b, const char *san, const struct kit_dps_script *script,
    const char *hub)
{
	struct err e;
	memset(b, 0, sizeof(*b));
	b->dir = kit_dir();
	b->loop = loop_new(&clock_system, &e);
	b->broker = kit_broker(b->dir, san, 0);
	if (script)
		b->dps = kit_dps(b->loop, b->broker.port, script);
	auto_buf conf = BUF_INIT(4096);
	kit_conf(&conf, b->broker.port, b->broker.port, hub);
	b->dev = kit_device(b->dir, buf_text(&conf));
}

static void
begin(struct bench *b)
{
	struct err e;
	assert_ok(agent_open(b->dev, b->loop, &ops, b, &b->agent, &e), &e);
	assert_ok(agent_start(b->agent, 0, &e), &e);
}

static void
tear(struct bench *b)
{
	agent_free(b->agent);
	if (b->dps)
		kit_dps_free(b->dps);
	loop_free(b->loop);
	kit_broker_done(&b->broker);
	free(b->dev);
	kit_dir_done(b->dir);
}

static bool
is_acked_twice(void *arg)
{
	return ((struct bench *)arg)->acked >= 2;
}

static struct agent_status
status(struct bench *b)
{
	struct agent_status st;
	agent_status(b->agent, &st);
	return st;
}

static bool
is_backing_off(void *arg)
{
	return status(arg).state == AGENT_BACKOFF;
}

static bool
is_connected(void *arg)
{
	return status(arg).state == AGENT_CONNECTED;
}

static void
a_device_registers_connects_and_is_acknowledged(void **state)
{
	struct bench b;
	struct kit_dps_script s = {.hub = "127.0.0.1"};
	build(&b, "127.0.0.1", &s, "");
	begin(&b);
	assert_true(kit_until(b.loop, is_acked_twice, &b, 10000));
	assert_true(b.seen & 1u << AGENT_PROVISIONING && b.seen & 1u << AGENT_CONNECTING);
	assert_false(b.seen & 1u << AGENT_BACKOFF);
	struct agent_status st = status(&b);
	assert_int_equal(st.connects, 1);
	assert_string_equal(st.hub, "127.0.0.1");
	/* started again it knows its hub and asks nobody */
	agent_free(b.agent);
	b.acked = 0;
	begin(&b);
	assert_true(kit_until(b.loop, is_acked_twice, &b, 10000));
	assert_int_equal(kit_dps_requests(b.dps), 1);
	tear(&b);
}

static void
a_registration_is_polled_and_throttling_is_waited_out(void **state)
{
	struct bench b;
	struct kit_dps_script s = {.hub = "127.0.0.1", .later = 1, .polls = 1};
	build(&b, "127.0.0.1", &s, "");
	begin(&b);
	assert_true(kit_until(b.loop, is_connected, &b, 15000));
	assert_int_equal(kit_dps_requests(b.dps), 3);
	assert_false(b.seen & 1u << AGENT_BACKOFF);
	tear(&b);
}

static void
a_refused_registration_waits_a_minute_at_least(void **state)
{
	struct bench b;
	struct kit_dps_script s = {.refuse_status = 401};
	build(&b, "127.0.0.1", &s, "");
	begin(&b);
	assert_true(kit_until(b.loop, is_backing_off, &b, 10000));
	struct agent_status st = status(&b);
	assert_int_equal(st.last.code, ERR_DENIED);
	assert_non_null(strstr(st.last.text, "401002"));
	assert_true(st.retry_in_ms > 55000);
	assert_int_equal(st.refused, 1);
	tear(&b);
}

static void
a_server_of_another_name_never_sees_the_token(void **state)
{
	static const char *const names[] = {"other.example", "127.0.0.2"};
	for (size_t i = 0; i < 2; i++) {
		struct bench b;
		build(&b, names[i], NULL, "");
		begin(&b);
		assert_true(kit_until(b.loop, is_backing_off, &b, 10000));
		assert_int_equal(status(&b).last.code, ERR_CRYPTO);
		assert_int_equal(status(&b).connack, -1);
		tear(&b);
	}
}

static void
a_server_of_a_foreign_ca_is_refused(void **state)
{
	struct bench b;
	struct err e;
	char path[PATH_MAX];
	build(&b, "127.0.0.1", NULL, "");
	auto_(key_free) struct key *key = key_generate(KEY_P256, &e);
	auto_buf pem = BUF_INIT(CERT_PEM_MAX);
	kit_foreign_root(key, &pem);
	snprintf(path, sizeof(path), "%s/ca.pem", b.dev);
	assert_ok(file_write(path, buf_span(&pem), 0644, &e), &e);
	begin(&b);
	assert_true(kit_until(b.loop, is_backing_off, &b, 10000));
	assert_int_equal(status(&b).last.code, ERR_CRYPTO);
	assert_non_null(strstr(status(&b).last.text, "verify failed"));
	tear(&b);
}

static void
a_device_comes_back_when_its_service_does(void **state)
{
	struct bench b;
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\n");
	kit_broker_done(&b.broker);
	begin(&b);
	assert_true(kit_until(b.loop, is_backing_off, &b, 10000));
	assert_int_equal(status(&b).last.code, ERR_UNAVAILABLE);
	assert_in_range(status(&b).retry_in_ms, 0, 1000);
	b.broker = kit_broker(b.dir, "127.0.0.1", b.broker.port);
	assert_true(kit_until(b.loop, is_acked_twice, &b, 10000));
	/* and again, in the middle of its work */
	kit_broker_done(&b.broker);
	assert_true(kit_until(b.loop, is_backing_off, &b, 10000));
	b.acked = 0;
	b.broker = kit_broker(b.dir, "127.0.0.1", b.broker.port);
	assert_true(kit_until(b.loop, is_acked_twice, &b, 10000));
	assert_int_equal(status(&b).disconnects, 1);
	tear(&b);
}

static void
a_clock_that_is_not_set_throws_nothing_away(void **state)
{
	struct bench b;
	struct err e;
	struct clock past = clock_fake(0); /* 1970 */
	build(&b, "127.0.0.1", NULL, "");
	struct loop *loop = loop_new(&past, &e);
	assert_non_null(loop);
	assert_ok(agent_open(b.dev, loop, NULL, NULL, &b.agent, &e), &e);
	assert_ok(agent_start(b.agent, 0, &e), &e);
	past.skew_ms += 1;
	loop_clock_moved(loop);
	assert_true(is_backing_off(&b));
	assert_int_equal(status(&b).last.code, ERR_UNAVAILABLE);
	assert_non_null(strstr(status(&b).last.text, "clock"));
	agent_free(TAKE(b.agent));
	loop_free(loop);
	tear(&b);
}

/* Calls the control socket from a child, since the call blocks; the answer's text. */
struct call {
	int fd;
	char text[4096];
	size_t len;
	bool eof;
};

static struct call
call(const char *dir, const char *request)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	if (fork() == 0) {
		struct err e;
		struct js *ans;
		auto_buf out = BUF_INIT(4096);
		struct js *req = js_parse(span_str(request), 4096, 4, &e);
		if (control_call(dir, req, 20000, &ans, &e))
			buf_printf(&out, "%s: %s", err_row(e.code)->name, e.text);
		else
			js_dump(ans, JS_AS_BUILT, &out);
		_exit(write(fds[1], out.p, out.len) < 0);
	}
	close(fds[1]);
	return (struct call){.fd = fds[0]};
}

static void
on_call(void *arg, unsigned ready)
{
	struct call *c = arg;
	ssize_t n = read(c->fd, c->text + c->len, sizeof(c->text) - 1 - c->len);
	c->eof = n <= 0;
	c->len += n > 0 ? (size_t)n : 0;
}

static bool
is_over(void *arg)
{
	return ((struct call *)arg)->eof;
}

static void
answer_of(struct bench *b, const char *request, struct call *c)
{
	struct err e;
	*c = call(b->dev, request);
	struct loop_fd *f = loop_fd_new(b->loop, c->fd, on_call, c);
	assert_ok(loop_fd_watch(f, LOOP_READ, &e), &e);
	assert_true(kit_until(b->loop, is_over, c, 30000));
	loop_fd_free(f);
	close(c->fd);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static void
a_held_device_keeps_away_until_released(void **state)
{
	struct bench b;
	struct call c;
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\n");
	begin(&b);
	assert_true(kit_until(b.loop, is_connected, &b, 10000));
	answer_of(&b, "{\"op\":\"hold\",\"ms\":60000}", &c);
	assert_non_null(strstr(c.text, "\"state\":\"held\""));
	assert_int_equal(status(&b).state, AGENT_HELD);
	answer_of(&b, "{\"op\":\"release\"}", &c);
	assert_true(kit_until(b.loop, is_connected, &b, 10000));
	/* a hold that nobody ends ends by itself */
	answer_of(&b, "{\"op\":\"hold\",\"ms\":200}", &c);
	assert_true(kit_until(b.loop, is_connected, &b, 10000));
	tear(&b);
}

static void
reload_answers_when_connected_with_what_is_active(void **state)
{
	struct bench b;
	struct call c;
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\n");
	begin(&b);
	assert_true(kit_until(b.loop, is_connected, &b, 10000));
	answer_of(&b, "{\"op\":\"reload\",\"waitMs\":10000}", &c);
	assert_non_null(strstr(c.text, "\"connected\":true"));
	assert_non_null(strstr(c.text, "\"auth\":\"sas\""));
	assert_int_equal(status(&b).connects, 2);
	tear(&b);
}

static void
control_refuses_what_it_does_not_know(void **state)
{
	struct bench b;
	struct call c;
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\n");
	begin(&b);
	answer_of(&b, "{\"op\":\"reboot\"}", &c);
	assert_non_null(strstr(c.text, "UNSUPPORTED"));
	answer_of(&b, "{\"op\":\"hold\"}", &c);
	assert_non_null(strstr(c.text, "PARSE"));
	answer_of(&b, "{\"op\":\"hold\",\"ms\":99999999}", &c);
	assert_non_null(strstr(c.text, "PARSE"));
	agent_stop(b.agent);
	answer_of(&b, "{\"op\":\"status\"}", &c);
	assert_non_null(strstr(c.text, "UNAVAILABLE"));
	tear(&b);
}

static void
a_second_agent_in_the_directory_is_refused(void **state)
{
	struct bench b;
	struct err e;
	auto_(agent_free) struct agent *other = NULL;
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\n");
	begin(&b);
	assert_ok(agent_open(b.dev, b.loop, NULL, NULL, &other, &e), &e);
	assert_fails(agent_start(other, 0, &e), &e, EXISTS);
	agent_free(TAKE(other));
	tear(&b);
}

static void
a_token_is_renewed_before_it_expires(void **state)
{
	struct bench b;
	struct err e;
	struct clock clock = clock_fake(kit_now_ms());
	build(&b, "127.0.0.1", NULL, "host = 127.0.0.1\nsas_life = 1h\n");
	struct loop *loop = loop_new(&clock, &e);
	assert_ok(agent_open(b.dev, loop, &ops, &b, &b.agent, &e), &e);
	assert_ok(agent_start(b.agent, 0, &e), &e);
	for (int i = 0; i < 4000 && status(&b).connects < 2; i++) {
		if (is_connected(&b))
			clock.skew_ms += 1000;
		loop_clock_moved(loop);
		assert_ok(loop_turn(loop, 5, &e), &e);
	}
	assert_int_equal(status(&b).connects, 2);
	assert_int_equal(status(&b).disconnects, 0);
	agent_free(TAKE(b.agent));
	loop_free(loop);
	tear(&b);
}

/* Another generation, proved and active. */
static void
promote_one(const char *dev)
{
	struct err e;
	struct keystore_ref r;
	struct keystore_assignment at = {.hub = "127.0.0.1", .device_id = KIT_ID};
	auto_(keystore_close) struct keystore *k = NULL;
	auto_(key_free) struct key *key = NULL;
	auto_keystore_credential c = {0};
	auto_buf chain = BUF_INIT(CERT_PEM_MAX);
	assert_ok(keystore_open(dev, &k, &e), &e);
	assert_ok(keystore_lock(k, &e), &e);
	assert_ok(keystore_keygen(k, &kit_place, &r, &key, &e), &e);
	kit_leaf(KIT_ID, key, &chain);
	assert_ok(
	    keystore_install(k, &r, buf_span(&chain), KIT_ID, kit_now_ms(), &c, &e), &e);
	assert_ok(keystore_set_proven(k, &r, &at, kit_now_ms(), &e), &e);
	assert_ok(keystore_promote(k, &r, kit_now_ms(), &e), &e);
}

static void
a_device_whose_key_is_lost_lives_on_another_generation(void **state)
{
	struct err e;
	struct agent_status st;
	char path[PATH_MAX];
	auto_(loop_free) struct loop *loop = loop_new(&clock_system, &e);
	char *top = kit_dir(), *dev = kit_device(top, "");
	struct agent *a = NULL;
	promote_one(dev);
	promote_one(dev);
	snprintf(path, sizeof(path), "%s/cred/0002/key.pem", dev);
	assert_ok(file_remove(path, &e), &e);
	assert_ok(agent_open(dev, loop, NULL, NULL, &a, &e), &e);
	agent_status(a, &st);
	assert_string_equal(st.active.generation, "0001");
	agent_free(TAKE(a));
	/* never to SAS */
	snprintf(path, sizeof(path), "%s/cred/0001/key.pem", dev);
	assert_ok(file_remove(path, &e), &e);
	assert_fails(agent_open(dev, loop, NULL, NULL, &a, &e), &e, NOT_FOUND);
	free(dev);
	kit_dir_done(top);
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
	    cmocka_unit_test(a_device_registers_connects_and_is_acknowledged),
	    cmocka_unit_test(a_registration_is_polled_and_throttling_is_waited_out),
	    cmocka_unit_test(a_refused_registration_waits_a_minute_at_least),
	    cmocka_unit_test(a_server_of_another_name_never_sees_the_token),
	    cmocka_unit_test(a_server_of_a_foreign_ca_is_refused),
	    cmocka_unit_test(a_device_comes_back_when_its_service_does),
	    cmocka_unit_test(a_clock_that_is_not_set_throws_nothing_away),
	    cmocka_unit_test(a_held_device_keeps_away_until_released),
	    cmocka_unit_test(reload_answers_when_connected_with_what_is_active),
	    cmocka_unit_test(control_refuses_what_it_does_not_know),
	    cmocka_unit_test(a_second_agent_in_the_directory_is_refused),
	    cmocka_unit_test(a_token_is_renewed_before_it_expires),
	    cmocka_unit_test(a_device_whose_key_is_lost_lives_on_another_generation),
	};
	return cmocka_run_group_tests(tests, group, NULL);
}
