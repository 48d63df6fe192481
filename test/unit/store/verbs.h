#ifndef TEST_UNIT_STORE_VERBS_H
#define TEST_UNIT_STORE_VERBS_H
/*
 * What tests of the store's verbs share: a begun transaction, and visitors' notes.
 */
#include "dir.h"
#include "store/query.h"

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

/* Devices by kind, added up. */
struct counted {
	int64_t total, enabled, connected;
	int64_t by_auth[4]; /* indexed by enum store_auth */
};

__attribute__((unused)) static int
count_kind(void *ctx, const struct store_device *d, int64_t n, struct err *e)
{
	struct counted *c = ctx;
	c->total += n;
	c->enabled += d->enabled ? n : 0;
	c->connected += d->connected ? n : 0;
	c->by_auth[d->auth] += n;
	return 0;
}

__attribute__((unused)) static struct counted
count_devices(struct store *s)
{
	struct counted c = {0};
	struct err e;
	assert_ok(store_device_kinds(s, count_kind, &c, &e), &e);
	return c;
}

__attribute__((unused)) static int
let_go(void *ctx, int64_t n, struct err *e)
{
	return store_device_gone(ctx, n, NOW, e);
}

#endif
