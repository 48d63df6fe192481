/*
 * The session against an agent that keeps to a script: this program again, started with
 * the script's name, so that pipes, exits and deadlines are real.
 */
#include "../test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/js.h"
#include "fleet/session.h"
#include "io/loop.h"
#include "io/proc.h"

#define HELLO                                                                            \
	"{\"hello\":\"muster-agent\",\"version\":\"0.1.0\",\"protocol\":1,\"deviceId\":" \
	"\"dev-1\"}\n"

/* ---- the scripts ---- */

static void
say(const char *text)
{
	ssize_t n = write(1, text, strlen(text));
	(void)n;
}

/* Reads a request; false at the end of input. */
static bool
hear(char *line, size_t size)
{
	return fgets(line, (int)size, stdin) != NULL;
}

static void
answer(const char *request, const char *rest)
{
	char text[512];
	struct err e;
	auto_(js_free) struct js *q =
	    js_parse(span_trim(span_str(request)), 65536, 8, &e);
	snprintf(text, sizeof(text), "{\"id\":%lld,%s}\n",
	    (long long)js_as_int(js_get(q, "id")), rest);
	say(text);
}

static int
play(const char *script)
{
	char line[4096];
	setvbuf(stdin, NULL, _IONBF, 0);
	if (strcmp(script, "mute") == 0) {
		sleep(30);
		return 0;
	}
	if (strcmp(script, "flood") ==
	    0) { /* no answer any more, but words without end */
		char block[65536];
		memset(block, '!', sizeof(block));
		close(1);
		while (write(2, block, sizeof(block)) > 0)
			;
		return 0;
	}
	if (strcmp(script, "refused") == 0) {
		fprintf(stderr, "iot@h: Permission denied (publickey).\r\n");
		return 255;
	}
	if (strcmp(script, "greeting") == 0)
		say("Welcome to gateway 7\n\nLast login: never\n");
	if (strcmp(script, "stranger") == 0)
		say("{\"hello\":\"something\"}\n");
	if (strcmp(script, "chatter") == 0)
		for (int i = 0; i < 100; i++)
			say("noise\n");
	if (strcmp(script, "torn") == 0) { /* the hello in three writes */
		say("{\"hello\":\"muster-agent\",\"ver");
		usleep(30000);
		say("sion\":\"0.1.0\",\"protocol\":1,");
		usleep(30000);
		say("\"deviceId\":\"dev-1\"}\n");
	} else
		say(HELLO);
	while (hear(line, sizeof(line))) {
		if (strcmp(script, "dies") == 0)
			return 9;
		if (strcmp(script, "half") == 0) {
			say("{\"id\":1,\"ok\":tr");
			return 0;
		}
		if (strcmp(script, "garbage") == 0)
			say("\x01\x02 not json\n");
		else if (strcmp(script, "slow") == 0)
			sleep(30);
		else if (strcmp(script, "endless") == 0)
			for (int i = 0; i < 20; i++) {
				char block[8192];
				memset(block, 'x', sizeof(block));
				ssize_t n = write(1, block, sizeof(block));
				(void)n;
			}
		else if (strcmp(script, "other") == 0)
			say("{\"id\":77,\"ok\":true}\n");
		else if (strcmp(script, "full") == 0)
			answer(line, "\"ok\":false,\"code\":\"FULL\",\"text\":\"no space "
				     "left\",\"fix\":\"free "
				     "some\"");
		else
			answer(line, "\"ok\":true,\"echo\":\"yes\"");
	}
	return 0;
}

/* ---- the driver ---- */

struct talk {
	struct loop *l;
	struct session *s;
	int hellos, answers, failures, asked, ops;
	struct session_failure why;
	bool over;
};

static void
ask_next(struct talk *t)
{
	static const char *const ops[] = {
	    "preflight", "keygen", "install", "prove", "promote"};
	if (t->asked == t->ops) {
		t->over = true;
		return;
	}
	session_call(t->s, ops[t->asked++ % 5], NULL, 300);
}

static void
on_hello(void *arg, const char *device_id, const char *version)
{
	struct talk *t = arg;
	t->hellos++;
	assert_string_equal(device_id, "dev-1");
	ask_next(t);
}

static void
on_answer(void *arg, const struct js *a)
{
	struct talk *t = arg;
	t->answers++;
	assert_string_equal(js_as_text(js_get(a, "echo")), "yes");
	ask_next(t);
}

static void
on_failed(void *arg, const struct session_failure *why)
{
	struct talk *t = arg;
	t->failures++;
	t->why = *why;
	t->over = true;
}

static void
explain(int code, const char *said, struct session_failure *why)
{
	err_set(&why->err, ERR_UNAVAILABLE, "exit %d: %s", code, said);
}

static const struct session_ops ops = {on_hello, on_answer, on_failed, explain};

static void
talk(const char *script, int n_ops, struct talk *t)
{
	struct err e;
	const char *const argv[] = {"agent", "agent", script, NULL};
	struct proc_spec spec = {
	    .argv = argv, .flags = PROC_STDIN | PROC_STDOUT | PROC_STDERR | PROC_GROUP};
	*t = (struct talk){.ops = n_ops, .l = loop_new(&clock_system, &e)};
	assert_non_null(t->l);
	t->s = session_new(t->l, &spec, 400, &ops, t, &e);
	assert_non_null(t->s);
	while (!t->over)
		assert_ok(loop_turn(t->l, 5000, &e), &e);
	session_free(t->s);
	for (int i = 0; i < 3; i++) /* nothing is called after the end */
		assert_ok(loop_turn(t->l, 1, &e), &e);
	loop_free(t->l);
}

static void
session_runs_one_operation_after_the_other(void **state)
{
	struct talk t;
	talk("good", 50, &t);
	assert_int_equal(t.hellos, 1);
	assert_int_equal(t.answers, 50);
	assert_int_equal(t.failures, 0);
}

static void
session_tolerates_greetings_and_torn_lines(void **state)
{
	struct talk t;
	talk("greeting", 1, &t);
	assert_int_equal(t.answers, 1);
	talk("torn", 1, &t);
	assert_int_equal(t.answers, 1);
}

static void
session_hands_on_what_the_agent_says_of_a_failure(void **state)
{
	struct talk t;
	talk("full", 1, &t);
	assert_int_equal(t.failures, 1);
	assert_true(t.why.answered);
	assert_int_equal(t.why.err.code, ERR_FULL);
	assert_string_equal(t.why.err.text, "no space left");
	assert_string_equal(t.why.fix, "free some");
}

static void
session_ends_on_what_is_no_answer(void **state)
{
	static const struct {
		const char *script;
		enum err_code code;
	} rows[] = {
	    {"garbage", ERR_PARSE},
	    {"other", ERR_PARSE},
	    {"endless", ERR_LIMIT},
	    {"half", ERR_UNAVAILABLE},
	    {"slow", ERR_TIMEOUT},
	    {"mute", ERR_TIMEOUT},
	    {"stranger", ERR_PARSE},
	    {"chatter", ERR_PARSE},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct talk t;
		talk(rows[i].script, 1, &t);
		assert_int_equal(t.answers, 0);
		assert_int_equal(t.failures, 1);
		assert_false(t.why.answered);
		assert_int_equal(t.why.err.code, rows[i].code);
	}
}

static void
session_names_the_operation_the_agent_died_in(void **state)
{
	struct talk t;
	talk("dies", 1, &t);
	assert_int_equal(t.failures, 1);
	assert_non_null(strstr(t.why.err.text, "preflight"));
	assert_non_null(strstr(t.why.err.text, "exit 9"));
	talk("refused", 1, &t);
	assert_non_null(strstr(t.why.err.text, "Permission denied"));
}

static void
session_ends_whatever_the_host_still_says(void **state)
{
	struct talk t;
	alarm(60);
	talk("flood", 1, &t);
	alarm(0);
	assert_int_equal(t.failures, 1);
	assert_int_equal(t.why.err.code, ERR_UNAVAILABLE);
}

int
main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "agent") == 0)
		return play(argv[2]);
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(session_runs_one_operation_after_the_other),
	    cmocka_unit_test(session_tolerates_greetings_and_torn_lines),
	    cmocka_unit_test(session_hands_on_what_the_agent_says_of_a_failure),
	    cmocka_unit_test(session_ends_on_what_is_no_answer),
	    cmocka_unit_test(session_names_the_operation_the_agent_died_in),
	    cmocka_unit_test(session_ends_whatever_the_host_still_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
