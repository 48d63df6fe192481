#ifndef CODEC_QUERY_GROUP_H
#define CODEC_QUERY_GROUP_H
/*
 * Aggregates of a query, group by group. Groups stand in the order in which the first of
 * each came, so that what is added later stands behind.
 */
#include "codec/query_eval.h"

#define QUERY_GROUPS_MAX 10000
#define QUERY_GROUPS_BYTES                                                               \
	(16 * 1024 * 1024) /* of what they are told apart by, sums and texts */

struct query_groups;

/* For a query of aggregates, which is borrowed. */
struct query_groups *query_group_new(const struct query *q);
void query_group_free(struct query_groups *g);
own_define(struct query_groups, query_group_free);

/* Counts a row in, as that many. ERR_UNSUPPORTED: over QUERY_GROUPS_MAX groups, or _BYTES
 * of them. */
must_check int query_group_add(
    struct query_groups *g, const struct query_row *row, int64_t times, struct err *e);
/* Without GROUP BY there is one group, also of no rows. */
size_t query_group_n(const struct query_groups *g);
/* The i-th, less than query_group_n, as the columns show it. */
struct js *query_group_at(const struct query_groups *g, size_t i);

#endif
