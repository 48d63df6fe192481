#ifndef PROTO_TWIN_ROW_H
#define PROTO_TWIN_ROW_H
/*
 * A twin as a query sees it: what twin_json_whole shows, of which only that is made which
 * the query asks for.
 */
#include "codec/ipc_msg.h"
#include "codec/query_eval.h"

struct js;

struct twin_row {
	const struct ipc_device *m;
	struct js *part[3]; /* tags, desired, reported; NULL: not asked for yet */
	struct js *whole;
};

/* m is borrowed. */
struct twin_row twin_row_of(const struct ipc_device *m);
void twin_row_done(struct twin_row *t);
/* For codec/query_eval.h; it borrows t. */
struct query_row twin_row_query(struct twin_row *t);

#endif
