#ifndef TEST_UNIT_STORE_VERBS_H
#define TEST_UNIT_STORE_VERBS_H
/*
 * What tests of the store's verbs share: a begun transaction, and visitors' notes.
 */
#include "dir.h"

#define NOW 1790000000000

__attribute__((unused)) static struct store *
begun(void **state)
{
	struct dir *d = *state;
	struct err e;
	assert_ok(store_begin(d->s, &e), &e);
	return d->s;
}

__attribute__((unused)) static struct arena *
arena(void **state)
{
	return ((struct dir *)*state)->a;
}

__attribute__((unused)) static void
assert_span(struct span got, struct span want)
{
	assert_true(span_eq(got, want));
}

/* What visitors leave behind. */
struct seen {
	struct store *s;
	char text[256];
	int stop_at, n;
};

__attribute__((unused)) static int
see(struct seen *seen, const char *id)
{
	size_t len = strlen(seen->text);
	snprintf(seen->text + len, sizeof(seen->text) - len, "%s ", id);
	return ++seen->n == seen->stop_at ? 7 : 0;
}

#endif
