#ifndef BASE_LIST_H
#define BASE_LIST_H
/*
 * An intrusive doubly linked list: the node lives in its owner. An unlinked node is zero
 * or points to itself.
 */
#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

static inline void
list_init(struct list *l)
{
	l->prev = l->next = l;
}

static inline bool
list_empty(const struct list *l)
{
	return !l->next || l->next == l;
}

/* Appends n at the end of l. */
static inline void
list_push(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}

/* Unlinks n; harmless when it is not linked. */
static inline void
list_del(struct list *n)
{
	if (!n->next)
		return;
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = n;
}

#define list_of(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
#define list_each(it, l)            for (struct list *it = (l)->next; it && it != (l); it = it->next)
/* As list_each; the body may unlink or free the current node. */
#define list_each_safe(it, l)                                                            \
	for (struct list *it = (l)->next, *it##_n = it ? it->next : NULL;                \
	     it && it != (l); it = it##_n, it##_n = it->next)

#endif
