#ifndef DOMAIN_QUERY_PLAN_H
#define DOMAIN_QUERY_PLAN_H
/*
 * By which indexes a query of the service finds its twins (store/query.h): the union of
 * some ranges that holds every twin its WHERE may be true of, as small as a look into the
 * indexes can tell. Who uses it still evaluates the WHERE on each.
 */
#include "codec/query.h"
#include "domain/domain.h"
#include "store/query.h"

#define QUERY_PLAN_RANGES 64

struct query_plan {
	struct store_range range[QUERY_PLAN_RANGES];
	size_t n; /* 0: no twin can be meant */
};

/* q and a outlive the plan. */
must_check int query_plan_make(struct store *s, const struct query *q, struct arena *a,
    struct query_plan *ret, struct err *e);
/* The numbers of up to max candidates after one, ascending, each once. */
must_check int query_plan_next(struct store *s, const struct query_plan *p, int64_t after,
    size_t max, int64_t *ret, size_t *ret_n, struct err *e);

#endif
