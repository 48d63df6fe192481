/*
 * Members of a twin, made when they are asked for.
 */
#include "proto/hub/twin_row.h"

#include "codec/js.h"
#include "proto/hub/identity.h"
#include "proto/json.h"
#include "proto/hub/twin_json.h"

enum { TAGS, DESIRED, REPORTED };

struct twin_row
twin_row_of(const struct ipc_device *m)
{
	return (struct twin_row){.m = m};
}

void
twin_row_done(struct twin_row *t)
{
	for (size_t i = 0; i < sizeof(t->part) / sizeof(t->part[0]); i++)
		js_free(t->part[i]);
	js_free(t->whole);
	*t = (struct twin_row){.m = NULL};
}

/* A name below a part's document, which is all that is stored of it. */
static struct query_value
below(struct twin_row *t, int part, const struct query_path *path, size_t skip)
{
	const struct span docs[] = {t->m->tags, t->m->desired, t->m->reported};
	if (!t->part[part])
		t->part[part] = json_doc(docs[part]);
	return query_eval_walk(t->part[part], path->seg + skip, path->n - skip);
}

static struct query_value
of_whole(struct twin_row *t, const struct query_path *path)
{
	if (!t->whole)
		t->whole = twin_json_whole(t->m);
	return query_eval_walk(t->whole, path->seg, path->n);
}

/* $metadata and $version are not in the document. */
static struct query_value
of_properties(struct twin_row *t, const struct query_path *path)
{
	if (path->n < 3 || span_starts(path->seg[2], SPAN_LIT("$")))
		return of_whole(t, path);
	bool desired = span_eq_str(path->seg[1], "desired");
	return below(t, desired ? DESIRED : REPORTED, path, 2);
}

static struct query_value
of_word(const char *word)
{
	return query_eval_text(span_str(word));
}

static struct query_value
get(void *arg, const struct query_path *path)
{
	struct twin_row *t = arg;
	if (path->field == QUERY_FIELD_TAGS)
		return below(t, TAGS, path, 1);
	if (path->field == QUERY_FIELD_PROPERTIES)
		return of_properties(t, path);
	if (path->n > 1)
		return of_whole(t, path);
	switch (path->field) { /* what most queries ask */
	case QUERY_FIELD_DEVICE_ID:
		return query_eval_text(t->m->id);
	case QUERY_FIELD_STATUS:
		return of_word(t->m->enabled ? "enabled" : "disabled");
	case QUERY_FIELD_CONNECTION:
		return of_word(t->m->connected ? "Connected" : "Disconnected");
	case QUERY_FIELD_AUTH:
		return of_word(identity_auth_name(t->m->auth));
	default:
		return of_whole(t, path);
	}
}

struct query_row
twin_row_query(struct twin_row *t)
{
	return (struct query_row){get, t};
}
