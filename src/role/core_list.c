/*
 * Pages of lists.
 */
#include "role/core_list.h"

#include <stdio.h>

/* Bytes of rows that one answer may carry. */
#define PAGE_BYTES (8 * 1024 * 1024)

int64_t
core_list_page(uint32_t asked, int64_t most)
{
	return asked == 0 || asked > most ? most : (int64_t)asked;
}

bool
core_list_take(struct core_list *l, const char *id, size_t bytes)
{
	if (l->left == 0 || l->bytes > PAGE_BYTES) {
		l->more = true;
		return false;
	}
	l->left--;
	l->bytes += (int64_t)bytes;
	snprintf(l->last, sizeof(l->last), "%s", id);
	return true;
}

int
core_list_end(struct core_list *l, int rc, struct err *e)
{
	if (rc < 0)
		return -1;
	return core_done(l->c, l->a, l->more ? l->last : "", 0, e);
}
