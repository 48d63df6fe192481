/*
 * A parallel loop on short-lived threads.
 */
#include "cmd/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#define THREADS_MAX 64

struct job {
	size_t n;
	void (*fn)(void *arg, void *worker, size_t i);
	void *(*start)(void *arg);
	void (*end)(void *worker);
	void *arg;
	atomic_size_t next;
};

static void *
work(void *p)
{
	struct job *j = p;
	void *worker = j->start ? j->start(j->arg) : NULL;
	for (;;) {
		/* one at a time: an RSA key is worth a tenth of a second of a CPU */
		size_t i = atomic_fetch_add(&j->next, 1);
		if (i >= j->n)
			break;
		j->fn(j->arg, worker, i);
	}
	if (j->end)
		j->end(worker);
	return NULL;
}

void
parallel_for(size_t n, void (*fn)(void *arg, void *worker, size_t i),
    void *(*start)(void *arg), void (*end)(void *worker), void *arg)
{
	struct job j = {.n = n, .fn = fn, .start = start, .end = end, .arg = arg};
	pthread_t threads[THREADS_MAX];
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	size_t want = cpus < 1 ? 1 : (size_t)cpus, started = 0;
	if (want > THREADS_MAX)
		want = THREADS_MAX;
	if (want > n)
		want = n;
	/* a thread that cannot be had is made up for by the others, this one at least */
	while (started + 1 < want && !pthread_create(&threads[started], NULL, work, &j))
		started++;
	work(&j);
	for (size_t i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
}
