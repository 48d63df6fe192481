#ifndef AGENT_CLOCK_FLOOR_H
#define AGENT_CLOCK_FLOOR_H
/*
 * The time of a device whose clock may be wrong. The floor is the latest of: the day this
 * program was made, the newest notBefore of the device's own certificates, the last time
 * a server of ours told (kept in DIR/clock). It is never later than the truth unless our
 * own CA or server was wrong, because the device's own clock never raises it.
 *
 * A clock at or past the floor is believed. One behind it (1970) is not: the time is then
 * unknown but not before the floor, until an authenticated server tells it (learn); from
 * then it is that time, counted on by the monotonic clock, as long as the own clock stays
 * behind. Nothing is ever thrown away because of a clock.
 *
 * While the time is unknown, a server's certificate counts as valid when its validity
 * does not end before the floor (tls_client_options.floor): its chain is judged at
 * max(floor, its notBefore). What that gives up: a server certificate that ended after
 * the floor, and whose private key was stolen, would be believed. Server certificates
 * live a day and the floor follows each check-in, so that is a day's key at most, where
 * the device checked in since; the answer's time must lie within that certificate's
 * validity, so the thief gains no more than that.
 */
#include <stdbool.h>

#include "base/clock.h"
#include "base/err.h"

struct clock_floor {
	struct clock clock; /* hand this on: wall time as above, monotonic as base's */
	const struct clock *base;
	int64_t floor_ms;
	int64_t learned_ms, learned_at_ms; /* wall at monotonic; learned_ms 0: not yet */
};

/* The day this program was made. */
int64_t clock_floor_built_ms(void);

/* Borrows base. The struct must not move: clock points to it. */
void clock_floor_init(struct clock_floor *f, const struct clock *base, int64_t built_ms);
/* Reads DIR/clock, where there is one that can be read. */
void clock_floor_load(struct clock_floor *f, const char *dir);
/* A certificate of ours (or anything signed by whom we trust) began then. */
void clock_floor_raise(struct clock_floor *f, int64_t not_before_ms);

/* False: the wall clock says nothing; clock then reads the floor. */
bool clock_floor_is_known(const struct clock_floor *f);
/* An authenticated server said that it is now_ms; leaf_*: the validity of its
 * certificate. ERR_CONFLICT, and nothing learned, where the time is not within it. */
must_check int clock_floor_learn(struct clock_floor *f, int64_t now_ms,
    int64_t leaf_not_before_ms, int64_t leaf_not_after_ms, struct err *e);
/* Keeps the floor in DIR/clock when it has grown by an hour since what is kept there. */
must_check int clock_floor_keep(
    const struct clock_floor *f, const char *dir, struct err *e);

#endif
