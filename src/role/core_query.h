#ifndef ROLE_CORE_QUERY_H
#define ROLE_CORE_QUERY_H
/*
 * Queries of the service under way (protocol/service.md 2.5). One that looks at more than
 * a turn should goes on in slices, with the turns of others between them.
 */
#include "role/core.h"

struct core_queries *core_query_new(struct core *c);
void core_query_free(struct core_queries *k);

/* An edge is gone, and with it who asked over it. */
void core_query_forget(struct core *c, unsigned edge);

#endif
