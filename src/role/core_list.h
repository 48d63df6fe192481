#ifndef ROLE_CORE_LIST_H
#define ROLE_CORE_LIST_H
/*
 * Lists under way: rows go out until the page is full, by their number or by bytes; the
 * reader comes back for the rest.
 */
#include "role/core.h"

struct core_list {
	struct core *c;
	const struct ask *a;
	int64_t left, bytes;
	char last[SESSION_NAME];
	bool more;
};

/* The rows a page has: asked, 0 being "as many as there may be". */
int64_t core_list_page(uint32_t asked, int64_t most);
/* True where the row still belongs to the page; notes it as the last. */
bool core_list_take(struct core_list *l, const char *id, size_t bytes);
/* The last answer, with the continuation where there is more. rc: of the walk. */
must_check int core_list_end(struct core_list *l, int rc, struct err *e);

#endif
