/*
 * The signer's worker threads.
 */
#include "role/sign_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"

#define ALONE_BELOW 8 /* jobs that are not worth a thread */

struct worker {
	struct sign_pool *pool;
	struct issuer *device, *service;
	pthread_t thread;
	bool started;
};

struct sign_pool {
	const char *org;
	int64_t backdate_s;
	unsigned n;
	struct worker *workers; /* [0] is the caller's own */
	pthread_mutex_t lock;
	pthread_cond_t work, idle;
	unsigned round, busy; /* under lock */
	bool stop;
	struct sign_job *jobs; /* of the round under way */
	size_t n_jobs;
	atomic_size_t next;
};

static int
sign(struct worker *w, struct sign_job *j, struct err *e)
{
	struct issuer *by = j->profile == PROFILE_DEVICE ? w->device : w->service;
	struct issuer_request r = {.profile = j->profile,
	    .cn = j->subject,
	    .org = w->pool->org,
	    .san = j->san,
	    .n_san = j->n_san,
	    .spki = span_of(j->spki, j->spki_len),
	    .now_s = clock_wall_s(&clock_system),
	    .life_s = j->life_s,
	    .backdate_s = &w->pool->backdate_s};
	auto_buf der = BUF_INIT(sizeof(j->der));
	if (issuer_sign(by, &r, &der, &j->result, e))
		return err_wrap(e, "%s", j->subject);
	memcpy(j->der, der.p, der.len);
	j->der_len = der.len;
	return 0;
}

static void
drain(struct worker *w)
{
	struct sign_pool *p = w->pool;
	for (;;) {
		size_t i = atomic_fetch_add(&p->next, 1);
		if (i >= p->n_jobs)
			return;
		p->jobs[i].failed = sign(w, &p->jobs[i], &p->jobs[i].why) != 0;
	}
}

static void *
run_worker(void *arg)
{
	struct worker *w = arg;
	struct sign_pool *p = w->pool;
	unsigned seen = 0;
	pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->round == seen && !p->stop)
			pthread_cond_wait(&p->work, &p->lock);
		if (p->stop)
			break;
		seen = p->round;
		pthread_mutex_unlock(&p->lock);
		drain(w);
		pthread_mutex_lock(&p->lock);
		if (--p->busy == 0)
			pthread_cond_signal(&p->idle);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static int
start_worker(
    struct sign_pool *p, struct worker *w, struct ca *ca, bool thread, struct err *e)
{
	w->pool = p;
	w->device = issuer_clone(ca->device, e);
	if (!w->device)
		return -1;
	w->service = issuer_clone(ca->service, e);
	if (!w->service)
		return -1;
	if (!thread)
		return 0;
	if (pthread_create(&w->thread, NULL, run_worker, w))
		return err_set(e, ERR_INTERNAL, "cannot start a signing thread");
	w->started = true;
	return 0;
}

struct sign_pool *
sign_pool_new(
    struct ca *ca, const char *org, int64_t backdate_s, unsigned workers, struct err *e)
{
	struct sign_pool *p = own_alloc(sizeof(*p));
	p->org = org;
	p->backdate_s = backdate_s;
	p->n = workers ? workers : 1;
	p->workers = own_alloc(p->n * sizeof(*p->workers));
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->idle, NULL);
	for (unsigned i = 0; i < p->n; i++)
		if (start_worker(p, &p->workers[i], ca, i > 0, e)) {
			sign_pool_free(p);
			return NULL;
		}
	return p;
}

void
sign_pool_free(struct sign_pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n; i++) {
		if (p->workers[i].started)
			pthread_join(p->workers[i].thread, NULL);
		issuer_free(p->workers[i].device);
		issuer_free(p->workers[i].service);
	}
	pthread_cond_destroy(&p->work);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->lock);
	free(p->workers);
	free(p);
}

void
sign_pool_run(struct sign_pool *p, struct sign_job *jobs, size_t n)
{
	p->jobs = jobs;
	p->n_jobs = n;
	atomic_store(&p->next, 0);
	if (p->n == 1 || n < ALONE_BELOW) {
		drain(&p->workers[0]);
		return;
	}
	pthread_mutex_lock(&p->lock);
	p->busy = p->n - 1;
	p->round++;
	pthread_cond_broadcast(&p->work);
	pthread_mutex_unlock(&p->lock);
	drain(&p->workers[0]);
	pthread_mutex_lock(&p->lock);
	while (p->busy)
		pthread_cond_wait(&p->idle, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
