/*
 * The daemon's side of renewal: what it starts when, with a program of the test's in the
 * place of muster-agent.
 */
#include "kit.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "agent/renewal.h"
#include "base/log.h"
#include "io/file.h"
#include "io/loop.h"

#define FLEET 12

struct bench {
	char *top, program[PATH_MAX], notes[PATH_MAX];
	struct loop *loop;
	struct arena *arena;
	struct agent_config cfg;
	struct clock_floor time;
	struct keystore_credential credential;
};

static int
set_up(void **state)
{
	struct err e;
	struct bench *b = own_alloc(sizeof(*b));
	*state = b;
	log_level(LOG_ERROR);
	b->top = kit_dir();
	snprintf(b->program, sizeof(b->program), "%s/agent.sh", b->top);
	snprintf(b->notes, sizeof(b->notes), "%s/notes", b->top);
	b->loop = loop_new(&clock_system, &e);
	b->arena = arena_new(AGENT_CONFIG_ARENA_MAX);
	agent_config_defaults(&b->cfg, b->arena);
	b->cfg.device.id = KIT_ID;
	b->cfg.est.host = "127.0.0.1";
	b->cfg.renew.check_ms = 300;
	b->cfg.renew.retry_min_ms = 100;
	b->cfg.renew.retry_max_ms = 400;
	clock_floor_init(&b->time, &clock_system, 0);
	b->credential = (struct keystore_credential){.ref = {true, "0001"},
	    .key = key_generate(KEY_P256, &e),
	    .not_before_ms = kit_now_ms() - 1000,
	    .not_after_ms = kit_now_ms() + INT64_C(86400000) * 90};
	return 0;
}

static int
tear_down(void **state)
{
	struct bench *b = *state;
	loop_free(b->loop);
	arena_free(b->arena);
	key_free(b->credential.key);
	kit_dir_done(b->top);
	free(b);
	return 0;
}

/* A program that notes its words and its end; end: how it goes on. */
static void
write_program(struct bench *b, const char *end)
{
	struct err e;
	auto_buf text = BUF_INIT(8192);
	buf_printf(&text, "#!/bin/sh\necho \"+ $*\" >> %s\n%s\n", b->notes, end);
	assert_ok(file_write(b->program, buf_span(&text), 0700, &e), &e);
}

static struct renewal *
renewal_of(struct bench *b)
{
	struct renewal_opts o = {.dir = b->top,
	    .cfg = &b->cfg,
	    .time = &b->time,
	    .credential = &b->credential,
	    .program = b->program};
	return renewal_new(b->loop, &o);
}

/* How many lines of the notes begin so. */
static int
noted(struct bench *b, char first)
{
	struct err e;
	int n = 0;
	auto_buf text = BUF_INIT(1024 * 1024);
	if (!file_exists(b->notes))
		return 0;
	assert_ok(file_read(b->notes, &text, &e), &e);
	struct span rest = buf_span(&text);
	while (rest.len) {
		struct span line = span_split(&rest, '\n');
		n += line.len && line.p[0] == (uint8_t)first;
	}
	return n;
}

struct hope {
	struct bench *b;
	char first;
	int n;
};

static bool
has_come(void *arg)
{
	struct hope *h = arg;
	return noted(h->b, h->first) >= h->n;
}

static bool
never(void *arg)
{
	return false;
}

static void
await(struct bench *b, char first, int n)
{
	struct hope h = {b, first, n};
	assert_true(kit_until(b->loop, has_come, &h, 60000));
}

static void
it_looks_again_and_again_and_says_so(void **state)
{
	struct bench *b = *state;
	struct renewal_status st;
	write_program(b, "exit 0");
	auto_(renewal_free) struct renewal *r = renewal_of(b);
	renewal_status(r, &st);
	assert_true(st.on);
	renewal_start(r);
	renewal_start(r);
	await(b, '+', 3);
	renewal_status(r, &st);
	assert_true(st.due_ms > kit_now_ms());
	assert_int_equal(st.state.failures, 0);
}

static void
sas_and_a_device_without_est_start_nothing(void **state)
{
	struct bench *b = *state;
	struct renewal_status st;
	write_program(b, "exit 0");
	auto_(renewal_free) struct renewal *r = renewal_of(b);
	b->cfg.est.host = "";
	renewal_start(r);
	renewal_now(r);
	kit_until(b->loop, never, NULL, 700);
	renewal_status(r, &st);
	assert_false(st.on);
	assert_int_equal(noted(b, '+'), 0);
}

/* One that dies without a word must not be started in a busy loop, due or not. */
static void
a_program_that_dies_at_once_is_started_ever_more_seldom(void **state)
{
	struct bench *b = *state;
	b->cfg.renew.retry_min_ms = 200;
	b->cfg.renew.retry_max_ms = 600000;
	b->credential.not_after_ms = kit_now_ms() - 1; /* due all the time */
	write_program(b, "kill -9 $$");
	auto_(renewal_free) struct renewal *r = renewal_of(b);
	renewal_start(r);
	await(b, '+', 1);
	int64_t from = loop_now_ms(b->loop);
	kit_until(b->loop, never, NULL, 4000);
	/* pauses of 100 to 200, 200 to 400, ... ms: by how long it really was */
	int64_t took = loop_now_ms(b->loop) - from;
	int most = 2;
	for (int64_t at = 200, pause = 100; at < took; pause *= 2, at += pause)
		most++;
	assert_true(noted(b, '+') <= most);
}

static void
few_run_at_once_however_many_devices(void **state)
{
	struct bench *b = *state;
	struct err e;
	struct renewal *fleet[FLEET];
	write_program(b, "sleep 0.2\necho - >> \"$0.end\"");
	for (int i = 0; i < FLEET; i++) {
		fleet[i] = renewal_of(b);
		renewal_start(fleet[i]);
		renewal_now(fleet[i]);
	}
	for (int turn = 0; turn < 60; turn++) {
		int running = 0;
		assert_ok(loop_turn(b->loop, 20, &e), &e);
		for (int i = 0; i < FLEET; i++) {
			struct renewal_status st;
			renewal_status(fleet[i], &st);
			running += st.running;
		}
		assert_true(running <= RENEWAL_AT_ONCE);
	}
	await(b, '+', FLEET);
	for (int i = 0; i < FLEET; i++)
		renewal_free(fleet[i]); /* some of them under way */
}

static void
told_to_it_says_so_until_it_worked(void **state)
{
	struct bench *b = *state;
	struct err e;
	auto_buf text = BUF_INIT(65536);
	b->cfg.renew.check_ms = 600000;
	write_program(b, "[ -e \"$0.well\" ] || { touch \"$0.well\"; exit 7; }");
	auto_(renewal_free) struct renewal *r = renewal_of(b);
	renewal_start(r);
	renewal_now(r);
	await(b, '+', 2);
	assert_ok(file_read(b->notes, &text, &e), &e);
	struct span rest = buf_span(&text);
	for (int i = 0; i < 2; i++)
		assert_true(span_ends(span_split(&rest, '\n'), SPAN_LIT(" --now")));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(it_looks_again_and_again_and_says_so),
	    T(sas_and_a_device_without_est_start_nothing),
	    T(a_program_that_dies_at_once_is_started_ever_more_seldom),
	    T(few_run_at_once_however_many_devices),
	    T(told_to_it_says_so_until_it_worked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
