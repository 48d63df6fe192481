/*
 * The inventory of certificates, a page at a time.
 */
#include <inttypes.h>

#include "domain/pki/certificates.h"
#include "role/core.h"

struct page {
	struct core *c;
	const struct ask *a;
};

static int
on_row(void *ctx, const struct ipc_cert_row *row, struct err *e)
{
	const struct page *p = ctx;
	return core_answer(p->c, p->a, IPC_CERT_ROW, row, e);
}

static int
on_query(struct core *c, const struct ask *a, const void *msg, struct err *e)
{
	struct page p = {c, a};
	int64_t next;
	if (certificates_page(&c->d, msg, on_row, &p, &next, e))
		return -1;
	return core_done(
	    c, a, next ? arena_printf(turn_arena(c->turn), "%" PRId64, next) : "", 0, e);
}

core_handler *
core_certificates_handler(enum ipc_type type)
{
	return type == IPC_CERT_QUERY ? on_query : NULL;
}
