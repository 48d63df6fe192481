/*
 * The signer's worker threads.
 */
#include "role/sign_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/arena.h"

#define ALONE_BELOW 8 /* jobs that are not worth a thread */
/* what one job leaves in an arena: a certificate or an error */
#define JOB_MAX (CERT_MAX + 1024)

struct worker {
	struct sign_pool *pool;
	struct issuer *issuers[CA_CONF_MAX];
	struct arena *arena; /* of what it signed in this round */
	pthread_t thread;
	bool started;
};

struct sign_pool {
	size_t n_cas;
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

static void
sign(struct worker *w, struct sign_job *j)
{
	struct err e;
	auto_buf der = BUF_INIT(CERT_MAX);
	j->why = NULL;
	if (issuer_sign(w->issuers[j->by], &j->req, &der, &j->result, &e) == 0) {
		j->der = arena_span(w->arena, buf_span(&der));
		return;
	}
	err_wrap(&e, "%s", j->req.cn);
	struct err *why = arena_alloc(w->arena, sizeof(*why));
	*why = e;
	j->why = why;
}

static void
drain(struct worker *w)
{
	struct sign_pool *p = w->pool;
	arena_reset(w->arena);
	for (;;) {
		size_t i = atomic_fetch_add(&p->next, 1);
		if (i >= p->n_jobs)
			return;
		sign(w, &p->jobs[i]);
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
start_worker(struct sign_pool *p, struct worker *w, const struct ca *ca, bool thread,
    struct err *e)
{
	w->pool = p;
	w->arena = arena_new((size_t)SIGN_POOL_MAX * JOB_MAX);
	for (size_t i = 0; i < ca->n; i++) {
		if (!ca->v[i].issuer)
			continue;
		w->issuers[i] = issuer_clone(ca->v[i].issuer, e);
		if (!w->issuers[i])
			return -1;
	}
	if (!thread)
		return 0;
	if (pthread_create(&w->thread, NULL, run_worker, w))
		return err_set(e, ERR_INTERNAL, "cannot start a signing thread");
	w->started = true;
	return 0;
}

struct sign_pool *
sign_pool_new(const struct ca *ca, unsigned workers, struct err *e)
{
	struct sign_pool *p = own_alloc(sizeof(*p));
	p->n_cas = ca->n;
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

static void
end_worker(struct worker *w, size_t n_cas)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	for (size_t i = 0; i < n_cas; i++)
		issuer_free(w->issuers[i]);
	arena_free(w->arena);
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
	for (unsigned i = 0; i < p->n; i++)
		end_worker(&p->workers[i], p->n_cas);
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
