/*
 * Messages about consumer groups of the hubs' events.
 */
#include "domain/hub/consumer.h"
#include "role/core.h"
#include "role/core_list.h"

static int
answer(struct core *c, const struct ask *a, const struct store_consumer *r, struct err *e)
{
	const struct ipc_consumer m = {.name = span_str(r->name), .made_ms = r->made_ms};
	return core_answer(c, a, IPC_CONSUMER, &m, e);
}

static int
visit(void *ctx, const struct store_consumer *r, struct err *e)
{
	struct core_list *l = ctx;
	return answer(l->c, l->a, r, e);
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_consumer_query *m = msg;
	struct core_list l = {.c = c, .a = a};
	struct store_consumer r;
	if (!m->name.len && consumer_each(&c->d, m->host, visit, &l, e))
		return -1;
	if (m->name.len &&
	    (consumer_get(&c->d, m->host, m->name, &r, e) || answer(c, a, &r, e)))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_put(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_consumer_put *m = msg;
	struct store_consumer r;
	if (consumer_put(&c->d, m->host, m->name, &r, e) || answer(c, a, &r, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

static int
on_delete(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	const struct ipc_consumer_delete *m = msg;
	if (consumer_delete(&c->d, m->host, m->name, e))
		return -1;
	return core_done(c, a, "", 0, e);
}

core_handler *
core_consumer_handler(enum ipc_type type)
{
	static core_handler *const handlers[IPC_N] = {
	    [IPC_CONSUMER_QUERY] = on_query,
	    [IPC_CONSUMER_PUT] = on_put,
	    [IPC_CONSUMER_DELETE] = on_delete,
	};
	return handlers[type];
}
