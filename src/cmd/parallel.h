#ifndef CMD_PARALLEL_H
#define CMD_PARALLEL_H
/*
 * A loop over all CPUs: fn(arg, worker, i) for every i below n, in any order. start makes
 * a thread's own context (may be NULL), end frees it. Returns when all are done.
 */
#include <stddef.h>

void parallel_for(size_t n, void (*fn)(void *arg, void *worker, size_t i),
    void *(*start)(void *arg), void (*end)(void *worker), void *arg);

#endif
