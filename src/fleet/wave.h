#ifndef FLEET_WAVE_H
#define FLEET_WAVE_H
/*
 * How a fleet is cut into waves, and in which order devices come. Pure arithmetic.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define WAVE_MAX 32

struct wave_plan {
	size_t n;
	size_t size[WAVE_MAX]; /* devices each wave adds; none is 0 */
};

/* The pilot of a fleet of n: 5 %, but beyond 20 devices no more than 1 % asks for; at
 * least one. */
size_t wave_pilot(size_t n);
/* Pilot, then 10 %, 50 %, 100 % of the fleet. */
void wave_default(size_t devices, struct wave_plan *ret);
/* "5,10%,50%,100%": how much of the fleet is done after each wave, as a number of devices
 * or a share (rounded up). Waves that would add nothing (a small fleet) are left out.
 * ERR_PARSE on shares or numbers that shrink, and on a list that does not end at the
 * whole fleet. */
must_check int wave_parse(
    struct span list, size_t devices, struct wave_plan *ret, struct err *e);

/* Shuffles order[0..n) in a way that seed alone decides. */
void wave_shuffle(size_t *order, size_t n, uint64_t seed);

#endif
