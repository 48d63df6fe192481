#ifndef TEST_SIM_DICE_H
#define TEST_SIM_DICE_H
/*
 * One seed for the whole process: what the scenario draws, and what keys, serial numbers
 * and nonces are made of (getrandom and OpenSSL's generator are ours here). So a run with
 * the same seed is the same run.
 */
#include <stdbool.h>
#include <stdint.h>

void dice_seed(uint64_t seed);

/* The scenario's own stream: what it draws does not depend on who made how many keys. */
uint64_t dice_u64(void);
/* In [lo, hi). */
int64_t dice_between(int64_t lo, int64_t hi);
/* True in n of a thousand. */
bool dice_permille(int n);

#endif
