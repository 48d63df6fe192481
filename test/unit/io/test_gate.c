/*
 * The gate with descriptors that nobody reads: who begins, in which order, who has to go.
 */
#include "../test.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include "io/gate.h"
#include "io/loop.h"

enum { BEGUN_MAX = 256 };

static struct world {
	struct clock clock;
	struct loop *loop;
	struct gate *gate;
	struct gate_pass *passes[BEGUN_MAX];
	char from[BEGUN_MAX]; /* the last part of the address */
	size_t n;
	size_t turned_away;
} w;

static void
on_start(
    void *arg, int fd, const struct sockaddr *sa, socklen_t len, struct gate_pass *pass)
{
	const struct sockaddr_in *in = (const void *)sa;
	assert_ptr_equal(arg, &w);
	assert_int_equal(len, sizeof(*in));
	w.from[w.n] = (char)('0' + (ntohl(in->sin_addr.s_addr) & 255));
	w.passes[w.n++] = pass;
	close(fd);
}

static void
on_away(void *arg, int fd)
{
	assert_ptr_equal(arg, &w);
	w.turned_away++;
	close(fd);
}

static int
nothing(void)
{
	int fd = open("/dev/null", O_RDONLY);
	assert_true(fd >= 0);
	return fd;
}

static int
knock_at(int host, const struct gate_door *door)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
	    .sin_addr.s_addr = htonl(0x0a000000u + (unsigned)host)};
	int fd = nothing();
	gate_enter(w.gate, fd, (const struct sockaddr *)&in, sizeof(in), door, &w);
	return fd;
}

static int
knock(int host)
{
	static const struct gate_door door = {.start = on_start};
	return knock_at(host, &door);
}

static void
knock_often(int host, int times)
{
	for (int i = 0; i < times; i++)
		knock(host);
}

/* Until nothing happens any more. */
static void
settle(void)
{
	struct err e = {0};
	for (size_t quiet = 0, was = w.n; quiet < 5; was = w.n) {
		assert_ok(loop_turn(w.loop, 3, &e), &e);
		quiet = w.n == was ? quiet + 1 : 0;
	}
}

/* Each leaves its place to the next. */
static void
one_by_one(void)
{
	while (gate_waiting(w.gate)) {
		size_t was = w.n;
		gate_leave(w.passes[was - 1]);
		w.passes[was - 1] = NULL;
		settle();
		assert_int_equal(w.n, was + 1);
	}
}

static size_t
begun(char from)
{
	size_t n = 0;
	for (size_t i = 0; i < w.n; i++)
		n += w.from[i] == from;
	return n;
}

static void
begin(struct gate_opts opts)
{
	struct err e = {0};
	w = (struct world){.clock = clock_system};
	w.loop = loop_new(&w.clock, &e);
	assert_non_null(w.loop);
	w.gate = gate_new(w.loop, &opts);
}

static void
end(void)
{
	/* not those that come forward as places get free */
	for (size_t i = 0, n = w.n; i < n; i++)
		gate_leave(w.passes[i]);
	assert_int_equal(gate_unproven(w.gate), 0);
	gate_free(w.gate);
	loop_free(w.loop);
}

static const struct gate_opts plenty = {.unproven_max = 100,
    .source_max = 50,
    .waiting_max = 100,
    .starts = 8,
    .known_max = 10};

static void
everybody_begins_while_there_is_room(void **state)
{
	begin(plenty);
	knock_often(1, 20);
	knock_often(2, 20);
	settle();
	assert_int_equal(begun('1'), 20);
	assert_int_equal(begun('2'), 20);
	assert_int_equal(gate_waiting(w.gate), 0);
	assert_int_equal(gate_unproven(w.gate), 40);
	end();
}

static void
sources_take_turns(void **state)
{
	struct gate_opts opts = plenty;
	opts.unproven_max = 1;
	begin(opts);
	knock(9);
	knock_often(1, 4);
	knock_often(2, 2);
	settle();
	assert_int_equal(w.n, 1);
	one_by_one();
	assert_memory_equal(w.from, "9121211", 7);
	end();
}

static void
one_source_has_its_share_and_no_more(void **state)
{
	struct gate_opts opts = plenty;
	opts.source_max = 5;
	begin(opts);
	knock_often(1, 30);
	knock_often(2, 3);
	settle();
	assert_int_equal(begun('1'), 5);
	assert_int_equal(begun('2'), 3);
	assert_memory_equal(w.from, "11111", 5);
	gate_leave(w.passes[0]);
	gate_prove(w.passes[2]); /* it counts no more either */
	w.passes[0] = NULL;
	settle();
	assert_int_equal(begun('1'), 7);
	end();
}

static void
places_are_kept_for_those_that_proved_themselves_before(void **state)
{
	struct gate_opts opts = plenty;
	opts.unproven_max = 20;
	begin(opts);
	knock(1);
	settle();
	gate_prove(w.passes[0]);
	knock_often(2, 40);
	knock_often(3, 40);
	settle();
	assert_int_equal(begun('2') + begun('3'), 15);
	knock_often(1, 5);
	settle();
	assert_int_equal(begun('1'), 6);
	end();
}

static void
known_sources_come_first_but_not_alone(void **state)
{
	struct gate_opts opts = plenty;
	opts.unproven_max = 1;
	begin(opts);
	knock(1);
	settle();
	gate_prove(w.passes[0]);
	knock(9);
	knock_often(2, 2);
	knock_often(1, 6);
	settle();
	assert_int_equal(w.n, 2);
	one_by_one();
	assert_memory_equal(w.from, "1911121112", 10);
	end();
}

static void
crowded_source_loses_its_youngest(void **state)
{
	struct gate_opts opts = plenty;
	opts.source_max = 1;
	opts.waiting_max = 10;
	begin(opts);
	knock_often(1, 20);
	assert_int_equal(gate_waiting(w.gate), 10);
	knock_often(2, 3);
	assert_int_equal(gate_waiting(w.gate), 10);
	settle();
	assert_int_equal(begun('2'), 1);
	end();
}

static void
known_sources_are_forgotten_in_their_order(void **state)
{
	struct gate_opts opts = plenty;
	opts.known_max = 1;
	opts.unproven_max = 1;
	begin(opts);
	for (int host = 1; host <= 2; host++) {
		knock(host);
		settle();
		gate_prove(
		    w.passes[w.n - 1]); /* with the second the first is a stranger */
	}
	knock(9);
	knock(1);
	knock(2);
	settle();
	assert_int_equal(w.n, 3);
	one_by_one();
	assert_memory_equal(w.from, "12921", 5);
	end();
}

static void
what_waits_is_closed_with_the_gate(void **state)
{
	struct gate_opts opts = plenty;
	opts.source_max = 1;
	begin(opts);
	knock(1);
	settle();
	int fd = knock(1);
	assert_int_equal(gate_waiting(w.gate), 1);
	end();
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void
strangers_give_way_to_who_is_known(void **state)
{
	struct gate_opts opts = plenty;
	opts.unproven_max = 4; /* the fourth for known sources */
	opts.waiting_max = 10;
	begin(opts);
	knock(1);
	settle();
	gate_prove(w.passes[0]);
	for (int host = 10; host < 30; host++)
		knock(host); /* each source has one, so none is longer than another */
	settle();
	assert_int_equal(w.n, 1 + 3);
	assert_int_equal(gate_waiting(w.gate), 10);
	knock_often(1, 3);
	settle();
	assert_int_equal(begun('1'), 2);
	assert_int_equal(gate_waiting(w.gate), 10);
	gate_leave(w.passes[4]);
	w.passes[4] = NULL;
	settle();
	assert_int_equal(begun('1'), 3);
	end();
}

static void
who_has_to_go_is_told_by_the_door(void **state)
{
	static const struct gate_door door = {.start = on_start, .away = on_away};
	struct gate_opts opts = plenty;
	opts.source_max = 1;
	opts.waiting_max = 2;
	begin(opts);
	for (int i = 0; i < 5; i++)
		knock_at(1, &door);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.turned_away, 2);
	gate_shut(w.gate);
	assert_int_equal(w.turned_away, 4);
	knock_at(2, &door);
	assert_int_equal(w.turned_away, 5);
	settle();
	assert_int_equal(w.n, 1);
	end();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(everybody_begins_while_there_is_room),
	    cmocka_unit_test(sources_take_turns),
	    cmocka_unit_test(one_source_has_its_share_and_no_more),
	    cmocka_unit_test(places_are_kept_for_those_that_proved_themselves_before),
	    cmocka_unit_test(known_sources_come_first_but_not_alone),
	    cmocka_unit_test(crowded_source_loses_its_youngest),
	    cmocka_unit_test(known_sources_are_forgotten_in_their_order),
	    cmocka_unit_test(what_waits_is_closed_with_the_gate),
	    cmocka_unit_test(strangers_give_way_to_who_is_known),
	    cmocka_unit_test(who_has_to_go_is_told_by_the_door),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
