/*
 * Devices that come back by themselves, each as an SDK does: whatever ended the
 * connection is tried again, at once and then with growing pauses and jitter (Node's
 * ExponentialBackOffWithJitter: 100 ms to 10 s); CONNACK 1, 2, 4 and 5 end a device for
 * ever. A storm is over when every device was lost and is back; says so each time.
 */
#include <stdio.h>

#include "modes.h"

#define GIVE_UP_S   30 /* without CONNACK: the shortest of the SDKs (C) */
#define BACKOFF_MIN 0.1
#define BACKOFF_MAX 10.0

struct returning {
	double due, lost_at;
	unsigned tries; /* since it was up */
	uint64_t seed;
	size_t lost_in; /* the storm it was lost in last */
	bool is_barred;
};

/* What was counted, by all threads. tries: after the first. */
static struct {
	atomic_size_t number; /* of storms that are over */
	atomic_size_t up, lost, barred;
	atomic_size_t tries, unreachable, cut_in_tls, cut_before_connack, given_up;
	atomic_size_t connack[6]; /* by code; 0 is none of them */
	_Atomic double first_lost_at;
	pthread_mutex_t over;
} storm = {.over = PTHREAD_MUTEX_INITIALIZER};

static struct returning *
of(struct conn *c)
{
	return (void *)c->own;
}

/* 0 to 1, each device its own row of numbers. */
static double
chance(struct conn *c)
{
	struct returning *r = of(c);
	r->seed = (r->seed ? r->seed : c->index + 1) * 6364136223846793005u +
		  1442695040888963407u;
	return (double)(r->seed >> 40) / (double)(1 << 24);
}

static double
pause_of(struct conn *c)
{
	unsigned tries = of(c)->tries;
	if (tries <= 1)
		return 0;
	double grown = tries > 16 ? BACKOFF_MAX : (double)((1u << (tries - 1)) - 1) * 0.1;
	double pause = BACKOFF_MIN + grown * (0.5 + 0.25 * chance(c));
	return pause < BACKOFF_MAX ? pause : BACKOFF_MAX;
}

static void
end_storm(void)
{
	printf("{\"back\":%zu,\"barred\":%zu,\"lost_at\":%.6f,\"back_at\":%.6f}\n",
	    (size_t)storm.up, (size_t)storm.barred, (double)storm.first_lost_at,
	    client_now());
	fflush(stdout);
	storm.first_lost_at = 0;
	storm.lost = 0;
	storm.number++;
}

static void
look_whether_all_are_back(struct conn *c)
{
	size_t all = c->worker->load->count;
	pthread_mutex_lock(&storm.over);
	if (storm.lost + storm.barred >= all && storm.up + storm.barred >= all)
		end_storm();
	pthread_mutex_unlock(&storm.over);
}

/* ---- away and back ----------------------------------------------------------------- */

static void
count_loss(struct conn *c)
{
	struct returning *r = of(c);
	double none = 0, at = client_now();
	size_t number = storm.number + 1;
	storm.up--;
	r->lost_at = at;
	if (r->lost_in == number)
		return;
	r->lost_in = number;
	atomic_compare_exchange_strong(&storm.first_lost_at, &none, at);
	storm.lost++;
}

static void
count_failed_try(const struct conn *c)
{
	if (c->state == CONN_OPENING)
		storm.unreachable++;
	else if (c->state == CONN_SHAKING)
		storm.cut_in_tls++;
	else
		storm.cut_before_connack++;
}

static bool
come_again(struct conn *c, bool ok)
{
	struct returning *r = of(c);
	if (c->state == CONN_UP)
		count_loss(c);
	else
		count_failed_try(c);
	if (r->is_barred) {
		storm.barred++;
		look_whether_all_are_back(c);
		return false;
	}
	r->tries++;
	r->due = client_now() + pause_of(c);
	return true;
}

static int
on_tick(struct conn *c)
{
	double at = client_now();
	if (c->state == CONN_AWAY && of(c)->due <= at) {
		storm.tries++;
		client_open(c);
		return 1;
	}
	if (c->state == CONN_AWAY || c->state == CONN_UP || at - c->opened_at < GIVE_UP_S)
		return 1;
	storm.given_up++;
	return -1;
}

static int
on_accepted(struct conn *c)
{
	struct returning *r = of(c);
	if (r->lost_in)
		client_waited(c, WAIT_ANSWER, r->lost_at);
	r->tries = 0;
	storm.up++;
	client_up(c);
	look_whether_all_are_back(c);
	return 1;
}

static int
on_refused(struct conn *c, uint8_t code)
{
	storm.connack[code < 6 ? code : 0]++;
	of(c)->is_barred = code != 3;
	return -1;
}

static void
report(void)
{
	printf(",\"tries\":%zu,\"unreachable\":%zu,\"cut_in_tls\":%zu,"
	       "\"cut_before_connack\":%zu,\"given_up\":%zu,\"barred\":%zu,\"connack\":{",
	    (size_t)storm.tries, (size_t)storm.unreachable, (size_t)storm.cut_in_tls,
	    (size_t)storm.cut_before_connack, (size_t)storm.given_up,
	    (size_t)storm.barred);
	for (size_t i = 0; i < 6; i++)
		printf("%s\"%zu\":%zu", i ? "," : "", i, (size_t)storm.connack[i]);
	printf("}");
}

const struct mode modes_storm = {.name = "storm",
    .mqtt = true,
    .stays = true,
    .own_size = sizeof(struct returning),
    .on_secure = client_connect_hub,
    .on_connack = on_accepted,
    .on_refused = on_refused,
    .on_tick = on_tick,
    .on_end = come_again,
    .on_report = report};
