#ifndef LOAD_WORKER_H
#define LOAD_WORKER_H
/*
 * The threads of a load. One round: worker_start; for modes whose connections stay
 * worker_await_up, then worker_go; worker_join, after which all that they did can be
 * read.
 */
#include <stddef.h>

struct load;

void worker_start(struct load *l);
/* How many came up. */
size_t worker_await_up(struct load *l);
void worker_go(struct load *l);
void worker_join(struct load *l);
void worker_free(struct load *l);

#endif
